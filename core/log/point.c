/* point.c - storing and noting under a lock. */
#include "log/point.h"

#include "base/mem.h"
#include "base/must.h"

void point_init(struct point *point, struct disk *disk, const char *folder,
                const struct small_files_point *stored)
{
    *point = (struct point){.disk = disk,
                            .folder = folder,
                            .cut_offset = INT64_MAX,
                            .stored = *stored,
                            .noted = *stored};
    must(pthread_mutex_init(&point->lock, NULL) == 0);
}

void point_fini(struct point *point)
{
    file_close(point->file);
    point->file = NULL;
    (void)pthread_mutex_destroy(&point->lock);
}

void point_forget_idle(struct point *point)
{
    if (pthread_mutex_trylock(&point->lock) != 0) {
        return;
    }
    if (!point->used) {
        file_close(point->file);
        point->file = NULL;
    }
    point->used = false;
    must(pthread_mutex_unlock(&point->lock) == 0);
}

uint32_t point_cuts(struct point *point)
{
    uint32_t cuts;

    must(pthread_mutex_lock(&point->lock) == 0);
    cuts = point->cuts;
    must(pthread_mutex_unlock(&point->lock) == 0);
    return cuts;
}

/* Under the lock. */
static enum err point_write(struct point *point,
                            const struct small_files_point *it, struct why *why)
{
    struct small_files_point next = *it;
    enum err err;

    next.number = point->stored.number;
    point->used = true;
    err = small_files_save_point(point->disk, point->folder, &point->file,
                                 &next, why);
    if (!err) {
        point->stored = next;
        point->noted = next;
    }
    return err;
}

enum err point_store(struct point *point, uint32_t cuts,
                     const struct small_files_point *it, struct why *why)
{
    enum err err = ERR_NONE;

    must(pthread_mutex_lock(&point->lock) == 0);
    if (cuts == point->cuts) {
        err = point_write(
            point, it->offset < point->noted.offset ? &point->noted : it, why);
    }
    must(pthread_mutex_unlock(&point->lock) == 0);
    return err;
}

enum err point_note(struct point *point, uint32_t cuts,
                    const struct small_files_point *it, struct why *why)
{
    struct small_files_point next = *it;
    enum err err = ERR_NONE;

    must(pthread_mutex_lock(&point->lock) == 0);
    if (cuts == point->cuts && it->offset > point->noted.offset) {
        next.number = point->stored.number;
        point->used = true;
        err = small_files_note_point(point->disk, point->folder, &point->file,
                                     &next, why);
        if (!err) {
            point->noted = next;
        }
        must(point->stored.offset <= point->noted.offset);
    }
    must(pthread_mutex_unlock(&point->lock) == 0);
    return file_err_passes(err) ? ERR_NONE : err;
}

enum err point_file_save(struct disk *disk, const struct point_file *file,
                         struct why *why)
{
    struct str bytes = str_sub(file->bytes, file->count);

    return file->is_kafka
               ? small_files_save_bytes(disk, file->path, bytes,
                                        file->is_synced, why)
               : small_files_save_state(disk, file->path, file->offset, bytes,
                                        file->is_synced, why);
}

enum err point_save(struct point *point, uint32_t cuts,
                    const struct point_file *files, struct why *why)
{
    enum err err = ERR_NONE;

    must(pthread_mutex_lock(&point->lock) == 0);
    for (; !err && files != NULL; files = files->next) {
        if (cuts != point->cuts && files->offset > point->cut_offset) {
            continue;
        }
        err = point_file_save(point->disk, files, why);
        err = err == ERR_FULL && !files->is_needed ? ERR_NONE : err;
    }
    must(pthread_mutex_unlock(&point->lock) == 0);
    return err;
}

enum err point_lower(struct point *point, const struct small_files_point *it,
                     int64_t flushed_end, bool in_flight, bool *lowered,
                     struct why *why)
{
    enum err err = ERR_NONE;

    must(pthread_mutex_lock(&point->lock) == 0);
    point->cuts++;
    point->cut_offset =
        in_flight ? MIN(point->cut_offset, it->offset) : it->offset;
    *lowered = it->offset <= MAX(flushed_end, point->noted.offset);
    if (*lowered) {
        err = point_write(point, it, why);
    }
    must(pthread_mutex_unlock(&point->lock) == 0);
    return err;
}

struct point_file *point_files_cut(struct point_file *files, int64_t offset)
{
    struct point_file **at = &files;

    while (*at != NULL) {
        struct point_file *file = *at;

        if (file->offset <= offset) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        file->next = NULL;
        point_files_free(file);
    }
    return files;
}

void point_files_free(struct point_file *files)
{
    while (files != NULL) {
        struct point_file *next = files->next;

        mem_free(files->path);
        mem_free(files->bytes);
        mem_free(files);
        files = next;
    }
}
