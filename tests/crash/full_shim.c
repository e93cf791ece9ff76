/*
 * A library to preload into the release binary: a folder of it is a small
 * volume, which gets full. For machines where nobody may mount a real one.
 *
 *   FULL_PROGRAM  the process that it is for, by its name (tidemark)
 *   FULL_FOLDER   the folder that is the volume
 *   FULL_BYTES    how many bytes it has
 *
 * What is used is what the files of the folder take on the disk: looked up at
 * each call, so that whoever removes a file, or puts one there, from outside
 * makes room or takes it. A write or allocation that does not fit fails with
 * ENOSPC, and statvfs() tells the numbers of the volume. Blocks are 4 KiB;
 * names and folders take nothing.
 *
 * System calls are made directly, as in fault_shim.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCK = 4096, STAT_BLOCK = 512 };

static struct {
    bool on;
    char folder[PATH_MAX];
    uint64_t bytes;
} volume;

/* What is used changes within calls of one thread at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *program = getenv("FULL_PROGRAM");
    const char *folder = getenv("FULL_FOLDER");
    const char *bytes = getenv("FULL_BYTES");
    char exe[PATH_MAX];
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe,
                             sizeof exe - 1);
    const char *name;

    exe[length < 0 ? 0 : length] = '\0';
    name = strrchr(exe, '/');
    if (program == NULL || folder == NULL || bytes == NULL || name == NULL ||
        strcmp(name + 1, program) != 0) {
        return;
    }
    snprintf(volume.folder, sizeof volume.folder, "%s", folder);
    volume.bytes = strtoull(bytes, NULL, 10);
    volume.on = true;
}

static uint64_t used_below(const char *folder)
{
    DIR *dir = opendir(folder);
    uint64_t used = 0;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[PATH_MAX * 2];
        struct stat info;

        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0 || lstat(path, &info) != 0) {
            continue;
        }
        used += S_ISDIR(info.st_mode) ? used_below(path)
                                      : (uint64_t)info.st_blocks * STAT_BLOCK;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return used;
}

static uint64_t left(void)
{
    uint64_t used = used_below(volume.folder);

    return used < volume.bytes ? volume.bytes - used : 0;
}

static bool is_on_volume(const char *path)
{
    size_t length = strlen(volume.folder);

    return volume.on && strncmp(path, volume.folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static bool is_ours(int fd)
{
    char link[64];
    char path[PATH_MAX];
    ssize_t length;

    if (!volume.on) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0) {
        return false;
    }
    path[length] = '\0';
    return is_on_volume(path);
}

/* Whether the file may have the bytes up to end. Under the lock. */
static bool fits(int fd, uint64_t end)
{
    struct stat info;
    uint64_t has;
    uint64_t wants = (end + BLOCK - 1) / BLOCK * BLOCK;

    if (fstat(fd, &info) != 0) {
        return true;
    }
    has = (uint64_t)info.st_blocks * STAT_BLOCK;
    return wants <= has || wants - has <= left();
}

#define GUARDED(fd, end, call)                                                 \
    do {                                                                       \
        long done = -1;                                                        \
        int number = ENOSPC;                                                   \
        if (!is_ours(fd)) {                                                    \
            return call;                                                       \
        }                                                                      \
        pthread_mutex_lock(&lock);                                             \
        if (fits(fd, end)) {                                                   \
            done = call;                                                       \
            number = errno;                                                    \
        }                                                                      \
        pthread_mutex_unlock(&lock);                                           \
        errno = number;                                                        \
        return done;                                                           \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t count)
{
    GUARDED(fd, (uint64_t)lseek(fd, 0, SEEK_CUR) + count,
            syscall(SYS_write, fd, bytes, count));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    GUARDED(fd, (uint64_t)at + count,
            syscall(SYS_pwrite64, fd, bytes, count, at));
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    return pwrite64(fd, bytes, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    uint64_t bytes = 0;

    for (int i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    GUARDED(fd, (uint64_t)at + bytes,
            syscall(SYS_pwritev, fd, parts, count, at, 0L));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return pwritev64(fd, parts, count, at);
}

static long allocate(int fd, int mode, off64_t at, off64_t bytes)
{
    GUARDED(fd, (uint64_t)(at + bytes),
            syscall(SYS_fallocate, fd, mode, at, bytes));
}

int fallocate64(int fd, int mode, off64_t at, off64_t bytes)
{
    return (int)allocate(fd, mode, at, bytes);
}

int fallocate(int fd, int mode, off_t at, off_t bytes)
{
    return (int)allocate(fd, mode, at, bytes);
}

int statvfs(const char *path, struct statvfs *out)
{
    char whole[PATH_MAX];
    struct stat info;

    if (!volume.on || realpath(path, whole) == NULL || !is_on_volume(whole)) {
        /* Nobody else asks about anything but a size. */
        memset(out, 0, sizeof *out);
        out->f_bsize = out->f_frsize = BLOCK;
        out->f_blocks = out->f_bfree = out->f_bavail = 1 << 24;
        return stat(path, &info);
    }
    memset(out, 0, sizeof *out);
    out->f_bsize = out->f_frsize = BLOCK;
    out->f_blocks = volume.bytes / BLOCK;
    out->f_bfree = out->f_bavail = left() / BLOCK;
    out->f_files = out->f_ffree = out->f_favail = 1 << 20;
    out->f_namemax = NAME_MAX;
    return 0;
}

int statvfs64(const char *path, struct statvfs64 *out)
{
    return statvfs(path, (struct statvfs *)(void *)out);
}
