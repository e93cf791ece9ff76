/* folder.c - flock() on data/.lock, and the mark data/.clean. */
#include "broker/folder.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_BYTES_MAX = 256 << 20 };

struct folder {
    char *path;
    char *clean_path;
    int lock_fd;
};

static enum err folder_locked(struct folder *folder, const char *lock_path,
                              struct why *why)
{
    char holder[32] = "";
    ssize_t got = pread(folder->lock_fd, holder, sizeof(holder) - 1, 0);

    holder[MAX(got, 0)] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return why_set(
        why, ERR_IN_USE,
        "the data folder \"%s\" is in use by process %s; stop it, or "
        "choose another folder with --set node.data_dir=PATH (the "
        "lock is %s)",
        folder->path, holder[0] != '\0' ? holder : "?", lock_path);
}

static enum err folder_lock(struct folder *folder, struct why *why)
{
    char *lock_path = mem_printf("%s/.lock", folder->path);
    enum err err = ERR_NONE;
    char pid[32];
    int bytes;

    folder->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0) {
        err = why_set(why,
                      errno == EACCES || errno == EROFS ? ERR_DENIED : ERR_DISK,
                      "cannot write in the data folder \"%s\": %s; make it "
                      "writable for this user, or choose another with --set "
                      "node.data_dir=PATH",
                      folder->path, strerror(errno));
    } else if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK
                  ? folder_locked(folder, lock_path, why)
                  : why_set(why, ERR_DISK, "cannot lock \"%s\": %s", lock_path,
                            strerror(errno));
    } else {
        bytes = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
        if (ftruncate(folder->lock_fd, 0) != 0 ||
            pwrite(folder->lock_fd, pid, (size_t)bytes, 0) != bytes) {
            err = why_set(why, ERR_DISK, "cannot write \"%s\": %s", lock_path,
                          strerror(errno));
        }
    }
    mem_free(lock_path);
    return err;
}

/* Takes the mark away, durably, before anything is changed. */
static enum err folder_take_mark(struct folder *folder, bool *clean,
                                 struct why *why)
{
    struct disk *disk = disk_real();
    enum err err;

    *clean = disk_exists(disk, folder->clean_path);
    if (!*clean) {
        return ERR_NONE;
    }
    err = disk_remove(disk, folder->clean_path, why);
    return err == ERR_NONE ? disk_sync_folder(disk, folder->path, why) : err;
}

enum err folder_open(const char *path, struct folder **out, bool *clean,
                     struct why *why)
{
    struct folder *folder = MEM_NEW(struct folder);
    enum err err;

    folder->path = mem_dupz(path);
    folder->clean_path = mem_printf("%s/.clean", path);
    folder->lock_fd = -1;
    err = disk_make_folder(disk_real(), path, why);
    if (err != ERR_NONE) {
        why_wrap(why, err,
                 "cannot make the data folder; make its parent writable for "
                 "this user, or choose another place with --set "
                 "node.data_dir=PATH");
    }
    if (err == ERR_NONE) {
        err = folder_lock(folder, why);
    }
    if (err == ERR_NONE) {
        err = folder_take_mark(folder, clean, why);
    }
    if (err != ERR_NONE) {
        folder_close(folder);
        return err;
    }
    *out = folder;
    return ERR_NONE;
}

enum err folder_mark_clean(struct folder *folder, struct why *why)
{
    return disk_replace(disk_real(), folder->clean_path, "", 0, why);
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
