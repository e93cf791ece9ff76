/* disk_real.c - the machine's own disk.
 *
 * Each system call is repeated when a signal interrupts it; reads and writes go
 * on after a short one. What fails becomes an error and a text with what to do:
 *
 * ENOSPC, EDQUOT   ERR_FULL       passes: nothing was lost
 * EMFILE, ENFILE   ERR_LIMIT      passes: nothing was lost
 * ENOENT           ERR_NOT_FOUND
 * EEXIST           ERR_EXISTS
 * all else         ERR_DISK       of a sync: nobody knows what is on disk */
#include "run/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILE_MODE = 0600, FILE_FOLDER_MODE = 0700 };

/* What a person can do about it; "" where the text of the error says it. */
static const char *real_remedy(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return "; free some space on its volume";
    case EMFILE:
        return "; raise ulimit -n, or lower limits.connections";
    case ENFILE:
        return "; raise fs.file-max with sysctl";
    case EACCES:
    case EPERM:
        return "; it must belong to the user that runs tidemark";
    case EIO:
        return "; look for errors of the disk in the kernel's log (dmesg)";
    default:
        return "";
    }
}

/* errno as an error, and what to do as a text. */
static enum err real_failed(const char *verb, const char *path, struct why *why)
{
    int number = errno;
    char text[128];
    enum err err = ERR_DISK;

    if (number == ENOSPC || number == EDQUOT) {
        err = ERR_FULL;
    } else if (number == EMFILE || number == ENFILE) {
        err = ERR_LIMIT;
    } else if (number == ENOENT) {
        err = ERR_NOT_FOUND;
    } else if (number == EEXIST) {
        err = ERR_EXISTS;
    }
    return why_set(why, err, "could not %s \"%s\": %s%s", verb, path,
                   strerror_r(number, text, sizeof(text)), real_remedy(number));
}

/* Takes count for an error when nothing was written: the caller would try for
 * ever. Gives whether it is one; errno says which. */
static bool real_wrote_nothing(ssize_t count)
{
    if (count == 0) {
        errno = EIO;
    }
    return count <= 0;
}

/* What the modes of file.h are to open(). */
static enum err real_open(struct disk *disk, const char *path,
                          enum file_mode mode, struct file **out,
                          struct why *why)
{
    static const int flags[] = {
        [FILE_READ] = O_RDONLY,
        [FILE_WRITE] = O_RDWR | O_CREAT,
        [FILE_CREATE] = O_RDWR | O_CREAT | O_EXCL,
    };
    int fd = (int)TEMP_FAILURE_RETRY(
        open(path, flags[mode] | O_CLOEXEC | O_NOCTTY, FILE_MODE));
    struct file *file;

    if (fd < 0) {
        return real_failed("open", path, why);
    }
    file = MEM_NEW(struct file);
    *file = (struct file){.disk = disk, .fd = fd, .path = mem_dupz(path)};
    *out = file;
    return ERR_NONE;
}

/* What close() has to say comes too late: file_sync() is where it counts. */
static void real_close(struct file *file)
{
    close(file->fd);
    mem_free(file->path);
    mem_free(file);
}

/* Goes on after a short read: less than wanted is the end of the file. */
static enum err real_read(struct file *file, uint64_t position, void *into,
                          size_t bytes, size_t *got, struct why *why)
{
    char *at = into;

    *got = 0;
    while (*got < bytes) {
        ssize_t count = TEMP_FAILURE_RETRY(
            pread(file->fd, at + *got, bytes - *got, (off_t)(position + *got)));

        if (count < 0) {
            return real_failed("read", file->path, why);
        }
        if (count == 0) {
            break;
        }
        *got += (size_t)count;
    }
    return ERR_NONE;
}

/* The rest of one part, in as many calls as it takes. */
static enum err real_write_rest(struct file *file, uint64_t *position,
                                const char *at, size_t bytes, struct why *why)
{
    while (bytes > 0) {
        ssize_t count =
            TEMP_FAILURE_RETRY(pwrite(file->fd, at, bytes, (off_t)*position));

        if (real_wrote_nothing(count)) {
            return real_failed("write", file->path, why);
        }
        at += count;
        bytes -= (size_t)count;
        *position += (uint64_t)count;
    }
    return ERR_NONE;
}

/* The kernel takes IOV_MAX parts a call. A call that wrote less may have
 * stopped within a part: its rest is written alone, and the vector goes on
 * behind it. */
static enum err real_write(struct file *file, uint64_t position,
                           const struct iovec *parts, int count,
                           struct why *why)
{
    int at = 0;

