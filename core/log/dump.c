/* dump.c - one pass over each segment, with its indexes beside.
 *
 * Index entries are sorted as the batches are, so each is compared when the
 * scan comes to the batch that it should speak of. */
#include "log/dump.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "log/small_files.h"
#include "log/epochs_core.h"
#include "log/names.h"
#include "log/producer_files_core.h"
#include "log/scan.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DUMP_PAYLOAD_MAX = 256 << 20,
    DUMP_FILE_MAX = 1 << 30,
    DUMP_TEXT_BYTES = 400,
    DUMP_OFFSET_ENTRY = 8,
    DUMP_TIME_ENTRY = 12,
};

/* Names of one kind, as 20-digit bases. */
struct dump_bases {
    int64_t *list;
    size_t count;
    size_t capacity;
};

struct dump {
    struct disk *disk;
    const struct dump_options *options;
    struct dump_counts *counts;
    const char *folder;
    const char *partition;
    struct dump_bases logs;
    struct dump_bases snapshots;
    struct dump_bases deeps;
    struct small_files_point point;
    struct epochs epochs;
    int64_t expected; /* the lowest offset that may come */
    enum err err;
};

/* An index file in memory, and how far it has been compared. */
struct dump_index {
    char name[64];
    char *bytes;
    size_t count;
    size_t at;
    size_t each;
};

static void dump_tell(struct dump *d, struct dump_event event)
{
    event.folder = d->folder;
    event.partition = d->partition;
    d->counts->problems += event.kind == DUMP_PROBLEM;
    d->counts->tails += event.kind == DUMP_TAIL;
    if (d->options->each != NULL) {
        d->options->each(d->options->arg, &event);
    }
}

static void dump_problem(struct dump *d, const char *file, uint64_t position,
                         int64_t offset, const char *format, ...)
    PRINTF_LIKE(5, 6);

