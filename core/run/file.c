/* file.c - an open file of any disk. */
#include "run/file.h"

enum err file_open(struct disk *disk, const char *path, enum file_mode mode,
                   struct file **out, struct why *why)
{
    return disk->ops->open(disk, path, mode, out, why);
}

void file_close(struct file *file)
{
    if (file != NULL) {
        file->disk->ops->close(file);
    }
}

enum err file_read(struct file *file, uint64_t position, void *into,
                   size_t bytes, size_t *got, struct why *why)
{
    return file->disk->ops->read(file, position, into, bytes, got, why);
}

enum err file_read_whole(struct file *file, uint64_t position, void *into,
                         size_t bytes, struct why *why)
{
    size_t got;
    enum err err = file_read(file, position, into, bytes, &got, why);

    if (err == ERR_NONE && got < bytes) {
        return why_set(why, ERR_TORN,
                       "\"%s\" ends %zu bytes behind position %llu, not %zu",
                       file->path, got, (unsigned long long)position, bytes);
    }
    return err;
}

enum err file_write(struct file *file, uint64_t position,
                    const struct iovec *parts, int count, struct why *why)
{
    return file->disk->ops->write(file, position, parts, count, why);
}

enum err file_sync(struct file *file, struct why *why)
{
    return file->disk->ops->sync(file, why);
}

enum err file_truncate(struct file *file, uint64_t bytes, struct why *why)
{
    return file->disk->ops->truncate(file, bytes, why);
}

enum err file_size(struct file *file, uint64_t *bytes, struct why *why)
{
    return file->disk->ops->size(file, bytes, why);
}