    while (at < count) {
        ssize_t written = TEMP_FAILURE_RETRY(pwritev(
            file->fd, &parts[at], MIN(count - at, IOV_MAX), (off_t)position));
        size_t rest;

        if (parts[at].iov_len > 0 ? real_wrote_nothing(written) : written < 0) {
            return real_failed("write", file->path, why);
        }
        position += (uint64_t)written;
        rest = (size_t)written;
        while (at < count && rest >= parts[at].iov_len) {
            rest -= parts[at].iov_len;
            at++;
        }
        if (rest > 0) {
            enum err err = real_write_rest(
                file, &position, (const char *)parts[at].iov_base + rest,
                parts[at].iov_len - rest, why);

            if (err != ERR_NONE) {
                return err;
            }
            at++;
        }
    }
    return ERR_NONE;
}

static enum err real_sync(struct file *file, struct why *why)
{
    if (TEMP_FAILURE_RETRY(fdatasync(file->fd)) != 0) {
        return real_failed("sync", file->path, why);
    }
    return ERR_NONE;
}

static enum err real_truncate(struct file *file, uint64_t bytes,
                              struct why *why)
{
    if (TEMP_FAILURE_RETRY(ftruncate(file->fd, (off_t)bytes)) != 0) {
        return real_failed("truncate", file->path, why);
    }
    return ERR_NONE;
}

static enum err real_size(struct file *file, uint64_t *bytes, struct why *why)
{
    struct stat info;

    if (fstat(file->fd, &info) != 0) {
        return real_failed("read the size of", file->path, why);
    }
    *bytes = (uint64_t)info.st_size;
    return ERR_NONE;
}

static enum err real_rename(struct disk *disk, const char *from, const char *to,
                            struct why *why)
{
    (void)disk;
    if (rename(from, to) != 0) {
        enum err err = real_failed("rename", from, why);

        return why_wrap(why, err, "could not make \"%s\"", to);
    }
    return ERR_NONE;
}

static enum err real_remove(struct disk *disk, const char *path,
                            struct why *why)
{
    (void)disk;
    return unlink(path) == 0 ? ERR_NONE : real_failed("remove", path, why);
}

static enum err real_make_folder(struct disk *disk, const char *path,
                                 struct why *why)
{
    (void)disk;
    return mkdir(path, FILE_FOLDER_MODE) == 0
               ? ERR_NONE
               : real_failed("make the folder", path, why);
}

static enum err real_remove_folder(struct disk *disk, const char *path,
                                   struct why *why)
{
    (void)disk;
    return rmdir(path) == 0 ? ERR_NONE
                            : real_failed("remove the folder", path, why);
}

/* A folder's own fsync: names that were made or removed in it. */
static enum err real_sync_folder(struct disk *disk, const char *path,
                                 struct why *why)
{
    int fd =
        (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    enum err err = ERR_NONE;

    (void)disk;
    if (fd < 0) {
        return real_failed("open the folder", path, why);
    }
    if (TEMP_FAILURE_RETRY(fsync(fd)) != 0) {
        err = real_failed("sync the folder", path, why);
    }
    close(fd);
    return err;
}

/* Some file systems do not tell the kind in the entry itself. */
static bool real_is_folder(DIR *folder, const struct dirent *entry)
{
    struct stat info;

    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) ==
               0 &&
           S_ISDIR(info.st_mode);
}

/* errno alone tells the end of a folder from a failure. */
static enum err real_list(struct disk *disk, const char *path,
                          disk_list_cb each, void *arg, struct why *why)
{
    DIR *folder = opendir(path);
    enum err err = ERR_NONE;

    (void)disk;
    if (folder == NULL) {
        return real_failed("open the folder", path, why);
    }
    for (;;) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(folder);
        if (entry == NULL) {
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            each(arg, entry->d_name, real_is_folder(folder, entry));
        }
    }
    if (errno != 0) {
        err = real_failed("read the folder", path, why);
    }
    closedir(folder);
    return err;
}

static enum err real_modified_ms(struct disk *disk, const char *path,
                                 int64_t *wall_ms, struct why *why)
{
    struct stat info;

    (void)disk;
    if (stat(path, &info) != 0) {
        return real_failed("read the times of", path, why);
    }
    *wall_ms =
        (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    return ERR_NONE;
}

static uint64_t real_free_bytes(struct disk *disk, const char *path)
{
    struct statvfs info;

    (void)disk;
    if (TEMP_FAILURE_RETRY(statvfs(path, &info)) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)info.f_bavail * info.f_frsize;
}

static const struct disk_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .truncate = real_truncate,
    .size = real_size,
    .rename = real_rename,
    .remove = real_remove,
    .make_folder = real_make_folder,
    .remove_folder = real_remove_folder,
    .sync_folder = real_sync_folder,
    .list = real_list,
    .modified_ms = real_modified_ms,
    .free_bytes = real_free_bytes,
};

struct disk *disk_real(void)
{
    static struct disk disk = {&real_ops};

    return &disk;
}