static void dump_problem(struct dump *d, const char *file, uint64_t position,
                         int64_t offset, const char *format, ...)
{
    char text[DUMP_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dump_tell(d, (struct dump_event){.kind = DUMP_PROBLEM,
                                     .file = file,
                                     .position = position,
                                     .offset = offset,
                                     .text = text});
}

/* ---- indexes ---- */

/* Entries that were never written, at the end: a running Kafka makes the files
 * of its last segment as large as they may become. */
static bool dump_index_is_blank(const struct dump_index *index, size_t at)
{
    const char *entry = index->bytes + at * index->each;

    for (size_t i = 0; i < index->each; i++) {
        if (entry[i] != 0) {
            return false;
        }
    }
    return true;
}

static void dump_index_open(struct dump *d, struct dump_index *index,
                            int64_t base, const char *suffix, size_t each)
{
    bool is_last = base == d->logs.list[d->logs.count - 1];
    char path[NAMES_PATH_BYTES];
    size_t bytes = 0;
    enum err err;

    names_path(path, d->folder, base, suffix);
    *index = (struct dump_index){.each = each};
    (void)snprintf(index->name, sizeof(index->name), "%020" PRId64 "%s", base,
                   suffix);
    err = disk_read_all(d->disk, path, DUMP_FILE_MAX, &index->bytes, &bytes,
                        NULL);
    if (err && err != ERR_NOT_FOUND) {
        dump_problem(d, index->name, 0, -1, "cannot be read: %s",
                     err_text(err));
    }
    if (bytes % each != 0) {
        dump_problem(d, index->name, bytes, -1, "ends inside an entry");
    }
    index->count = bytes / each;
    while (is_last && index->count > 0 &&
           dump_index_is_blank(index, index->count - 1)) {
        index->count--;
    }
}

/* Compares the offset entries that point to this batch, or before it. */
static void dump_offsets(struct dump *d, struct dump_index *index, int64_t base,
                         const struct scan_batch *batch)
{
    for (; index->at < index->count; index->at++) {
        const char *entry = index->bytes + index->at * index->each;
        int64_t offset = base + bytes_get_i32(entry);
        int64_t position = bytes_get_i32(entry + 4);

        if (position > (int64_t)batch->position) {
            return;
        }
        if (position < (int64_t)batch->position ||
            offset != batch_last_offset(&batch->header)) {
            dump_problem(d, index->name, index->at * index->each, offset,
                         "entry says that offset %" PRId64
                         " is at position %" PRId64 ", and it is not",
                         offset, position);
        }
    }
}

/* The same for the time entries; max: the largest timestamp up to this batch,
 * which lies in the batch that ends at max_offset. */
static void dump_times(struct dump *d, struct dump_index *index, int64_t base,
                       const struct scan_batch *batch, int64_t max,
                       int64_t max_offset)
{
    for (; index->at < index->count; index->at++) {
        const char *entry = index->bytes + index->at * index->each;
        int64_t time = bytes_get_i64(entry);
        int64_t offset = base + bytes_get_i32(entry + 8);

        if (offset > batch_last_offset(&batch->header)) {
            return;
        }
        if (offset != max_offset || time != max) {
            dump_problem(d, index->name, index->at * index->each, offset,
                         "entry says that offset %" PRId64
                         " has the largest timestamp %" PRId64
                         " so far, and it has not",
                         offset, time);
        }
    }
}

/* Entries that nothing was found for. */
static void dump_index_close(struct dump *d, struct dump_index *index)
{
    if (index->at < index->count) {
        dump_problem(d, index->name, index->at * index->each, -1,
                     "%zu entries are behind the last batch",
                     index->count - index->at);
    }
    mem_free(index->bytes);
}

/* ---- batches ---- */

static void dump_records(struct dump *d, const char *file,
                         const struct scan_batch *batch, const uint8_t *bytes)
{
    const struct batch_header *h = &batch->header;
    struct arena arena = {0};
    struct record_iter iter;
    struct record record;
    struct str payload = STR_NULL;
    enum err err = batch_payload(bytes, h, DUMP_PAYLOAD_MAX, &arena, &payload);

    if (err) {
        dump_problem(d, file, batch->position, h->base_offset,
                     "records do not unpack: %s", err_text(err));
        arena_reset(&arena);
        return;
    }
    record_iter_init(&iter, h, payload);
    while (record_iter_next(&iter, &record)) {
        d->counts->records++;
        if (d->options->records) {
            dump_tell(d, (struct dump_event){
                             .kind = DUMP_RECORD,
                             .file = file,
                             .position = batch->position,
                             .offset = h->base_offset + record.offset_delta,
                             .batch = h,
                             .record = &record,
                             .timestamp = record_timestamp(h, &record)});
        }
    }
    err = record_iter_finish(&iter);
    if (err) {
        dump_problem(d, file, batch->position, h->base_offset,
                     "records do not match the header");
    }
    arena_reset(&arena);
}

static enum err dump_batch(struct dump *d, const char *file, struct scan *scan,
                           const struct scan_batch *batch, struct why *why)
{
    const struct batch_header *h = &batch->header;
    uint8_t *bytes = NULL;
    enum err err = ERR_NONE;

    d->counts->batches++;
    d->counts->bytes += (uint32_t)h->bytes;
    dump_tell(d, (struct dump_event){.kind = DUMP_BATCH,
                                     .file = file,
                                     .position = batch->position,
                                     .offset = h->base_offset,
                                     .batch = h});
    d->expected = batch_last_offset(h) + 1;
    bytes = mem_alloc((size_t)h->bytes);
    err = scan_load(scan, batch, bytes, why);
    if (!err) {
        dump_records(d, file, batch, bytes);
    }
    mem_free(bytes);
    return err;
}

/* A bad batch: a tail above the flushed point, else damage. Gives whether the
 * scan goes on. */
static bool dump_bad(struct dump *d, const char *file, int64_t base,
                     struct scan *scan, int64_t high, const struct why *why)
{
    uint64_t position = scan->position;
    bool sure = d->point.offset >= 0 &&
                (base < d->point.base ||
                 (base == d->point.base && position < d->point.position));

    if (!sure) {
        dump_tell(d, (struct dump_event){.kind = DUMP_TAIL,
                                         .file = file,
                                         .position = position,
                                         .offset = d->expected,
                                         .text = why->text});
        return false;
    }
    dump_problem(d, file, position, d->expected, "%s", why->text);
    return scan_resync(scan, d->expected + 1, high, NULL) == ERR_NONE;
}

/* Where the next segment begins; INT64_MAX: there is none. */
static int64_t dump_next_base(const struct dump *d, int64_t base)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < d->logs.count; i++) {
        if (d->logs.list[i] > base) {
            next = MIN(next, d->logs.list[i]);
        }
    }
    return next;
}

