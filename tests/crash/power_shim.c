/*
 * A library to preload into the release binary: it writes down all that the
 * process does to the files below one folder, with the bytes, and each sync
 * when it began and when it ended. power.py reads that journal, and so knows
 * what a power cut at its end would have left: what was synced for certain,
 * of the rest anything.
 *
 *   POWER_ROOT     the folder, as an absolute path without links
 *   POWER_JOURNAL  a file for the journal; without it nothing is done
 *
 * A record is a line of fields between tabs, and data behind it for a write:
 *
 *   write    INODE OFFSET BYTES
 *   size     INODE BYTES           shorter, or longer by zeros
 *   file     INODE PATH            made, and empty
 *   folder   INODE PATH            made
 *   rename   FROM TO
 *   remove   PATH
 *   syncing  NUMBER INODE          fsync or fdatasync begins
 *   synced   NUMBER                that one has succeeded
 *   failed   NUMBER                or not
 *
 * Invariants
 *
 * 1. A record is written after what it tells succeeded, and under the lock
 *    under which that was done: records have the order of their effects.
 * 2. A sync covers what was written down before its "syncing"; nothing that
 *    was done before it began is missing there, by 1.
 * 3. "synced" is written before the process learns of it.
 *
 * The calls go on to the next library, so one that fails or kills (fault_shim,
 * loaded behind this one) acts under the lock too, but in a sync: what a kill
 * at any other call leaves is exactly what is written down. Calls that the
 * product does not make are not here; a test compares the journal with the
 * folder and would miss them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function of that name in the next library. */
#define NEXT(name) (__extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static struct {
    const char *root;
    int journal; /* -1: nothing is written down */
    long syncs;
    pthread_mutex_t lock;
} power = {.journal = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

__attribute__((constructor)) static void power_start(void)
{
    const char *journal = getenv("POWER_JOURNAL");

    power.root = getenv("POWER_ROOT");
    if (journal != NULL && power.root != NULL) {
        power.journal =
            (int)syscall(SYS_openat, AT_FDCWD, journal,
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
}

/* What cannot be written down must not go unseen. */
static void power_give_up(const char *why)
{
    fprintf(stderr, "power_shim: %s\n", why);
    abort();
}

static void power_put(const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes > 0) {
        long count = syscall(SYS_write, power.journal, at, bytes);

        if (count <= 0) {
            power_give_up("the journal cannot be written");
        }
        at += count;
        bytes -= (size_t)count;
    }
}

__attribute__((format(printf, 1, 2))) static void power_tell(const char *format,
                                                             ...)
{
    char line[2 * PATH_MAX + 100];
    int kept = errno;
    va_list args;

    va_start(args, format);
    power_put(line, (size_t)vsnprintf(line, sizeof line, format, args));
    va_end(args);
    errno = kept;
}

static bool power_covers(const char *path)
{
    size_t length = strlen(power.root);

    return strncmp(path, power.root, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static unsigned long long power_inode(int fd)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        power_give_up("an open file has no inode");
    }
    return (unsigned long long)info.st_ino;
}

/* Whether a file below the root is what the descriptor leads to. */
static bool power_watches(int fd)
{
    char link[32], path[PATH_MAX];
    int kept = errno;
    ssize_t length;

    if (power.journal < 0) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    errno = kept;
    return power_covers(path);
}

static bool power_watches_path(const char *path)
{
    return power.journal >= 0 && power_covers(path);
}

static void power_lock(void)
{
    pthread_mutex_lock(&power.lock);
}

static void power_unlock(void)
{
    pthread_mutex_unlock(&power.lock);
}

/* Tells of the first `bytes` of the parts, which were written at the position;
 * below 0 it is the file's own, which has moved behind them. */
static void power_tell_write(int fd, const struct iovec *parts, off_t position,
                             size_t bytes)
{
    off_t from =
        position >= 0 ? position : lseek(fd, 0, SEEK_CUR) - (off_t)bytes;

    power_tell("write\t%llu\t%lld\t%zu\n", power_inode(fd), (long long)from,
               bytes);
    for (; bytes > 0; parts++) {
        size_t part = parts->iov_len < bytes ? parts->iov_len : bytes;

        power_put(parts->iov_base, part);
        bytes -= part;
    }
}

/* A position below 0 is the file's own. */
static ssize_t power_writev(int fd, const struct iovec *parts, int count,
                            off_t position)
{
    return position < 0 ? NEXT(writev)(fd, parts, count)
                        : NEXT(pwritev)(fd, parts, count, position);
}

static ssize_t power_write(int fd, const struct iovec *parts, int count,
                           off_t position)
{
    ssize_t written;

    if (!power_watches(fd)) {
        return power_writev(fd, parts, count, position);
    }
    power_lock();
    written = power_writev(fd, parts, count, position);
    if (written > 0) {
        power_tell_write(fd, parts, position, (size_t)written);
    }
    power_unlock();
    return written;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};

    return power_write(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return power_write(fd, parts, count, -1);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t position)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};

    return power_write(fd, &part, 1, position);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t position)
{
    return pwrite(fd, data, bytes, position);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t position)
{
    return power_write(fd, parts, count, position);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count,
                  off64_t position)
{
    return pwritev(fd, parts, count, position);
}

