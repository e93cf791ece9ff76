/* log_folder.c - owner, names and small files, as a start finds them. */
#include "log/log_folder.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"
#include <stdlib.h>

enum { LOG_FOLDER_EPOCHS_BYTES_MAX = 64 << 20 };

/* ---- whose it is ---- */

/* Room for the log's folder: another topic's, which has its name, takes
 * another. */
static enum err log_folder_set_aside(struct log_folder *folder,
                                     struct uuid other, struct why *why)
{
    struct log *log = folder->log;
    char *parent = disk_parent(log->folder);
    const char *slash = strrchr(log->folder, '/');
    char id[UUID_TEXT_BYTES];
    char *to;
    enum err err;

    uuid_text(other, id);
    to = mem_printf("%s/%.*s.%s" NAMES_STRAY, parent, NAMES_STEM_BYTES_MAX,
                    slash == NULL ? log->folder : slash + 1, id);
    err = disk_rename(log->env->disk, log->folder, to, why);
    if (err) {
        err = why_wrap(why, ERR_EXISTS, "another topic's folder is in the way");
    } else {
        trace(TRACE_WARN,
              "\"%s\" was of another topic, %s: it is \"%s\" now; remove it "
              "if nobody misses it",
              log->folder, id, to);
        err = disk_make_folder(log->env->disk, log->folder, why);
    }
    mem_free(to);
    mem_free(parent);
    return err;
}

enum err log_folder_claim(struct log_folder *folder, struct uuid topic_id,
                          struct why *why)
{
    struct disk *disk = folder->log->env->disk;
    const char *path = folder->log->folder;
    struct uuid other;
    bool made = false;
    enum err err = disk_make_folder(disk, path, why);

    if (err || uuid_is_zero(topic_id)) {
        return err;
    }
    err = small_files_claim(disk, path, topic_id, &made, &other, why);
    if (err == ERR_EXISTS) {
        err = log_folder_set_aside(folder, other, why);
        err = err ? err
                  : small_files_claim(disk, path, topic_id, &made, &other, why);
    }
    folder->changed = folder->changed || made;
    return err;
}

/* ---- names ---- */

/* What stays is met again at the next start. */
static void log_folder_remove_path(const struct log_folder *folder,
                                   const char *path)
{
    struct why why;
    enum err err = disk_remove(folder->log->env->disk, path, &why);

    if (err && err != ERR_NOT_FOUND) {
        trace(TRACE_WARN, "a file that is left over stays: %s", why.text);
    }
}

static void log_folder_remove_name(const struct log_folder *folder,
                                   const char *name)
{
    char path[NAMES_PATH_BYTES];

    names_join(path, folder->log->folder, name);
    log_folder_remove_path(folder, path);
}

void log_folder_remove(const struct log_folder *folder, int64_t base,
                       const char *suffix)
{
    char path[NAMES_PATH_BYTES];

    names_path(path, folder->log->folder, base, suffix);
    log_folder_remove_path(folder, path);
}

static void log_folder_name(void *arg, const char *name, bool is_folder)
{
    struct log_folder *folder = arg;
    int64_t base;

    if (is_folder) {
        return;
    }
    if (names_parse(name, NAMES_LOG, &base)) {
        if (folder->count == folder->capacity) {
            folder->capacity = MAX(folder->capacity * 2, 4U);
            folder->found = mem_realloc(
                folder->found, sizeof(folder->found[0]) * folder->capacity);
        }
        folder->found[folder->count++] = (struct recover_segment){.base = base};
    } else if (names_ends_with(name, NAMES_DELETED) ||
               names_ends_with(name, ".tmp")) {
        log_folder_remove_name(folder, name);
    }
}

static int log_folder_compare(const void *a, const void *b)
{
    int64_t left = ((const struct recover_segment *)a)->base;
    int64_t right = ((const struct recover_segment *)b)->base;

    return (left > right) - (left < right);
}

/* An index without its .log is a leftover of a removal. */
static void log_folder_orphan(void *arg, const char *name, bool is_folder)
{
    const struct log_folder *folder = arg;
    struct recover_segment it = {0};

    if (is_folder || (!names_parse(name, NAMES_INDEX, &it.base) &&
                      !names_parse(name, NAMES_TIMES, &it.base))) {
        return;
    }
    if (folder->count == 0 || bsearch(&it, folder->found, folder->count,
                                      sizeof(it), log_folder_compare) == NULL) {
        log_folder_remove_name(folder, name);
    }
}

enum err log_folder_list(struct log_folder *folder, struct why *why)
{
    struct disk *disk = folder->log->env->disk;
    const char *path = folder->log->folder;
    enum err err = disk_list(disk, path, log_folder_name, folder, why);

    if (folder->count > 0) {
        qsort(folder->found, folder->count, sizeof(folder->found[0]),
              log_folder_compare);
    }
    return err ? err : disk_list(disk, path, log_folder_orphan, folder, why);
}

/* ---- small files ---- */

static enum err log_folder_load_epochs(struct log_folder *folder,
                                       struct why *why)
{
    struct log *log = folder->log;
    char path[NAMES_PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    enum err err;

    if (log->no_epochs) { /* an older version kept them */
        log_folder_remove_name(folder, NAMES_EPOCHS);
        return ERR_NONE;
    }
    names_join(path, log->folder, NAMES_EPOCHS);
    err = disk_read_all(log->env->disk, path, LOG_FOLDER_EPOCHS_BYTES_MAX,
                        &text, &bytes, why);
    if (err == ERR_NOT_FOUND) {
        return ERR_NONE;
    }
    if (!err && epochs_decode(&log->epochs, str_sub(text, bytes))) {
        trace(TRACE_WARN, "cannot read \"%s\": epochs are taken from batches",
              path);
    }
    mem_free(text);
    return err;
}

enum err log_folder_load(struct log_folder *folder, struct why *why)
{
    struct log *log = folder->log;
    struct small_files_point *point = &log->loaded;
    enum err err = small_files_load_start(log->env->disk, log->folder,
                                          &folder->start, why);

    if (err == ERR_CORRUPT) {
        trace(TRACE_WARN, "%s: the log starts at its first segment", why->text);
        err = ERR_NONE;
    }
    if (!err) {
        err = small_files_load_point(log->env->disk, log->folder, point, why);
    }
    folder->clean = folder->clean && !point->unsealed;
    folder->changed = folder->changed || point->unsealed;
    folder->point = (struct recover_point){.offset = point->offset,
                                           .base = point->base,
                                           .position = point->position};
    return err ? err : log_folder_load_epochs(folder, why);
}

void log_folder_fini(struct log_folder *folder)
{
    mem_free(folder->found);
    folder->found = NULL;
}