/* Of what is not known to be on the disk, the file may not know yet. */
static int32_t dump_epoch_of(void *arg, int64_t offset)
{
    const struct dump *d = arg;

    return offset < d->point.offset ? epochs_of(&d->epochs, offset) : -1;
}

/* One .log, which is open, with its indexes. */
static enum err dump_scan(struct dump *d, const char *name, int64_t base,
                          struct file *file, uint64_t end, struct why *why)
{
    struct dump_index offsets;
    struct dump_index times;
    struct scan_batch batch;
    struct scan scan;
    int64_t max = -1;
    int64_t max_offset = -1;
    int64_t next_base = dump_next_base(d, base);
    enum err err = ERR_NONE;

    dump_index_open(d, &offsets, base, NAMES_INDEX, DUMP_OFFSET_ENTRY);
    dump_index_open(d, &times, base, NAMES_TIMES, DUMP_TIME_ENTRY);
    scan_init(&scan, file, 0, end);
    scan.epoch_of = dump_epoch_of;
    scan.epoch_arg = d;
    for (;;) {
        bool is_below_point =
            base == d->point.base && scan.position < d->point.position;
        int64_t high =
            is_below_point ? MIN(next_base, d->point.offset) : next_base;

        err = scan_next_in(&scan, d->expected, high, &batch, why);
        if (err == ERR_NOT_FOUND || err == ERR_DISK) {
            break;
        }
        if (err) {
            if (!dump_bad(d, name, base, &scan, high, why)) {
                err = ERR_NONE;
                break;
            }
            continue;
        }
        if (batch.header.max_timestamp > max) {
            max = batch.header.max_timestamp;
            max_offset = batch_last_offset(&batch.header);
        }
        dump_offsets(d, &offsets, base, &batch);
        dump_times(d, &times, base, &batch, max, max_offset);
        err = dump_batch(d, name, &scan, &batch, why);
        if (err) {
            break;
        }
    }
    scan_fini(&scan);
    dump_index_close(d, &offsets);
    dump_index_close(d, &times);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err dump_segment(struct dump *d, size_t at, struct why *why)
{
    int64_t base = d->logs.list[at];
    char path[NAMES_PATH_BYTES];
    const char *name = path + strlen(d->folder) + 1;
    struct file *file = NULL;
    uint64_t end = 0;
    enum err err;

    names_path(path, d->folder, base, NAMES_LOG);
    d->counts->segments++;
    dump_tell(d, (struct dump_event){
                     .kind = DUMP_SEGMENT, .file = name, .offset = base});
    if (base < d->expected) {
        dump_problem(d, name, 0, base, "the segment before it ends at %" PRId64,
                     d->expected);
    }
    d->expected = base;
    err = file_open(d->disk, path, FILE_READ, &file, why);
    if (!err) {
        err = file_size(file, &end, why);
    }
    if (!err) {
        err = dump_scan(d, name, base, file, end, why);
    }
    file_close(file);
    return err;
}

/* ---- the small files ---- */

static void dump_state(struct dump *d, const char *name, bool is_deep)
{
    char path[NAMES_PATH_BYTES];
    struct producer_state state;
    char *bytes = NULL;
    size_t count = 0;
    int64_t offset = -1;
    enum err err;

    names_join(path, d->folder, name);
    producer_state_init(&state, INT64_MAX);
    if (is_deep) {
        err = small_files_load_state(d->disk, path, &offset, &bytes, &count,
                                     NULL);
        err = err ? err
                  : producer_files_decode_deep(&state, str_sub(bytes, count));
    } else {
        err = disk_read_all(d->disk, path, DUMP_FILE_MAX, &bytes, &count, NULL);
        err =
            err ? err
                : producer_files_decode_kafka(&state, str_sub(bytes, count), 0);
    }
    if (err && err != ERR_NOT_FOUND) {
        dump_problem(d, name, 0, offset, "producers' state cannot be read: %s",
                     err_text(err));
    }
    producer_state_fini(&state);
    mem_free(bytes);
}

static void dump_states(struct dump *d)
{
    char name[64];

    for (size_t i = 0; i < d->snapshots.count; i++) {
        (void)snprintf(name, sizeof(name), "%020" PRId64 NAMES_SNAPSHOT,
                       d->snapshots.list[i]);
        dump_state(d, name, false);
    }
    for (size_t i = 0; i < d->deeps.count; i++) {
        (void)snprintf(name, sizeof(name), "%020" PRId64 NAMES_DEEP,
                       d->deeps.list[i]);
        dump_state(d, name, true);
    }
    dump_state(d, NAMES_STATE, true);
}

static void dump_small(struct dump *d)
{
    int64_t start = -1;
    enum err err = small_files_load_start(d->disk, d->folder, &start, NULL);

    if (err) {
        dump_problem(d, NAMES_START, 0, -1, "cannot be read: %s",
                     err_text(err));
    }
    if (d->expected < d->point.offset) {
        dump_problem(d, NULL, 0, d->expected,
                     "the log ends at %" PRId64
                     ", below the flushed point %" PRId64,
                     d->expected, d->point.offset);
    }
}

static void dump_epochs(struct dump *d)
{
    char path[NAMES_PATH_BYTES];
    char *text = NULL;
    size_t count = 0;
    enum err err;

    names_join(path, d->folder, NAMES_EPOCHS);
    err = disk_read_all(d->disk, path, DUMP_FILE_MAX, &text, &count, NULL);
    if (!err) {
        err = epochs_decode(&d->epochs, str_sub(text, count));
    }
    if (err && err != ERR_NOT_FOUND) {
        dump_problem(d, NAMES_EPOCHS, 0, -1, "cannot be read: %s",
                     err_text(err));
    }
    mem_free(text);
}

/* ---- folders ---- */

static void dump_bases_add(struct dump_bases *bases, int64_t base)
{
    if (bases->count == bases->capacity) {
        bases->capacity = MAX(bases->capacity * 2, (size_t)8);
        bases->list =
            mem_realloc(bases->list, bases->capacity * sizeof(bases->list[0]));
    }
    bases->list[bases->count++] = base;
}

static int dump_compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void dump_name(void *arg, const char *name, bool is_folder)
{
    struct dump *d = arg;
    int64_t base;

    if (is_folder) {
        return;
    }
    if (names_parse(name, NAMES_LOG, &base)) {
        dump_bases_add(&d->logs, base);
    } else if (names_parse(name, NAMES_SNAPSHOT, &base)) {
        dump_bases_add(&d->snapshots, base);
    } else if (names_parse(name, NAMES_DEEP, &base)) {
        dump_bases_add(&d->deeps, base);
    }
}

/* One partition; *found false when the folder has no segment. */
static enum err dump_partition(struct disk *disk, const char *folder,
                               const struct dump_options *options,
                               struct dump_counts *counts, bool *found,
                               struct why *why)
{
    const char *slash = strrchr(folder, '/');
    struct dump d = {.disk = disk,
                     .options = options,
                     .counts = counts,
                     .folder = folder,
                     .partition = slash == NULL ? folder : slash + 1};
    enum err err = disk_list(disk, folder, dump_name, &d, why);