/* A sync waits for the disk outside the lock: others write meanwhile, and what
 * they write it does not cover. */
static int power_sync(int fd, int (*sync_next)(int))
{
    long number;
    int result;

    if (!power_watches(fd)) {
        return sync_next(fd);
    }
    power_lock();
    number = ++power.syncs;
    power_tell("syncing\t%ld\t%llu\n", number, power_inode(fd));
    power_unlock();
    result = sync_next(fd);
    power_lock();
    power_tell("%s\t%ld\n", result == 0 ? "synced" : "failed", number);
    power_unlock();
    return result;
}

int fsync(int fd)
{
    return power_sync(fd, NEXT(fsync));
}

int fdatasync(int fd)
{
    return power_sync(fd, NEXT(fdatasync));
}

int ftruncate(int fd, off_t bytes)
{
    int result;

    if (!power_watches(fd)) {
        return NEXT(ftruncate)(fd, bytes);
    }
    power_lock();
    result = NEXT(ftruncate)(fd, bytes);
    if (result == 0) {
        power_tell("size\t%llu\t%lld\n", power_inode(fd), (long long)bytes);
    }
    power_unlock();
    return result;
}

int ftruncate64(int fd, off64_t bytes)
{
    return ftruncate(fd, bytes);
}

/* Only what makes the file longer shows. */
int fallocate(int fd, int mode, off_t position, off_t bytes)
{
    struct stat info;
    int result;

    if (!power_watches(fd) || (mode & FALLOC_FL_KEEP_SIZE) != 0) {
        return NEXT(fallocate)(fd, mode, position, bytes);
    }
    power_lock();
    if (mode != 0 || fstat(fd, &info) != 0) {
        power_give_up("space is taken from a file in an unknown way");
    }
    result = NEXT(fallocate)(fd, mode, position, bytes);
    if (result == 0 && position + bytes > info.st_size) {
        power_tell("size\t%llu\t%lld\n", power_inode(fd),
                   (long long)(position + bytes));
    }
    power_unlock();
    return result;
}

static int power_open(const char *path, int flags, mode_t mode)
{
    bool existed;
    int fd;

    if (!power_watches_path(path)) {
        return NEXT(open)(path, flags, mode);
    }
    if ((flags & (O_DSYNC | O_DIRECT)) != 0) {
        power_give_up("a file is opened so that writes need no sync");
    }
    power_lock();
    existed = access(path, F_OK) == 0;
    fd = NEXT(open)(path, flags, mode);
    if (fd >= 0 && !existed) {
        power_tell("file\t%llu\t%s\n", power_inode(fd), path);
    } else if (fd >= 0 && (flags & O_TRUNC) != 0) {
        power_tell("size\t%llu\t0\n", power_inode(fd));
    }
    power_unlock();
    return fd;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if ((flags & O_CREAT) != 0) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return power_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if ((flags & O_CREAT) != 0) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return power_open(path, flags, mode);
}

/* What open() is in a program that was compiled with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return power_open(path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return power_open(path, flags, 0);
}

int mkdir(const char *path, mode_t mode)
{
    int result;

    if (!power_watches_path(path)) {
        return NEXT(mkdir)(path, mode);
    }
    power_lock();
    result = NEXT(mkdir)(path, mode);
    if (result == 0) {
        struct stat info;

        if (stat(path, &info) != 0) {
            power_give_up("a folder was made and is not there");
        }
        power_tell("folder\t%llu\t%s\n", (unsigned long long)info.st_ino, path);
    }
    power_unlock();
    return result;
}

int rename(const char *from, const char *to)
{
    int result;

    if (!power_watches_path(from) && !power_watches_path(to)) {
        return NEXT(rename)(from, to);
    }
    power_lock();
    result = NEXT(rename)(from, to);
    if (result == 0) {
        power_tell("rename\t%s\t%s\n", from, to);
    }
    power_unlock();
    return result;
}

/* unlink and rmdir. */
static int power_remove(const char *path, int (*remove_next)(const char *))
{
    int result;

    if (!power_watches_path(path)) {
        return remove_next(path);
    }
    power_lock();
    result = remove_next(path);
    if (result == 0) {
        power_tell("remove\t%s\n", path);
    }
    power_unlock();
    return result;
}

int unlink(const char *path)
{
    return power_remove(path, NEXT(unlink));
}

int rmdir(const char *path)
{
    return power_remove(path, NEXT(rmdir));
}
