/* Counts the calls that change something below FAULT_DIR, and lets call number FAULT_AT go wrong as
   FAULT_ERRNO says: an errno, FAULT_KILL (the process is killed there) or FAULT_SHORT (a write
   writes half of what it was given and says so).  With FAULT_LASTS=1 every later call fails too,
   as on a disk that stays full; removing files works on a full disk and not on a read-only one. */
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
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAULT_KILL = -1, FAULT_SHORT = -2 };
enum { GROWS, SHRINKS };

static long calls, struck;
static __thread int inside;

long fault_calls(void) { return calls; }
long fault_struck(void) { return struck; }

static int within(const char *path) {
    const char *folder = getenv("FAULT_DIR");
    if (!folder || !path) return 0;
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int link_within(const char *link) {
    char path[PATH_MAX];
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return within(path);
}

static int fd_within(int fd) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return link_within(link);
}

static int at_within(int at, const char *path) {
    if (!path) return fd_within(at);
    if (path[0] == '/') return within(path);
    return at == AT_FDCWD ? link_within("/proc/self/cwd") : fd_within(at);
}

static int is_written(int fd) { return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY && fd_within(fd); }

/* Returns whether the call that is being made is to fail (1; errno is set then) or to be short (2). */
static int strike(int kind) {
    const char *at = getenv("FAULT_AT"), *what = getenv("FAULT_ERRNO"), *lasts = getenv("FAULT_LASTS");
    long number = __sync_add_and_fetch(&calls, 1), due = at ? atol(at) : 0;
    int error = what ? atoi(what) : ENOSPC, on = lasts && lasts[0] == '1';
    if (!due || number < due || (number > due && !on)) return 0;
    if (number > due && kind == SHRINKS && error != EROFS) return 0;
    __sync_add_and_fetch(&struck, 1);
    if (error == FAULT_KILL) kill(getpid(), SIGKILL);
    if (error == FAULT_SHORT) return 2;
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define LOOK(condition, kind)                \
    int hit = 0;                             \
    if (!inside) {                           \
        inside = 1;                          \
        int before = errno;                  \
        if (condition) hit = strike(kind);   \
        if (hit != 1) errno = before;        \
        inside = 0;                          \
    }
#define CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* type name(parameters): fails if `condition`, else calls the real one with `arguments` */
#define CALL(type, name, parameters, arguments, condition, kind) \
    type name parameters {                                       \
        LOOK(condition, kind)                                    \
        if (hit == 1) return -1;                                 \
        return REAL(name) arguments;                             \
    }
/* the same of one that says how much of `n` it wrote */
#define WRITES(type, name, parameters, arguments, condition) \
    type name parameters {                                   \
        LOOK(condition, GROWS)                               \
        if (hit == 1) return -1;                             \
        if (hit == 2 && n > 1) n /= 2;                       \
        return REAL(name) arguments;                         \
    }

#define OPENS(name, before, passed, condition)                                  \
    int name(before const char *path, int flags, ...) {                         \
        va_list list;                                                           \
        va_start(list, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                           \
        LOOK((flags & CHANGES) && (condition), GROWS)                           \
        if (hit == 1) return -1;                                                \
        return REAL(name)(passed path, flags, mode);                            \
    }
#define NOTHING
#define AT int at,
#define PASS at,
OPENS(open, NOTHING, NOTHING, at_within(AT_FDCWD, path))
OPENS(open64, NOTHING, NOTHING, at_within(AT_FDCWD, path))
OPENS(openat, AT, PASS, at_within(at, path))
OPENS(openat64, AT, PASS, at_within(at, path))

#define BYTES int fd, const void *data, size_t n
#define VECTOR int fd, const struct iovec *data, int n
WRITES(ssize_t, write, (BYTES), (fd, data, n), fd > 2 && fd_within(fd))
WRITES(ssize_t, pwrite, (BYTES, off_t o), (fd, data, n, o), fd_within(fd))
WRITES(ssize_t, pwrite64, (BYTES, off64_t o), (fd, data, n, o), fd_within(fd))
WRITES(ssize_t, writev, (VECTOR), (fd, data, n), fd > 2 && fd_within(fd))
WRITES(ssize_t, pwritev, (VECTOR, off_t o), (fd, data, n, o), fd_within(fd))
WRITES(ssize_t, pwritev64, (VECTOR, off64_t o), (fd, data, n, o), fd_within(fd))
WRITES(ssize_t, sendfile, (int fd, int in, off_t *o, size_t n), (fd, in, o, n), fd_within(fd))
WRITES(ssize_t, sendfile64, (int fd, int in, off64_t *o, size_t n), (fd, in, o, n), fd_within(fd))
WRITES(ssize_t, copy_file_range,
       (int in, off64_t *i, int fd, off64_t *o, size_t n, unsigned f),
       (in, i, fd, o, n, f), fd_within(fd))

CALL(int, fsync, (int fd), (fd), fd_within(fd), GROWS)
CALL(int, fdatasync, (int fd), (fd), fd_within(fd), GROWS)
CALL(int, ftruncate, (int fd, off_t n), (fd, n), fd_within(fd), GROWS)
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n), fd_within(fd), GROWS)
CALL(int, posix_fallocate, (int fd, off_t o, off_t n), (fd, o, n), fd_within(fd), GROWS)
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), fd_within(fd), GROWS)
CALL(int, futimens, (int fd, const struct timespec t[2]), (fd, t), fd_within(fd), GROWS)

#define PATH const char *path
#define HERE at_within(AT_FDCWD, path)
CALL(int, truncate, (PATH, off_t n), (path, n), HERE, GROWS)
CALL(int, truncate64, (PATH, off64_t n), (path, n), HERE, GROWS)
CALL(int, mkdir, (PATH, mode_t mode), (path, mode), HERE, GROWS)
CALL(int, mkdirat, (int at, PATH, mode_t mode), (at, path, mode), at_within(at, path), GROWS)
CALL(int, chmod, (PATH, mode_t mode), (path, mode), HERE, GROWS)
CALL(int, fchmodat, (int at, PATH, mode_t m, int f), (at, path, m, f), at_within(at, path), GROWS)
CALL(int, utimensat, (int at, PATH, const struct timespec t[2], int f), (at, path, t, f),
     at_within(at, path), GROWS)
CALL(int, utimes, (PATH, const struct timeval t[2]), (path, t), HERE, GROWS)
CALL(int, rename, (const char *from, PATH), (from, path), HERE, GROWS)
CALL(int, renameat, (int f, const char *from, int at, PATH), (f, from, at, path),
     at_within(at, path), GROWS)
CALL(int, link, (const char *from, PATH), (from, path), HERE, GROWS)
CALL(int, symlink, (const char *from, PATH), (from, path), HERE, GROWS)
CALL(int, unlink, (PATH), (path), HERE, SHRINKS)
CALL(int, unlinkat, (int at, PATH, int f), (at, path, f), at_within(at, path), SHRINKS)
CALL(int, rmdir, (PATH), (path), HERE, SHRINKS)

/* Linux closes the file even where it says that the last of it could not be written. */
int close(int fd) {
    LOOK(fd > 2 && is_written(fd), SHRINKS)
    int error = errno, result = REAL(close)(fd);
    if (hit != 1) return result;
    errno = error;
    return -1;
}
