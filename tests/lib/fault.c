/* fault.c - counts, and refuses the one that is due. */
#include "lib/fault.h"
#include "base/mem.h"
#include "base/must.h"

struct fault_file {
    struct file file; /* its fd is that of inner, for sendfile() */
    struct file *inner;
};

static struct fault *fault_of(struct disk *disk)
{
    return container_of(disk, struct fault, disk);
}

static struct file *fault_inner(struct file *file)
{
    return container_of(file, struct fault_file, file)->inner;
}

/* Whether this call is refused. */
static bool fault_hits(struct disk *disk, unsigned kind)
{
    struct fault *fault = fault_of(disk);
    uint64_t at = atomic_load(&fault->at);
    uint64_t call;

    if ((fault->kinds & kind) == 0) {
        return false;
    }
    call = atomic_fetch_add(&fault->calls, 1) + 1;
    if (at == 0 || call < at || (call > at && !fault->for_good)) {
        return false;
    }
    atomic_fetch_add(&fault->failed, 1);
    return true;
}

static enum err fault_refuse(struct disk *disk, const char *verb,
                             const char *path, struct why *why)
{
    return why_set(why, fault_of(disk)->err,
                   "could not %s \"%s\": the test says so", verb, path);
}

static enum err fault_open(struct disk *disk, const char *path,
                           enum file_mode mode, struct file **out,
                           struct why *why)
{
    struct file *inner;
    struct fault_file *file;
    enum err err;

    if (fault_hits(disk, FAULT_OPEN)) {
        return fault_refuse(disk, "open", path, why);
    }
    err = file_open(fault_of(disk)->inner, path, mode, &inner, why);
    if (err != ERR_NONE) {
        return err;
    }
    file = MEM_NEW(struct fault_file);
    file->file = (struct file){disk, inner->fd, inner->path};
    file->inner = inner;
    *out = &file->file;
    return ERR_NONE;
}

static void fault_close(struct file *file)
{
    file_close(fault_inner(file));
    mem_free(container_of(file, struct fault_file, file));
}

static enum err fault_read(struct file *file, uint64_t position, void *into,
                           size_t bytes, size_t *got, struct why *why)
{
    if (fault_hits(file->disk, FAULT_READ)) {
        return fault_refuse(file->disk, "read", file->path, why);
    }
    return file_read(fault_inner(file), position, into, bytes, got, why);
}

/* The first half of the bytes, if that is how it fails. */
static void fault_tear(struct file *file, uint64_t position,
                       const struct iovec *parts, int count)
{
    size_t total = 0;
    size_t left;

    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    left = total / 2;
    for (int i = 0; i < count && left > 0; i++) {
        struct iovec part = {parts[i].iov_base, MIN(parts[i].iov_len, left)};
        enum err err = file_write(fault_inner(file), position, &part, 1, NULL);

        (void)err;
        position += part.iov_len;
        left -= part.iov_len;
    }
}

static enum err fault_write(struct file *file, uint64_t position,
                            const struct iovec *parts, int count,
                            struct why *why)
{
    if (fault_hits(file->disk, FAULT_WRITE)) {
        if (fault_of(file->disk)->tears) {
            fault_tear(file, position, parts, count);
        }
        return fault_refuse(file->disk, "write", file->path, why);
    }
    return file_write(fault_inner(file), position, parts, count, why);
}

static enum err fault_sync(struct file *file, struct why *why)
{
    if (fault_hits(file->disk, FAULT_SYNC)) {
        return fault_refuse(file->disk, "sync", file->path, why);
    }
    return file_sync(fault_inner(file), why);
}

static enum err fault_truncate(struct file *file, uint64_t bytes,
                               struct why *why)
{
    if (fault_hits(file->disk, FAULT_WRITE)) {
        return fault_refuse(file->disk, "truncate", file->path, why);
    }
    return file_truncate(fault_inner(file), bytes, why);
}

static enum err fault_size(struct file *file, uint64_t *bytes, struct why *why)
{
    if (fault_hits(file->disk, FAULT_READ)) {
        return fault_refuse(file->disk, "read the size of", file->path, why);
    }
    return file_size(fault_inner(file), bytes, why);
}