    *found = d.logs.count > 0;
    if (!err && *found) {
        counts->partitions++;
        dump_tell(&d, (struct dump_event){.kind = DUMP_PARTITION});
        qsort(d.logs.list, d.logs.count, sizeof(d.logs.list[0]), dump_compare);
        err = small_files_load_point(disk, folder, &d.point, why);
        /* Behind the point: it never knows of an epoch that the file lacks. */
        dump_epochs(&d);
    }
    for (size_t i = 0; !err && i < d.logs.count; i++) {
        err = dump_segment(&d, i, why);
    }
    if (!err && *found) {
        dump_states(&d);
        dump_small(&d);
    }
    epochs_fini(&d.epochs);
    mem_free(d.logs.list);
    mem_free(d.snapshots.list);
    mem_free(d.deeps.list);
    return err;
}

/* Folders in a folder, sorted by name. */
struct dump_folders {
    char **list;
    size_t count;
    size_t capacity;
};

static void dump_folder_name(void *arg, const char *name, bool is_folder)
{
    struct dump_folders *folders = arg;

    if (!is_folder) {
        return;
    }
    if (folders->count == folders->capacity) {
        folders->capacity = MAX(folders->capacity * 2, (size_t)8);
        folders->list = mem_realloc(
            folders->list, folders->capacity * sizeof(folders->list[0]));
    }
    folders->list[folders->count++] = mem_dupz(name);
}

static int dump_folder_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All partitions right below path. */
static enum err dump_below(struct disk *disk, const char *path,
                           const struct dump_options *options,
                           struct dump_counts *counts, struct why *why)
{
    struct dump_folders folders = {0};
    enum err err = disk_list(disk, path, dump_folder_name, &folders, why);

