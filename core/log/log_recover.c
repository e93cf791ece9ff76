/* log_recover.c - from files to a log: recover_core.h's rules, carried out.
 *
 * 1. Look at the names: leftovers go, segments are sorted.
 * 2. Load the start, the flushed point, the epochs.
 * 3. Segment by segment: load its indexes or make them anew, read what the plan
 *    says; cut or report.
 * 4. Mend the end: a log shorter than the point goes on at the point.
 * 5. The producers' state.
 * 6. What was read above the point is synced, the point stored: from here on
 *    the whole log counts as flushed. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/recover_core.h"
#include "log/scan.h"
#include <stdio.h>

enum { LOG_CUT_CHUNK_BYTES = 1 << 20, LOG_CUT_NAMES_MAX = 100000 };

struct log_recover {
    struct log *log;
    struct disk *disk;
    struct log_recovery *report;
    struct recover_segment *found; /* sorted by base */
    uint32_t found_count;
    uint32_t found_capacity;
    struct recover_point point;
    int64_t start;
    int64_t expected; /* the lowest offset that may come */
    int64_t last_end; /* of the last batch that was looked at */
    bool clean;
    bool changed; /* something is to be synced */
    bool epochs_changed; /* from what the file says */
    bool ended;   /* a cut: nothing of what follows stays */
    enum err err; /* of disk_list()'s calls */
};

/* A full disk keeps nothing from opening: what could not be written is made
 * again at the next start. */
static enum err log_recover_full(struct log_recover *r, enum err err,
                                 const struct why *why)
{
    char name[300];

    if (err != ERR_FULL) {
        return err;
    }
    trace(TRACE_WARN, "partition \"%s\" is opened all the same: %s",
          log_name(r->log, name), why->text);
    return ERR_NONE;
}

/* ---- names ---- */

static void log_recover_name(void *arg, const char *name, bool is_folder)
{
    struct log_recover *r = arg;
    char path[NAMES_PATH_BYTES];
    int64_t base;

    if (is_folder) {
        return;
    }
    if (names_parse(name, NAMES_LOG, &base)) {
        if (r->found_count == r->found_capacity) {
            r->found_capacity = MAX(r->found_capacity * 2, 4U);
            r->found = mem_realloc(r->found, sizeof(r->found[0]) *
                                                 r->found_capacity);
        }
        r->found[r->found_count++] = (struct recover_segment){.base = base};
    } else if (names_ends_with(name, NAMES_DELETED) ||
               names_ends_with(name, ".tmp")) {
        names_join(path, r->log->folder, name);
        r->err = disk_remove(r->disk, path, NULL);
    }
}

/* An index without its .log is a leftover of a removal. */
static void log_recover_orphan(void *arg, const char *name, bool is_folder)
{
    struct log_recover *r = arg;
    char path[NAMES_PATH_BYTES];
    int64_t base;

    if (is_folder || (!names_parse(name, NAMES_INDEX, &base) &&
                      !names_parse(name, NAMES_TIMES, &base))) {
        return;
    }
    for (uint32_t i = 0; i < r->found_count; i++) {
        if (r->found[i].base == base) {
            return;
        }
    }
    names_join(path, r->log->folder, name);
    r->err = disk_remove(r->disk, path, NULL);
}

static enum err log_recover_names(struct log_recover *r, struct why *why)
{
    enum err err =
        disk_list(r->disk, r->log->folder, log_recover_name, r, why);

    if (!err) {
        err = disk_list(r->disk, r->log->folder, log_recover_orphan, r, why);
    }
    for (uint32_t i = 1; i < r->found_count; i++) {
        struct recover_segment segment = r->found[i];
        uint32_t at = i;

        for (; at > 0 && r->found[at - 1].base > segment.base; at--) {
            r->found[at] = r->found[at - 1];
        }
        r->found[at] = segment;
    }
    return err;
}

/* ---- small files ---- */

