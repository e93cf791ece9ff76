/* log_find.c - searches by time, on any thread. */
#include "log/log_private.h"

#include "base/arena.h"
#include "base/mem.h"
#include "log/scan.h"

enum { LOG_FIND_PAYLOAD_MAX = 256 << 20 };

/* What is looked for in a segment: the first record at or after time. */
struct log_find {
    struct log *log;
    int64_t start_offset;
    struct view_mark visible;
    int64_t time;
    struct log_found *out;
};

/* The first record of the batch that fits. A batch that does not unpack counts
 * as one record with its largest time. */
static bool log_find_record(const struct log_find *find, struct scan *scan,
                            const struct scan_batch *batch)
{
    const struct batch_header *h = &batch->header;
    uint8_t *bytes = mem_alloc((size_t)h->bytes);
    struct arena arena = {0};
    struct record_iter iter;
    struct record record;
    struct str payload = STR_NULL;
    bool found = false;
    enum err err = scan_load(scan, batch, bytes, NULL);

    if (!err) {
        err = batch_payload(bytes, h, LOG_FIND_PAYLOAD_MAX, &arena, &payload);
    }
    if (err) {
        *find->out = (struct log_found){h->base_offset, h->max_timestamp,
                                        h->leader_epoch};
        found = true;
    } else {
        record_iter_init(&iter, h, payload);
        while (!found && record_iter_next(&iter, &record)) {
            int64_t offset = h->base_offset + record.offset_delta;
            int64_t time = record_timestamp(h, &record);

            if (time >= find->time && offset >= find->start_offset) {
                *find->out = (struct log_found){offset, time, h->leader_epoch};
                found = true;
            }
        }
    }
    arena_reset(&arena);
    mem_free(bytes);
    return found;
}

/* How far the segment is visible. */
static uint64_t log_find_limit(const struct segment *segment,
                               struct view_mark visible)
{
    return segment->base == visible.base
               ? MIN(visible.position, segment_bytes(segment))
               : segment_bytes(segment);
}

/* Where to begin: behind the last time entry below time, all of whose batches
 * are older. */
static enum err log_find_from(struct segment *segment, int64_t time,
                              uint64_t *position, struct why *why)
{
    struct index_entry entry;
    bool found = false;
    enum err err =
        index_floor(&segment->times, time, false, &entry, &found, why);

    *position = 0;
    if (!err && found) {
        err = index_floor(&segment->offsets, entry.value, false, &entry, &found,
                          why);
    }
    if (!err && found) {
        *position = (uint64_t)entry.value;
    }
    return err;
}

static enum err log_find_in(const struct log_find *find,
                            struct segment *segment, int64_t high, bool *found,
                            struct why *why)
{
    int64_t low = segment->base;
    struct lazy_handle *handle = NULL;
    uint64_t position = 0;
    struct scan scan;
    enum err err = log_find_from(segment, find->time, &position, why);

    err = err ? err : segment_take(segment, false, &handle, why);
    if (err) {
        return err;
    }
    log_scan_init(find->log, &scan, handle, position,
                  log_find_limit(segment, find->visible));
    while (!*found) {
        struct scan_batch batch;

        err = segment_scan_next(segment, &scan, &low, high, &batch, why);
        if (err) {
            break;
        }
        if (batch.header.max_timestamp >= find->time &&
            (batch.header.attributes & BATCH_CONTROL) == 0 &&
            batch_last_offset(&batch.header) >= find->start_offset) {
            *found = log_find_record(find, &scan, &batch);
        }
    }
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return err == ERR_DISK ? err : ERR_NONE;
}

enum err log_find_time(struct log *log, int64_t timestamp_ms,
                       struct log_found *out, struct why *why)
{
    struct view_list *list = view_take(&log->view);
    struct log_find find = {.log = log,
                            .start_offset = log_start_offset(log),
                            .visible = view_visible(&log->view),
                            .time = timestamp_ms,
                            .out = out};
    bool found = false;
    enum err err = ERR_NONE;

    *out = (struct log_found){-1, -1, -1};
    for (uint32_t i = 0; list != NULL && !err && !found && i < list->count;
         i++) {
        struct segment *segment = list->segments[i];

        if (segment->base <= find.visible.base &&
            atomic_load(&segment->max_timestamp) >= timestamp_ms) {
            err = log_find_in(&find, segment, log_high(list, i, find.visible),
                              &found, why);
        }
    }
    view_list_unref(list);
    return err == ERR_LIMIT ? ERR_DISK : err;
}

/* The largest time of what is visible of the segment. */
static enum err log_find_largest(struct log *log, struct segment *segment,
                                 struct view_mark visible, int64_t high,
                                 int64_t *time, struct why *why)
{
    int64_t low = segment->base;
    struct lazy_handle *handle = NULL;
    struct scan_batch batch;
    struct scan scan;
    enum err err;

    *time = atomic_load(&segment->max_timestamp);
    if (atomic_load(&segment->max_timestamp_offset) < visible.offset) {
        return ERR_NONE;
    }
    *time = -1;
    err = segment_take(segment, false, &handle, why);
    if (err) {
        return err;
    }
    log_scan_init(log, &scan, handle, 0, log_find_limit(segment, visible));
    while ((err = segment_scan_next(segment, &scan, &low, high, &batch, why)) ==
           ERR_NONE) {
        *time = MAX(*time, batch.header.max_timestamp);
    }
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return err == ERR_DISK ? err : ERR_NONE;
}

enum err log_find_max_timestamp(struct log *log, struct log_found *out,
                                struct why *why)
{
    struct view_list *list = view_take(&log->view);
    struct log_find find = {.log = log,
                            .start_offset = log_start_offset(log),
                            .visible = view_visible(&log->view),
                            .time = -1,
                            .out = out};
    struct segment *where = NULL;
    int64_t high = 0;
    bool found = false;
    enum err err = ERR_NONE;

    *out = (struct log_found){-1, -1, -1};
    for (uint32_t i = 0; list != NULL && !err && i < list->count; i++) {
        struct segment *segment = list->segments[i];
        int64_t time = -1;

        if (segment->base > find.visible.base) {
            break;
        }
        err = log_find_largest(log, segment, find.visible,
                               log_high(list, i, find.visible), &time, why);
        if (time > find.time) {
            find.time = time;
            where = segment;
            high = log_high(list, i, find.visible);
        }
    }
    if (!err && where != NULL) {
        err = log_find_in(&find, where, high, &found, why);
    }
    view_list_unref(list);
    return err == ERR_LIMIT ? ERR_DISK : err;
}
