/* disk.c - names and folders of any disk.
 *
 * What is more than one call (disk_replace, disk_make_folder, ...) uses the
 * table of functions only, so that simulated disks share it.
 *
 * disk_replace(), and what a crash leaves after each step:
 * 1. the new bytes are written beside, path + ".tmp"    the old file
 * 2. they are synced                                    the old file
 * 3. they are renamed over path                         the old or the new one
 * 4. the folder is synced                               the new one
 * A failure before 4 removes what lies beside; one in 4 leaves open which of
 * both a crash would give, as every failed sync does. */
#include "run/file.h"
#include "base/mem.h"

#include <string.h>

enum err disk_rename(struct disk *disk, const char *from, const char *to,
                     struct why *why)
{
    return disk->ops->rename(disk, from, to, why);
}

enum err disk_remove(struct disk *disk, const char *path, struct why *why)
{
    return disk->ops->remove(disk, path, why);
}

static void disk_list_nothing(void *arg, const char *name, bool is_folder)
{
    (void)arg;
    (void)name;
    (void)is_folder;
}

/* ERR_EXISTS is no error where a folder is what exists. */
static enum err disk_make_one(struct disk *disk, const char *path,
                              struct why *why)
{
    enum err err = disk->ops->make_folder(disk, path, why);

    if (err == ERR_EXISTS && disk->ops->list(disk, path, disk_list_nothing,
                                             NULL, NULL) == ERR_NONE) {
        return ERR_NONE;
    }
    return err;
}

enum err disk_make_folder(struct disk *disk, const char *path, struct why *why)
{
    enum err err = disk_make_one(disk, path, why);
    char *parent;

    if (err != ERR_NOT_FOUND) {
        return err;
    }
    parent = mem_dupz(path);
    err = ERR_NONE;
    for (char *at = parent + 1; *at != '\0' && err == ERR_NONE; at++) {
        if (*at == '/') {
            *at = '\0';
            err = disk_make_one(disk, parent, why);
            *at = '/';
        }
    }
    mem_free(parent);
    return err == ERR_NONE ? disk_make_one(disk, path, why) : err;
}

enum err disk_remove_folder(struct disk *disk, const char *path,
                            struct why *why)
{
    return disk->ops->remove_folder(disk, path, why);
}

enum err disk_sync_folder(struct disk *disk, const char *path, struct why *why)
{
    return disk->ops->sync_folder(disk, path, why);
}

enum err disk_list(struct disk *disk, const char *path, disk_list_cb each,
                   void *arg, struct why *why)
{
    return disk->ops->list(disk, path, each, arg, why);
}

enum err disk_modified_ms(struct disk *disk, const char *path, int64_t *wall_ms,
                          struct why *why)
{
    return disk->ops->modified_ms(disk, path, wall_ms, why);
}

uint64_t disk_free_bytes(struct disk *disk, const char *path)
{
    return disk->ops->free_bytes(disk, path);
}

bool disk_exists(struct disk *disk, const char *path)
{
    int64_t wall_ms;

    return disk->ops->modified_ms(disk, path, &wall_ms, NULL) == ERR_NONE;
}

char *disk_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return mem_dupz(".");
    }
    return mem_dup(path, slash == path ? 1 : (size_t)(slash - path));
}

enum err disk_sync_parent(struct disk *disk, const char *path, struct why *why)
{
    char *parent = disk_parent(path);
    enum err err = disk_sync_folder(disk, parent, why);

    mem_free(parent);
    return err;
}

/* A file of these bytes, on disk but for its name. */
static enum err disk_write_synced(struct disk *disk, const char *path,
                                  const void *bytes, size_t count,
                                  struct why *why)
{
    struct iovec part = {(void *)(uintptr_t)bytes, count};
    struct file *file;
    enum err err = file_open(disk, path, FILE_WRITE, &file, why);

    if (err != ERR_NONE) {
        return err;
    }
    err = file_truncate(file, 0, why);
    if (err == ERR_NONE && count > 0) {
        err = file_write(file, 0, &part, 1, why);
    }
    if (err == ERR_NONE) {
        err = file_sync(file, why);
    }
    file_close(file);
    return err;
}

enum err disk_replace(struct disk *disk, const char *path, const void *bytes,
                      size_t count, struct why *why)
{
    char *beside = mem_printf("%s.tmp", path);
    enum err err = disk_write_synced(disk, beside, bytes, count, why);

    if (err == ERR_NONE) {
        err = disk_rename(disk, beside, path, why);
    }
    if (err != ERR_NONE) {
        enum err ignored = disk_remove(disk, beside, NULL);

        (void)ignored;
    } else {
        err = disk_sync_parent(disk, path, why);
    }
    mem_free(beside);
    return err;
}

enum err disk_read_all(struct disk *disk, const char *path, size_t limit,
                       char **bytes, size_t *count, struct why *why)
{
    struct file *file;
    uint64_t size;
    char *all = NULL;
    enum err err = file_open(disk, path, FILE_READ, &file, why);

    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(file, &size, why);
    if (err == ERR_NONE && size > limit) {
        err =
            why_set(why, ERR_TOO_LARGE, "\"%s\" has %llu bytes, more than %zu",
                    path, (unsigned long long)size, limit);
    }
    if (err == ERR_NONE) {
        all = mem_zalloc((size_t)size + 1);
        err = file_read(file, 0, all, (size_t)size, count, why);
    }
    file_close(file);
    if (err != ERR_NONE) {
        mem_free(all);
        return err;
    }
    *bytes = all;
    return ERR_NONE;
}