static enum err log_recover_epochs(struct log_recover *r, struct why *why)
{
    struct log *log = r->log;
    char path[NAMES_PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    enum err err;

    names_join(path, log->folder, NAMES_EPOCHS);
    err = disk_read_all(r->disk, path, 64U << 20, &text, &bytes, why);
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

static enum err log_recover_small(struct log_recover *r, struct why *why)
{
    struct log *log = r->log;
    struct checkpoint_point *point = &log->loaded;
    enum err err =
        checkpoint_load_start(r->disk, log->folder, &r->start, why);

    if (err == ERR_CORRUPT) {
        trace(TRACE_WARN, "%s: the log starts at its first segment",
              why == NULL ? "log start" : why->text);
        err = ERR_NONE;
    }
    if (!err) {
        err = checkpoint_load_point(r->disk, log->folder, point, why);
    }
    r->point = (struct recover_point){.offset = point->offset,
                                      .base = point->base,
                                      .position = point->position};
    return err ? err : log_recover_epochs(r, why);
}

/* ---- damage and cuts ---- */

void log_report_damage(struct log *log, struct log_recovery *report,
                       const struct segment *segment, uint64_t position,
                       int64_t offset, const char *what)
{
    char name[300];
    char file[64];

    (void)snprintf(file, sizeof(file), "%020lld.log",
                   (long long)segment->base);
    trace(TRACE_ERROR,
          "damage: partition \"%s\" offset %lld, file \"%s/%s\" position "
          "%llu: %s; nothing is cut, the rest is served",
          log_name(log, name), (long long)offset, log->folder, file,
          (unsigned long long)position, what);
    if (report == NULL || report->damaged_count++ > 0) {
        return;
    }
    report->damaged_offset = offset;
    report->damaged_position = position;
    memcpy(report->damaged_file, file, sizeof(file));
}

/* <base>.cut, or <base>.1.cut and so on: what was cut before stays. */
static void log_cut_path(struct log_recover *r, int64_t base,
                         char path[NAMES_PATH_BYTES])
{
    char suffix[32];

    names_path(path, r->log->folder, base, NAMES_CUT);
    for (int i = 1; disk_exists(r->disk, path) && i < LOG_CUT_NAMES_MAX; i++) {
        (void)snprintf(suffix, sizeof(suffix), ".%d" NAMES_CUT, i);
        names_path(path, r->log->folder, base, suffix);
    }
}

/* Copies the bytes from position on to a *.cut file, synced, then cuts them off
 * the segment. */
static enum err log_cut_tail(struct log_recover *r, struct segment *segment,
                             uint64_t position, uint64_t end,
                             struct why *why)
{
    char path[NAMES_PATH_BYTES];
    uint8_t *chunk = mem_alloc(LOG_CUT_CHUNK_BYTES);
    struct file *file = NULL;
    struct lazy_handle *handle = NULL;
    enum err err = segment_take(segment, false, &handle, why);

    log_cut_path(r, segment->base, path);
    if (!err) {
        err = file_open(r->disk, path, FILE_WRITE, &file, why);
    }
    for (uint64_t at = position; !err && at < end;) {
        struct iovec part = {chunk, LOG_CUT_CHUNK_BYTES};

        part.iov_len = (size_t)MIN((uint64_t)part.iov_len, end - at);
        err = file_read_whole(handle->file, at, chunk, part.iov_len, why);
        if (!err) {
            err = file_write(file, at - position, &part, 1, why);
        }
        at += part.iov_len;
    }
    if (!err) {
        err = file_sync(file, why);
    }
    file_close(file);
    lazy_handle_unref(handle);
    mem_free(chunk);
    if (err == ERR_FULL) {
        /* What was never acknowledged goes without a copy. */
        (void)log_recover_full(r, err, why);
        err = disk_remove(r->disk, path, why);
        err = err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    if (!err) {
        err = disk_sync_folder(r->disk, r->log->folder, why);
    }
    if (!err) {
        err = segment_truncate(segment, position, why);
    }
    r->report->cut_bytes += end - position;
    return err;
}

static void log_recover_remove(struct log_recover *r, int64_t base,
                               const char *suffix)
{
    char path[NAMES_PATH_BYTES];
    enum err err;

    names_path(path, r->log->folder, base, suffix);
    err = disk_remove(r->disk, path, NULL);
    (void)err; /* it may not be there; an orphan goes at the next start */
}

/* A whole segment behind the end of the log. */
static enum err log_cut_segment(struct log_recover *r,
                                const struct recover_segment *found,
                                struct why *why)
{
    char from[NAMES_PATH_BYTES];
    char to[NAMES_PATH_BYTES];
    enum err err = ERR_NONE;

    names_path(from, r->log->folder, found->base, NAMES_LOG);
    if (found->bytes == 0) {
        err = disk_remove(r->disk, from, why);
    } else {
        log_cut_path(r, found->base, to);
        err = disk_rename(r->disk, from, to, why);
    }
    log_recover_remove(r, found->base, NAMES_INDEX);
    log_recover_remove(r, found->base, NAMES_TIMES);
    r->report->cut_bytes += found->bytes;
    r->changed = true;
    return err;
}

static void log_recover_cut(struct log_recover *r)
{
    if (r->report->cut_from_offset < 0) {
        r->report->cut_from_offset = r->expected;
    }
    r->ended = true;
    r->changed = true;
}

/* ---- one segment ---- */

/* Time entries that the offset index does not reach are made again. */
static enum err log_recover_times(struct segment *segment, struct why *why)
{
    uint32_t count = index_count(&segment->times);
    uint32_t keep = count;
    struct index_entry entry;

    while (keep > 0) {
        enum err err =
            index_get(&segment->times, keep - 1, false, &entry, why);

        if (err) {
            return err;
        }
        if (index_count(&segment->offsets) > 0 &&
            entry.value <= segment->offsets.last.key) {
            break;
        }
        keep--;
    }
    return keep == count ? ERR_NONE
                         : index_truncate(&segment->times, keep, why);
}

/* Whether the last offset entry points to the batch that it says. */
static bool log_recover_points_right(struct segment *segment)
{
    struct lazy_handle *handle = NULL;
    struct index_entry entry = segment->offsets.last;
    struct scan_batch batch;
    struct scan scan;
    enum err err = segment_take(segment, false, &handle, NULL);

    if (err) {
        return false;
    }
    scan_init(&scan, handle->file, (uint64_t)entry.value,
              segment_bytes(segment));
    err = scan_next(&scan, &batch, NULL);
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return !err && batch_last_offset(&batch.header) == entry.key;
}

static enum err log_recover_rebuild(struct segment *segment,
                                    struct why *why)
{
    enum err err = index_load_checked(&segment->offsets, 0, why);

    if (!err) {
        err = index_load_checked(&segment->times, segment->base, why);
    }
    return err;
}

static enum err log_recover_check(struct segment *segment, uint64_t sure,
                                  struct why *why)
{
    enum err err = index_load_checked(
        &segment->offsets,
        (int64_t)MIN(sure, segment_bytes(segment)), why);

    if (!err) {
        err = index_load_checked(&segment->times,
                                 segment->base + INT32_MAX + INT64_C(1), why);
    }
    if (!err && index_count(&segment->offsets) > 0 &&
        !log_recover_points_right(segment)) {
        return log_recover_rebuild(segment, why);
    }
    return err ? err : log_recover_times(segment, why);
}

/* Loads the indexes as planned; a sealed segment whose indexes cannot be
 * trusted is read after all. */
static enum err log_recover_indexes(struct log_recover *r,
                                    struct segment *segment,
                                    struct recover_plan *plan,
                                    struct why *why)
{
    char path[NAMES_PATH_BYTES];
    char times[NAMES_PATH_BYTES];
    enum err err;

    if (plan->index == RECOVER_INDEX_CHECK) {
        return log_recover_check(segment, plan->sure, why);
    }
    if (plan->index == RECOVER_INDEX_TRUST) {
        names_path(path, r->log->folder, segment->base, NAMES_INDEX);
        names_path(times, r->log->folder, segment->base, NAMES_TIMES);
        err = index_load(&segment->offsets, why);
        if (!err) {
            err = index_load(&segment->times, why);
        }
        if (!err &&
            recover_index_fits(
                segment_bytes(segment),
                disk_exists(r->disk, path) && disk_exists(r->disk, times),
                index_count(&segment->offsets),
                (uint64_t)segment->offsets.last.value)) {
            return ERR_NONE;
        }
        if (err && err != ERR_CORRUPT) {
            return err;
        }
        trace(TRACE_WARN, "index \"%s\" is made anew from its segment", path);
        plan->index = RECOVER_INDEX_REBUILD;
        plan->read = true;
    }
    return log_recover_rebuild(segment, why);
}

/* A bad batch below the point: reports it and goes on behind it. end_offset:
 * where the segment's sure part ends. */
static enum err log_recover_damage(struct log_recover *r, struct scan *scan,
                                   struct segment *segment, uint64_t sure,
                                   int64_t end_offset, struct why *why)
{
    uint64_t end = scan->end;
    struct segment_damage damage = {.position = scan->position,
                                    .offset = r->expected,
                                    .end_offset = end_offset};
    struct scan_batch next;
    enum err err;

    log_report_damage(r->log, r->report, segment, damage.position,
                      damage.offset, why->text);
    scan->end = MIN(sure, end);
    err = scan_resync(scan, r->expected + 1, end_offset, why);
    damage.end_position = scan->position;
    if (!err) {
        err = scan_next(scan, &next, why);
        scan->position = damage.end_position;
    }
    if (!err) {
        damage.end_offset = next.header.base_offset;
    }
    if (damage.end_offset != INT64_MAX) {
        r->expected = MAX(r->expected, damage.end_offset);
        r->last_end = r->expected;
    }
    scan->end = end;
    (void)segment_add_damage(segment, &damage);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* Notes one good batch: indexes it when it is behind the last entry. */
static enum err log_recover_good(struct log_recover *r,
                                 struct segment *segment,
                                 const struct scan_batch *batch, uint64_t sure,
                                 bool is_indexed, struct why *why)
{
    /* Below the point the file of the epochs knows better: the CRC leaves them
     * out, and one that is too large by a bit would stay the last one. */
    bool is_known = batch->position < sure &&
                    epochs_of(&r->log->epochs, batch->header.base_offset) >= 0;
    enum err err = ERR_NONE;

    r->expected = batch_last_offset(&batch->header) + 1;
    r->last_end = r->expected;
    if (!is_known &&
        log_assign_epoch(r->log, batch->header.leader_epoch,
                         batch->header.base_offset)) {
        r->changed = true;
        r->epochs_changed = true;
    }
    if (is_indexed) {
        segment_skip(segment, &batch->header);
    } else {
        err = segment_note(segment, &batch->header,
                           r->log->config.index_interval_bytes, why);
    }
    return err == ERR_FULL ? ERR_NONE : err;
}

/* Reads the segment from its last index entry on. */
static enum err log_recover_scan(struct log_recover *r,
                                 struct segment *segment,
                                 const struct recover_segment *found,
                                 const struct recover_plan *plan,
                                 int64_t sure_end, struct why *why)
{
    bool indexed = index_count(&segment->offsets) > 0;
    uint64_t from = indexed ? (uint64_t)segment->offsets.last.value : 0;
    int64_t batches_end =
        sure_end - (plan->holds_point ? (int64_t)r->log->loaded.hole : 0);
    struct lazy_handle *handle = NULL;
    struct scan scan;
    enum err err = segment_take(segment, false, &handle, why);

    if (err) {
        return err;
    }
    scan_init(&scan, handle->file, from, found->bytes);
    segment_rewind(segment, from);
    r->expected = MAX(r->expected, segment->base);
    r->last_end = segment->base;
    for (;;) {
        struct scan_batch batch = {.position = scan.position};
        struct recover_batch seen = {.position = scan.position};
        enum recover_verdict verdict;

        if (plan->holds_point && scan.position >= plan->sure) {
            r->expected = MAX(r->expected, sure_end);
        }
        if (indexed && scan.position == from) {
            err = scan_next(&scan, &batch, why);
        } else {
            err = scan_next_in(&scan, r->expected,
                               scan.position < plan->sure ? batches_end
                                                          : INT64_MAX,
                               &batch, why);
        }
        if (err == ERR_NOT_FOUND || err == ERR_DISK) {
            break;
        }
        seen.good = err == ERR_NONE;
        if (seen.good) {
            seen.base_offset = batch.header.base_offset;
            seen.last_offset = batch_last_offset(&batch.header);
        }
        verdict = recover_judge(found, plan, r->expected, &seen);
        if (seen.good && verdict != RECOVER_GOOD) {
            err = why_set(why, ERR_CORRUPT, "offset %lld is of no such segment",
                          (long long)seen.base_offset);
        }
        if (verdict == RECOVER_GOOD) {
            err = log_recover_good(r, segment, &batch, plan->sure,
                                   indexed && seen.position == from, why);
        } else if (verdict == RECOVER_DAMAGE) {
            scan.position = seen.position;
            err = log_recover_damage(r, &scan, segment, plan->sure,
                                     batches_end, why);
            segment_rewind(segment, scan.position);
        } else {
            log_recover_cut(r);
            err = log_cut_tail(r, segment, seen.position, found->bytes, why);
            break;
        }
        if (err) {
            break;
        }
    }
    segment_set_checked(segment, from, segment_bytes(segment));
    r->report->scanned_bytes += scan.read_bytes;
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* Where the next batch comes, once the segment's sure part was looked at: that
 * ends where we know (sure_end), whatever was found in it. */
static void log_recover_expect(struct log_recover *r, uint32_t at,
                               const struct segment *segment,
                               const struct recover_plan *plan,
                               int64_t sure_end)
{
    int64_t batches_end =
        sure_end - (plan->holds_point ? (int64_t)r->log->loaded.hole : 0);
    bool is_sure = plan->sure > 0 || plan->holds_point;

    if (!is_sure || sure_end == INT64_MAX || r->ended) {
        return;
    }
    if (!plan->read) {
        r->expected = sure_end;
        r->last_end = batches_end;
    } else if (r->last_end < batches_end && at + 1 < r->found_count) {
        log_report_damage(r->log, r->report, segment, segment_bytes(segment),
                          r->last_end, "the segment is too short");
        r->expected = MAX(sure_end, r->found[at + 1].base);
        r->last_end = r->expected;
    }
}

/* Indexes and batches of one segment, as planned. */
static enum err log_recover_read(struct log_recover *r, uint32_t at,
                                 struct segment *segment, struct why *why)
{
    struct recover_segment *found = &r->found[at];
    const struct checkpoint_point *point = &r->log->loaded;
    int64_t sure_end = INT64_MAX;
    struct recover_plan plan;
    enum err err;

    recover_plan(r->found, r->found_count, at, &r->point, r->clean, &plan);
    if (plan.holds_point) {
        sure_end = point->offset;
    } else if (at + 1 < r->found_count) {
        sure_end = r->found[at + 1].base;
    }
    err = log_recover_indexes(r, segment, &plan, why);
    segment_load_times(segment);
    if (!err && plan.read) {
        err = log_recover_scan(r, segment, found, &plan, sure_end, why);
    }
    if (err) {
        return err;
    }
    if (plan.holds_point && point->position > 0) {
        segment->first_timestamp = point->first_timestamp;
        segment->created_ms = point->created_ms;
    }
    log_recover_expect(r, at, segment, &plan, sure_end);
    if (plan.read && at + 1 < r->found_count && !r->ended) {
        err = log_recover_full(r, segment_seal(segment, why), why);
    } else if (plan.read) {
        /* So that the next start need not make them again. */
        err = log_recover_full(r, segment_spill(segment, why), why);
    }
    if (!err && (r->ended || found->bytes > plan.sure)) {
        r->changed = true;
        err = segment_sync(segment, plan.read, why);
    }
    return err;
}

static enum err log_recover_segment(struct log_recover *r, uint32_t at,
                                    struct why *why)
{
    struct recover_segment *found = &r->found[at];
    struct segment *segment = NULL;
    enum err err;

    if (at > 0 && !r->ended &&
        !recover_follows(r->found, at, &r->point, r->last_end)) {
        log_recover_cut(r);
    }
    err = segment_open(r->disk, r->log->folder, found->base, &segment, why);
    if (err) {
        return err;
    }
    found->bytes = segment_bytes(segment);
    if (r->ended) {
        segment_unref(segment);
        return log_cut_segment(r, found, why);
    }
    segment->created_ms = env_wall_ms(r->log->env);
    log_push_segment(r->log, segment);
    err = log_recover_read(r, at, segment, why);
    segment_set_checked(segment, segment_bytes(segment), UINT64_MAX);
    segment_rest(segment);
    return err;
}

/* ---- the end ---- */

/* A segment that begins at offset, when the log has none or must go on
 * elsewhere than its last one does. */
static enum err log_recover_begin(struct log_recover *r, int64_t offset,
                                  struct why *why)
{
    struct segment *segment = NULL;
    enum err err;

    err = segment_create(r->disk, r->log->folder, offset, &segment, why);
    if (err) {
        return err;
    }
    segment->created_ms = env_wall_ms(r->log->env);
    log_push_segment(r->log, segment);
    r->expected = offset;
    r->last_end = offset;
    r->changed = true;
    return ERR_NONE;
}

/* The log ends before its start: a restart elsewhere was interrupted. */
static enum err log_recover_empty(struct log_recover *r, struct why *why)
{
    struct log *log = r->log;

    while (log->segment_count > 0) {
        struct segment *segment = log->segments[--log->segment_count];
        char path[NAMES_PATH_BYTES];
        enum err err;

        names_path(path, log->folder, segment->base, NAMES_LOG);
        log_recover_remove(r, segment->base, NAMES_INDEX);
        log_recover_remove(r, segment->base, NAMES_TIMES);
        segment_unref(segment);
        err = disk_remove(r->disk, path, why);
        if (err) {
            return err;
        }
    }
    return log_recover_begin(r, r->start, why);
}

static enum err log_recover_end(struct log_recover *r,
                                const struct log_options *options,
                                struct why *why)
{
    struct log *log = r->log;
    enum err err = ERR_NONE;

    if (log->segment_count == 0 && r->point.offset <= r->start) {
        err = log_recover_begin(r, MAX(r->start, options->start_offset), why);
    } else if (log->segment_count == 0) {
        err = log_recover_begin(r, r->point.offset, why);
        if (!err) {
            log_report_damage(log, r->report, log_active(log), 0,
                              MAX(r->start, options->start_offset),
                              "all segments are missing");
        }
    } else if (r->expected < r->start) {
        err = log_recover_empty(r, why);
    } else if (r->expected < r->point.offset) {
        log_report_damage(log, r->report, log_active(log),
                          segment_bytes(log_active(log)), r->expected,
                          "the log is shorter than what was flushed");
        err = log_recover_full(r, segment_seal(log_active(log), why), why);
        err = err ? err : log_recover_begin(r, r->point.offset, why);
    }
    log_set_end(log, r->expected);
    log->next_offset = r->expected;
    log->batches_end = r->last_end;
    if (!err) {
        segment_activate(log_active(log));
    }
    return err;
}

/* Stores what recovery has changed. */
static enum err log_recover_store(struct log_recover *r, struct why *why)
{
    struct log *log = r->log;
    struct checkpoint_point *point = &log->loaded;
    struct view_mark end = log_end_mark(log);
    struct file *file = NULL;
    char *parent;
    enum err err;

    /* An epoch that begins at the end has no batch yet. */
    if (log_cut_epochs(log, 0, log->end_offset + 1)) {
        r->changed = true;
        r->epochs_changed = true;
    }
    if (end.offset == end.base && end.position == 0 && point->offset < 0 &&
        log->segment_count == 1) {
        return ERR_NONE; /* new and empty: the first sync will do */
    }
    if (!r->changed && point->offset == end.offset &&
        point->base == end.base && point->position == end.position) {
        return ERR_NONE;
    }
    parent = names_parent(log->folder);
    err = disk_sync_folder(r->disk, parent, why);
    mem_free(parent);
    err = err ? err : checkpoint_sync_claim(r->disk, log->folder, why);
    err = err ? err : disk_sync_folder(r->disk, log->folder, why);
    if (!err && r->epochs_changed) {
        log->epochs_changed = true;
        err = log_save_epochs(log, why);
    }
    if (err == ERR_FULL) {
        /* Nor the point, which must not be ahead: batches are read again. */
        return log_recover_full(r, err, why);
    }
    point->offset = end.offset;
    point->base = end.base;
    point->position = end.position;
    point->hole = end.hole;
    point->first_timestamp = log_active(log)->first_timestamp;
    point->created_ms = log_active(log)->created_ms;
    err = err ? err
              : checkpoint_save_point(r->disk, log->folder, &file, point, why);
    file_close(file);
    return log_recover_full(r, err, why);
}

static enum err log_recover_folder(struct log_recover *r,
                                   const struct log_options *options,
                                   struct why *why)
{
    bool made = false;
    enum err err = disk_make_folder(r->disk, r->log->folder, why);

    if (!err && !uuid_is_zero(options->topic_id)) {
        err = checkpoint_claim(r->disk, r->log->folder, options->topic_id,
                               &made, why);
        r->changed = r->changed || made;
    }
    return err;
}

enum err log_recover(struct log *log, const struct log_options *options,
                     struct log_recovery *report, struct why *why)
{
    struct log_recover r = {.log = log,
                            .disk = log->env->disk,
                            .report = report,
                            .clean = options->clean};
    struct why own;
    enum err err;

    why = why == NULL ? &own : why;
    err = log_recover_folder(&r, options, why);
    if (!err) {
        err = log_recover_names(&r, why);
    }
    if (!err) {
        err = log_recover_small(&r, why);
    }
    for (uint32_t i = 0; !err && i < r.found_count; i++) {
        err = log_recover_segment(&r, i, why);
    }
    if (!err) {
        err = log_recover_end(&r, options, why);
    }
    if (!err) {
        int64_t first = log->segments[0]->base;

        atomic_store(&log->view.start, MAX(r.start, first));
        if (log_cut_epochs(log, MAX(r.start, first), INT64_MAX)) {
            r.epochs_changed = true;
        }
        err = log_replay(log, &report->scanned_bytes, why);
        r.changed = r.changed || log->state_removed;
    }
    if (!err) {
        err = log_recover_store(&r, why);
    }
    mem_free(r.found);
    report->start_offset = err ? -1 : log_start_offset(log);
    report->end_offset = log->end_offset;
    return err;
}

enum err log_recover_cut_segment(struct log *log, int64_t base,
                                 uint64_t position, struct segment **out,
                                 struct why *why)
{
    struct log_recovery report = {0};
    struct log_recover r = {
        .log = log, .disk = log->env->disk, .report = &report};
    struct recover_segment found = {.base = base, .bytes = position};
    struct recover_plan plan = {.index = RECOVER_INDEX_CHECK,
                                .read = true,
                                .sure = position};
    struct segment *segment = NULL;
    enum err err =
        segment_open(r.disk, log->folder, base, &segment, why);

    if (err) {
        return err;
    }
    err = segment_truncate(segment, position, why);
    if (!err) {
        err = segment_sync(segment, false, why);
    }
    if (!err) {
        err = log_recover_indexes(&r, segment, &plan, why);
    }
    segment_load_times(segment);
    if (!err) {
        err = log_recover_scan(&r, segment, &found, &plan, INT64_MAX, why);
    }
    if (err) {
        segment_unref(segment);
        return err;
    }
    segment_activate(segment);
    *out = segment;
    return ERR_NONE;
}
