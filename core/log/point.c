/* point.c - one that stores, and notes that pass it by. */
#include "log/point.h"

#include "base/mem.h"
#include "base/must.h"

void point_init(struct point *point, struct disk *disk, const char *folder,
                const struct small_files_point *stored)
{
    *point = (struct point){.disk = disk,
                            .folder = folder,
                            .cut_offset = INT64_MAX,
                            .synced = stored->number,
                            .number = stored->number,
                            .noted = *stored};
    must(pthread_mutex_init(&point->storing, NULL) == 0);
    must(pthread_mutex_init(&point->lock, NULL) == 0);
}

void point_fini(struct point *point)
{
    file_close(point->file);
    point->file = NULL;
    (void)pthread_mutex_destroy(&point->lock);
    (void)pthread_mutex_destroy(&point->storing);
}

static void point_lock(pthread_mutex_t *lock)
{
    must(pthread_mutex_lock(lock) == 0);
}

static void point_unlock(pthread_mutex_t *lock)
{
    must(pthread_mutex_unlock(lock) == 0);
}

void point_forget_idle(struct point *point)
{
    if (pthread_mutex_trylock(&point->storing) != 0) {
        return;
    }
    if (pthread_mutex_trylock(&point->lock) == 0) {
        if (!point->used) {
            file_close(point->file);
            point->file = NULL;
        }
        point->used = false;
        point_unlock(&point->lock);
    }
    point_unlock(&point->storing);
}

/* Stores it, or what was noted above it if keep_noted. Under storing, which
 * keeps the file open. */
static enum err point_write(struct point *point,
                            const struct small_files_point *it, bool keep_noted,
                            struct why *why)
{
    struct small_files_point next;
    enum err err;

    point_lock(&point->lock);
    next = keep_noted && it->offset < point->noted.offset ? point->noted : *it;
    next.number = point->synced;
    point->used = true;
    err = small_files_write_point(point->disk, point->folder, &point->file,
                                  &next, why);
    if (!err) {
        point->number = next.number;
        point->noted = next;
    }
    point_unlock(&point->lock);
    if (!err) {
        err = small_files_sync_point(point->disk, point->folder, point->file,
                                     &next, why);
    }
    if (!err) {
        point->synced = next.number;
    }
    return err;
}

enum err point_store(struct point *point, uint32_t cuts,
                     const struct small_files_point *it, struct why *why)
{
    enum err err = ERR_NONE;

    point_lock(&point->storing);
    if (cuts == point_cuts(point)) {
        err = point_write(point, it, true, why);
    }
    point_unlock(&point->storing);
    return err;
}

enum err point_note(struct point *point, uint32_t cuts,
                    const struct small_files_point *it, struct why *why)
{
    struct small_files_point next = *it;
    enum err err = ERR_NONE;

    point_lock(&point->lock);
    if (cuts == point_cuts(point) && it->offset > point->noted.offset) {
        next.number = point->number;
        point->used = true;
        err = small_files_note_point(point->disk, point->folder, &point->file,
                                     &next, why);
        if (!err) {
            point->noted = next;
        }
    }
    point_unlock(&point->lock);
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

    if (files == NULL) {
        return ERR_NONE;
    }
    point_lock(&point->storing);
    for (; !err && files != NULL; files = files->next) {
        if (cuts != point_cuts(point) && files->offset > point->cut_offset) {
            continue;
        }
        err = point_file_save(point->disk, files, why);
        err = err == ERR_FULL && !files->is_needed ? ERR_NONE : err;
    }
    point_unlock(&point->storing);
    return err;
}

enum err point_lower(struct point *point, const struct small_files_point *it,
                     int64_t flushed_end, bool in_flight, bool *lowered,
                     struct why *why)
{
    enum err err = ERR_NONE;

    point_lock(&point->storing);
    point->cut_offset =
        in_flight ? MIN(point->cut_offset, it->offset) : it->offset;
    point_lock(&point->lock);
    atomic_store_explicit(&point->cuts, point_cuts(point) + 1,
                          memory_order_relaxed);
    *lowered = it->offset <= MAX(flushed_end, point->noted.offset);
    point_unlock(&point->lock);
    if (*lowered) {
        err = point_write(point, it, false, why);
    }
    point_unlock(&point->storing);
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
