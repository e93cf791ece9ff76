/* folder.c - flock() on data/.lock, and the mark data/.clean.
 *
 * The mark holds the number of the run that it ended, and is good for the next
 * one alone: each run takes a new number, durably, before it changes anything
 * (quorum/stable.h). So a mark that a crash brings back, or that was never
 * removed, says nothing false, and no start waits for its removal. */
#include "broker/folder.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_BYTES_MAX = 256 << 20, MARK_BYTES_MAX = 32, LOCK_BYTES = 16 };

struct folder {
    char *path;
    char *clean_path;
    int lock_fd;
};

static void folder_user(uid_t id, char *name, size_t size)
{
    const struct passwd *user = getpwuid(id);

    if (user != NULL) {
        snprintf(name, size, "%s", user->pw_name);
    } else {
        snprintf(name, size, "user %u", (unsigned)id);
    }
}

/* path, or the nearest folder above it that is there. */
static char *folder_nearest(const char *path, struct stat *info)
{
    char *where = mem_dupz(path);
    char *slash;

    while (stat(where, info) != 0 && strcmp(where, ".") != 0) {
        slash = strrchr(where, '/');
        if (slash == NULL) {
            *where = '.';
            slash = where + 1;
        } else if (slash == where) {
            slash++;
        }
        *slash = '\0';
    }
    return where;
}

/* After path could not be made or written, and why says so. Where it is a
 * matter of rights, says whose the folder is that refuses, and who asked. */
static enum err folder_refused(const char *path, enum err err, struct why *why)
{
    struct stat info = {0};
    char *where = folder_nearest(path, &info);
    int number = access(where, W_OK | X_OK) == 0 ? 0 : errno;
    char owner[64];
    char self[64];

    if (number != EACCES && number != EROFS) {
        mem_free(where);
        return why_wrap(why, err,
                        "choose another data folder with --set "
                        "node.data_dir=PATH");
    }
    folder_user(info.st_uid, owner, sizeof(owner));
    folder_user(geteuid(), self, sizeof(self));
    err = why_set(why, ERR_DENIED,
                  "cannot write in the data folder \"%s\": %s; \"%s\" belongs "
                  "to %s and this process runs as %s: make it writable, or "
                  "choose another folder with --set node.data_dir=PATH",
                  path, strerror(number), where, owner, self);
    mem_free(where);
    return err;
}

static enum err folder_locked(struct folder *folder, const char *lock_path,
                              struct why *why)
{
    char holder[32] = "";
    ssize_t got = pread(folder->lock_fd, holder, sizeof(holder) - 1, 0);

    holder[MAX(got, 0)] = '\0';
    holder[strcspn(holder, " \n")] = '\0';
    return why_set(
        why, ERR_IN_USE,
        "the data folder \"%s\" is in use by process %s; stop it, or "
        "choose another folder with --set node.data_dir=PATH (the "
        "lock is %s)",
        folder->path, holder[0] != '\0' ? holder : "?", lock_path);
}

/* The name of a folder is on disk when the one above it was synced, and each
 * above may be as new. Where we may not read and write we have made nothing. */
static enum err folder_keep_name(const char *path, struct why *why)
{
    char *above = mem_dupz(path);
    enum err err = ERR_NONE;
    char *slash;

    do {
        const char *at = ".";

        slash = strrchr(above, '/');
        if (slash != NULL) {
            *slash = '\0';
            at = slash == above ? "/" : above;
        }
        if (access(at, R_OK | W_OK) == 0) {
            err = disk_sync_folder(disk_real(), at, why);
        }
    } while (err == ERR_NONE && slash != NULL && slash != above);
    mem_free(above);
    return err;
}

/* The lock's file is the first in the folder: where it is, an earlier start
 * has come past here. */
static enum err folder_make(const char *path, struct why *why)
{
    char *lock_path = mem_printf("%s/.lock", path);
    enum err err = disk_make_folder(disk_real(), path, why);

    if (err != ERR_NONE) {
        err = folder_refused(path, err, why);
    } else if (!disk_exists(disk_real(), lock_path)) {
        err = folder_keep_name(path, why);
    }
    mem_free(lock_path);
    return err;
}

static enum err folder_lock(struct folder *folder, struct why *why)
{
    char *lock_path = mem_printf("%s/.lock", folder->path);
    enum err err = ERR_NONE;
    char pid[LOCK_BYTES + 1];

    folder->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0) {
        err = folder_refused(folder->path,
                             why_set(why, ERR_DISK, "could not open \"%s\": %s",
                                     lock_path, strerror(errno)),
                             why);
    } else if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK
                  ? folder_locked(folder, lock_path, why)
                  : why_set(why, ERR_DISK, "cannot lock \"%s\": %s", lock_path,
                            strerror(errno));
    } else {
        /* For people alone; on a full volume there may be no place for it. */
        snprintf(pid, sizeof(pid), "%-*ld\n", LOCK_BYTES - 1, (long)getpid());
        if (pwrite(folder->lock_fd, pid, LOCK_BYTES, 0) != LOCK_BYTES &&
            errno != ENOSPC && errno != EDQUOT) {
            err = why_set(why, ERR_DISK, "cannot write \"%s\": %s", lock_path,
                          strerror(errno));
        }
    }
    mem_free(lock_path);
    return err;
}

/* The run that the mark names; 0: there is none that can be read. Older
 * versions left an empty one. */
static uint64_t folder_read_mark(struct folder *folder)
{
    char *text = NULL;
    size_t bytes = 0;
    uint64_t start = 0;

    if (disk_read_all(disk_real(), folder->clean_path, MARK_BYTES_MAX, &text,
                      &bytes, NULL) == ERR_NONE) {
        start = strtoull(text, NULL, 10);
    }
    mem_free(text);
    return start;
}

enum err folder_open(const char *path, struct folder **out,
                     uint64_t *clean_start, struct why *why)
{
    struct folder *folder = MEM_NEW(struct folder);
    enum err err;

    folder->path = mem_dupz(path);
    folder->clean_path = mem_printf("%s/.clean", path);
    folder->lock_fd = -1;
    err = folder_make(path, why);
    if (err == ERR_NONE) {
        err = folder_lock(folder, why);
    }
    if (err != ERR_NONE) {
        folder_close(folder);
        return err;
    }
    *clean_start = folder_read_mark(folder);
    *out = folder;
    return ERR_NONE;
}

void folder_take_mark(struct folder *folder)
{
    (void)unlink(folder->clean_path);
}

enum err folder_mark_clean(struct folder *folder, uint64_t start,
                           struct why *why)
{
    char text[MARK_BYTES_MAX];
    int bytes =
        snprintf(text, sizeof(text), "%llu\n", (unsigned long long)start);

    return disk_replace(disk_real(), folder->clean_path, text, (size_t)bytes,
                        why);
}

uint64_t folder_reserve_bytes(const struct folder *folder)
{
    struct statvfs volume;

    if (statvfs(folder->path, &volume) != 0) {
        return 0;
    }
    return MIN((uint64_t)volume.f_blocks * volume.f_frsize / 20,
               (uint64_t)RESERVE_BYTES_MAX);
}

void folder_close(struct folder *folder)
{
    if (folder->lock_fd >= 0) {
        close(folder->lock_fd);
    }
    mem_free(folder->path);
    mem_free(folder->clean_path);
    mem_free(folder);
}