    if (folders.count > 0) {
        qsort(folders.list, folders.count, sizeof(folders.list[0]),
              dump_folder_compare);
    }
    for (size_t i = 0; i < folders.count; i++) {
        char folder[NAMES_PATH_BYTES];
        bool found = false;

        if (!err) {
            names_join(folder, path, folders.list[i]);
            err = dump_partition(disk, folder, options, counts, &found, why);
        }
        mem_free(folders.list[i]);
    }
    mem_free(folders.list);
    return err;
}

/* path is a folder of partitions, or a data folder around one. */
static enum err dump_outer(struct disk *disk, const char *path,
                           const struct dump_options *options,
                           struct dump_counts *counts, struct why *why)
{
    char inner[NAMES_PATH_BYTES];
    enum err err;

    names_join(inner, path, "log");
    err = dump_below(disk, disk_exists(disk, inner) ? inner : path, options,
                     counts, why);
    if (!err && counts->partitions == 0) {
        err = why_set(why, ERR_NOT_FOUND, "no partition in \"%s\"", path);
    }
    return err;
}

enum err dump_folder(struct disk *disk, const char *path,
                     const struct dump_options *options,
                     struct dump_counts *counts, struct why *why)
{
    size_t bytes = strlen(path);
    struct why own = {""}; /* what is wrong with a batch is said in it, too */
    bool found = false;
    char *folder;
    enum err err;

    why = why == NULL ? &own : why;
    *counts = (struct dump_counts){0};
    if (bytes > NAMES_FOLDER_BYTES_MAX) {
        return why_set(why, ERR_NOT_FOUND, "path is too long");
    }
    while (bytes > 1 && path[bytes - 1] == '/') {
        bytes--;
    }
    folder = mem_dup(path, bytes);
    err = dump_partition(disk, folder, options, counts, &found, why);
    if (!err && !found) {
        err = dump_outer(disk, folder, options, counts, why);
    }
    mem_free(folder);
    return err;
}
