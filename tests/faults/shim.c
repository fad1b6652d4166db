/* Counts the calls that change something below FAULT_DIR, and lets call number FAULT_AT fail with
   FAULT_ERRNO, or kills the process there if that is -1.  At the end the count is in FAULT_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long calls;
static __thread int inside;

static int below(const char *path) {
    const char *folder = getenv("FAULT_DIR");
    if (!folder || !path) return 0;
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int fd_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* Returns whether the call that is being made is to fail; sets errno then. */
static int strike(void) {
    const char *at = getenv("FAULT_AT"), *what = getenv("FAULT_ERRNO");
    long number = __sync_add_and_fetch(&calls, 1);
    if (!at || atol(at) != number) return 0;
    int error = what ? atoi(what) : ENOSPC;
    if (error < 0) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAULT_COUNT");
    if (!path || !calls) return;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "%ld", calls);
    fclose(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define TRY(condition, failed)               \
    if (!inside) {                           \
        inside = 1;                          \
        int hit = (condition) && strike();   \
        inside = 0;                          \
        if (hit) return failed;              \
    }
#define CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

#define OPENS(name)                                                  \
    int name(const char *path, int flags, ...) {                     \
        va_list list;                                                \
        va_start(list, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                \
        TRY((flags & CHANGES) && below(path), -1)                    \
        return REAL(name)(path, flags, mode);                        \
    }
OPENS(open)
OPENS(open64)

#define OPENATS(name)                                                \
    int name(int at, const char *path, int flags, ...) {             \
        va_list list;                                                \
        va_start(list, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                \
        TRY((flags & CHANGES) && below(path), -1)                    \
        return REAL(name)(at, path, flags, mode);                    \
    }
OPENATS(openat)
OPENATS(openat64)

ssize_t write(int fd, const void *data, size_t n) {
    TRY(fd > 2 && fd_below(fd), -1)
    return REAL(write)(fd, data, n);
}
ssize_t writev(int fd, const struct iovec *data, int n) {
    TRY(fd > 2 && fd_below(fd), -1)
    return REAL(writev)(fd, data, n);
}
int fsync(int fd) {
    TRY(fd_below(fd), -1)
    return REAL(fsync)(fd);
}
int ftruncate(int fd, off_t n) {
    TRY(fd_below(fd), -1)
    return REAL(ftruncate)(fd, n);
}
int ftruncate64(int fd, off64_t n) {
    TRY(fd_below(fd), -1)
    return REAL(ftruncate64)(fd, n);
}
int rename(const char *from, const char *to) {
    TRY(below(to), -1)
    return REAL(rename)(from, to);
}
int mkdir(const char *path, mode_t mode) {
    TRY(below(path), -1)
    return REAL(mkdir)(path, mode);
}
int unlink(const char *path) {
    TRY(below(path), -1)
    return REAL(unlink)(path);
}
int chmod(const char *path, mode_t mode) {
    TRY(below(path), -1)
    return REAL(chmod)(path, mode);
}