static enum err fault_rename(struct disk *disk, const char *from,
                             const char *to, struct why *why)
{
    if (fault_hits(disk, FAULT_NAMES)) {
        return fault_refuse(disk, "rename", from, why);
    }
    return disk_rename(fault_of(disk)->inner, from, to, why);
}

static enum err fault_remove(struct disk *disk, const char *path,
                             struct why *why)
{
    if (fault_hits(disk, FAULT_NAMES)) {
        return fault_refuse(disk, "remove", path, why);
    }
    return disk_remove(fault_of(disk)->inner, path, why);
}

static enum err fault_make_folder(struct disk *disk, const char *path,
                                  struct why *why)
{
    struct disk *inner = fault_of(disk)->inner;

    if (fault_hits(disk, FAULT_NAMES)) {
        return fault_refuse(disk, "make the folder", path, why);
    }
    return inner->ops->make_folder(inner, path, why);
}

static enum err fault_remove_folder(struct disk *disk, const char *path,
                                    struct why *why)
{
    if (fault_hits(disk, FAULT_NAMES)) {
        return fault_refuse(disk, "remove the folder", path, why);
    }
    return disk_remove_folder(fault_of(disk)->inner, path, why);
}

static enum err fault_sync_folder(struct disk *disk, const char *path,
                                  struct why *why)
{
    if (fault_hits(disk, FAULT_SYNC)) {
        return fault_refuse(disk, "sync the folder", path, why);
    }
    return disk_sync_folder(fault_of(disk)->inner, path, why);
}

static enum err fault_list(struct disk *disk, const char *path,
                           disk_list_cb each, void *arg, struct why *why)
{
    if (fault_hits(disk, FAULT_READ)) {
        return fault_refuse(disk, "read the folder", path, why);
    }
    return disk_list(fault_of(disk)->inner, path, each, arg, why);
}

static enum err fault_modified_ms(struct disk *disk, const char *path,
                                  int64_t *wall_ms, struct why *why)
{
    if (fault_hits(disk, FAULT_READ)) {
        return fault_refuse(disk, "read the times of", path, why);
    }
    return disk_modified_ms(fault_of(disk)->inner, path, wall_ms, why);
}

static uint64_t fault_free_bytes(struct disk *disk, const char *path)
{
    return disk_free_bytes(fault_of(disk)->inner, path);
}

static const struct disk_ops fault_ops = {
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .sync = fault_sync,
    .truncate = fault_truncate,
    .size = fault_size,
    .rename = fault_rename,
    .remove = fault_remove,
    .make_folder = fault_make_folder,
    .remove_folder = fault_remove_folder,
    .sync_folder = fault_sync_folder,
    .list = fault_list,
    .modified_ms = fault_modified_ms,
    .free_bytes = fault_free_bytes,
};

void fault_init(struct fault *fault, struct disk *inner)
{
    *fault = (struct fault){
        .disk = {&fault_ops},
        .inner = inner,
        .kinds = FAULT_ALL,
        .err = ERR_DISK,
    };
}

void fault_arm(struct fault *fault, uint64_t at)
{
    atomic_store(&fault->at, at);
    atomic_store(&fault->calls, 0);
    atomic_store(&fault->failed, 0);
}

void fault_heal(struct fault *fault)
{
    atomic_store(&fault->at, 0);
}

void fault_each(struct fault *fault,
                void (*scenario)(struct fault *fault, void *arg), void *arg)
{
    static const struct {
        bool for_good;
        bool tears;
        enum err err;
        unsigned kinds;
    } ways[] = {
        {false, false, ERR_DISK, FAULT_ALL},
        {true, false, ERR_DISK, FAULT_ALL},
        {true, true, ERR_DISK, FAULT_ALL},
        {true, false, ERR_FULL, FAULT_ALL},
        {false, false, ERR_LIMIT, FAULT_OPEN},
        {true, false, ERR_LIMIT, FAULT_OPEN},
    };
    unsigned kinds = fault->kinds;

    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        fault->for_good = ways[i].for_good;
        fault->tears = ways[i].tears;
        fault->err = ways[i].err;
        fault->kinds = kinds & ways[i].kinds;
        for (uint64_t at = 1;; at++) {
            must(at < 100000);
            fault_arm(fault, at);
            scenario(fault, arg);
            if (atomic_load(&fault->failed) == 0) {
                break;
            }
        }
    }
    fault->kinds = kinds;
    fault_arm(fault, 0);
}
