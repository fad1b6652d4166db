/* A clock that is set wrong: FAKE_CLOCK is the time in seconds since 1970; with FAKE_BACK=1 it goes
   backwards by ten seconds at every look. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long looks;

static time_t now(void) {
    const char *set = getenv("FAKE_CLOCK"), *back = getenv("FAKE_BACK");
    long sign = back && back[0] == '1' ? -10 : 1;
    return (set ? atoll(set) : 0) + sign * __sync_add_and_fetch(&looks, 1);
}

time_t time(time_t *out) {
    time_t t = now();
    if (out) *out = t;
    return t;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    (void)zone;
    tv->tv_sec = now();
    tv->tv_usec = 0;
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
    if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) /* the monotonic ones never go back */
        return syscall(SYS_clock_gettime, id, ts);
    ts->tv_sec = now();
    ts->tv_nsec = 0;
    return 0;
}
