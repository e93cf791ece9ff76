/* log_rebuild.c - one segment at a start, or where a truncation cuts it: its
 * indexes, its batches, and what is to be done about those that are bad. */
#include "log/log_rebuild.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/scan.h"
#include <stdio.h>

/* The scan of one segment. */
struct log_rebuild_pass {
    struct log_rebuild *r;
    struct segment *segment;
    const struct recover_segment *found;
    const struct recover_plan *plan;
    struct scan scan;
    struct scan_batch batch; /* that was read */
    bool first;              /* it is the one of the index's last entry */
};

enum { LOG_REBUILD_CHUNK_BYTES = 1 << 20, LOG_REBUILD_CUTS_MAX = 100000 };

enum err log_rebuild_full(struct log_rebuild *r, enum err err,
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

void log_report_damage(struct log *log, struct log_recovery *report,
                       const struct segment *segment, uint64_t position,
                       int64_t offset, const char *what)
{
    char name[300];
    char file[64];

    (void)snprintf(file, sizeof(file), "%020lld.log", (long long)segment->base);
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

void log_rebuild_cut_path(struct log_rebuild *r, int64_t base,
                          char path[NAMES_PATH_BYTES])
{
    char suffix[32];

    names_path(path, r->log->folder, base, NAMES_CUT);
    for (int i = 1;
         disk_exists(r->log->env->disk, path) && i < LOG_REBUILD_CUTS_MAX;
         i++) {
        (void)snprintf(suffix, sizeof(suffix), ".%d" NAMES_CUT, i);
        names_path(path, r->log->folder, base, suffix);
    }
}

/* Copies the bytes from position on to a *.cut file, synced, then cuts them off
 * the segment. */
static enum err log_rebuild_cut_tail(struct log_rebuild *r,
                                     struct segment *segment, uint64_t position,
                                     uint64_t end, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    uint8_t *chunk = mem_alloc(LOG_REBUILD_CHUNK_BYTES);
    struct file *file = NULL;
    struct lazy_handle *handle = NULL;
    enum err err = segment_take(segment, false, &handle, why);

    log_rebuild_cut_path(r, segment->base, path);
    if (!err) {
        err = file_open(r->log->env->disk, path, FILE_WRITE, &file, why);
    }
    for (uint64_t at = position; !err && at < end;) {
        struct iovec part = {chunk, LOG_REBUILD_CHUNK_BYTES};

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
        err = log_rebuild_full(r, err, why);
        err = err ? err : disk_remove(r->log->env->disk, path, why);
        err = err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    if (!err) {
        err = disk_sync_folder(r->log->env->disk, r->log->folder, why);
    }
    if (!err) {
        err = segment_truncate(segment, position, why);
    }
    r->report->cut_bytes += end - position;
    return err;
}

void log_rebuild_end(struct log_rebuild *r)
{
    if (r->report->cut_from_offset < 0) {
        r->report->cut_from_offset = r->expected;
    }
    r->ended = true;
    r->changed = true;
}

/* Time entries that the offset index does not reach are made again. */
static enum err log_rebuild_times(struct segment *segment, struct why *why)
{
    uint32_t count = index_count(&segment->times);
    uint32_t keep = count;
    struct index_entry entry;

    while (keep > 0) {
        enum err err = index_get(&segment->times, keep - 1, false, &entry, why);

        if (err) {
            return err;
        }
        if (index_count(&segment->offsets) > 0 &&
            entry.value <= segment->offsets.last.key) {
            break;
        }
        keep--;
    }
    /* It was opened to be read; what is made anew is written to it. */
    lazy_file_reset(&segment->times.file);
    return keep == count ? ERR_NONE
                         : index_truncate(&segment->times, keep, why);
}

/* Whether the last offset entry points to the batch that it says. */
static bool log_rebuild_points_right(struct log_rebuild *r,
                                     struct segment *segment)
{
    struct lazy_handle *handle = NULL;
    struct index_entry entry = segment->offsets.last;
    struct scan_batch batch;
    struct scan scan;
    enum err err = segment_take(segment, false, &handle, NULL);

    if (err) {
        return false;
    }
    log_scan_init(r->log, &scan, handle, (uint64_t)entry.value,
                  segment_bytes(segment));
    err = scan_next(&scan, &batch, NULL);
    scan_fini(&scan);
    lazy_handle_unref(handle);
    return !err && batch_last_offset(&batch.header) == entry.key;
}

static enum err log_rebuild_nothing(struct segment *segment, struct why *why)
{
    enum err err = index_load_checked(&segment->offsets, 0, why);

    if (!err) {
        err = index_load_checked(&segment->times, segment->base, why);
    }
    return err;
}

static enum err log_rebuild_check(struct log_rebuild *r,
                                  struct segment *segment, uint64_t sure,
                                  struct why *why)
{
    enum err err = index_load_checked(
        &segment->offsets, (int64_t)MIN(sure, segment_bytes(segment)), why);

    if (!err) {
        err = index_load_checked(&segment->times,
                                 segment->base + INT32_MAX + INT64_C(1), why);
    }
    if (!err && index_count(&segment->offsets) > 0 &&
        !log_rebuild_points_right(r, segment)) {
        return log_rebuild_nothing(segment, why);
    }
    return err ? err : log_rebuild_times(segment, why);
}

enum err log_rebuild_indexes(struct log_rebuild *r, struct segment *segment,
                             struct recover_plan *plan, struct why *why)
{
    char path[NAMES_PATH_BYTES];
    char times[NAMES_PATH_BYTES];
    enum err err;

    if (plan->index == RECOVER_INDEX_CHECK) {
        return log_rebuild_check(r, segment, plan->sure, why);
    }
    if (plan->index == RECOVER_INDEX_TRUST) {
        names_path(path, r->log->folder, segment->base, NAMES_INDEX);
        names_path(times, r->log->folder, segment->base, NAMES_TIMES);
        err = index_load(&segment->offsets, why);
        if (!err) {
            err = index_load(&segment->times, why);
        }
        if (!err &&
            recover_index_fits(segment_bytes(segment),
                               disk_exists(r->log->env->disk, path) &&
                                   disk_exists(r->log->env->disk, times),
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
    return log_rebuild_nothing(segment, why);
}

/* A bad batch below the point: reports it and goes on behind it. */
static enum err log_rebuild_damage(struct log_rebuild_pass *pass,
                                   struct why *why)
{
    struct log_rebuild *r = pass->r;
    struct scan *scan = &pass->scan;
    uint64_t end = scan->end;
    struct segment_damage damage = {.position = scan->position,
                                    .offset = r->expected,
                                    .end_offset = r->batches_end};
    enum err err;

    log_report_damage(r->log, r->report, pass->segment, damage.position,
                      damage.offset, why->text);
    scan->end = MIN(pass->plan->sure, end);
    err = scan_resync(scan, r->expected + 1, r->batches_end, why);
    damage.end_position = scan->position;
    if (!err) {
        err = scan_next(scan, &pass->batch, why);
        scan->position = damage.end_position;
    }
    if (!err) {
        damage.end_offset = pass->batch.header.base_offset;
    }
    if (damage.end_offset != INT64_MAX) {
        r->expected = MAX(r->expected, damage.end_offset);
        r->last_end = r->expected;
    }
    scan->end = end;
    (void)segment_add_damage(pass->segment, &damage);
    segment_rewind(pass->segment, scan->position);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

void log_rebuild_last_epoch(struct log_rebuild *r)
{
    if (r->epoch.segment != NULL &&
        log_assign_epoch(r->log, r->epoch.epoch, r->epoch.offset)) {
        r->changed = true;
        r->epochs_changed = true;
    }
    r->epoch.segment = NULL;
}

/* A sound batch that says an epoch in which it cannot have been written. */
static void log_rebuild_wrong_epoch(struct log_rebuild *r,
                                    const struct log_rebuild_epoch *it)
{
    struct segment_damage damage = {.position = it->position,
                                    .end_position = it->end_position,
                                    .offset = it->offset,
                                    .end_offset = it->end_offset};
    char text[64];

    (void)snprintf(text, sizeof(text),
                   "its leader epoch is %d, between lower ones", it->epoch);
    log_report_damage(r->log, r->report, it->segment, it->position, it->offset,
                      text);
    (void)segment_add_damage(it->segment, &damage);
}

/* The epochs may be known from the batches only: takes one over when the next
 * batch bears it out. What a damaged batch says is never taken over, for all
 * that comes would seem too old. */
static void log_rebuild_note_epoch(struct log_rebuild_pass *pass)
{
    struct log_rebuild *r = pass->r;
    const struct batch_header *h = &pass->batch.header;
    struct log_rebuild_epoch it = {.segment = pass->segment,
                                   .position = pass->batch.position,
                                   .end_position = pass->scan.position,
                                   .offset = h->base_offset,
                                   .end_offset = batch_last_offset(h) + 1,
                                   .epoch = h->leader_epoch};

    if (it.epoch == -1) {
        return;
    }
    if (r->epoch.segment != NULL && it.epoch < r->epoch.epoch) {
        log_rebuild_wrong_epoch(r, &r->epoch);
        r->epoch.segment = NULL;
    }
    log_rebuild_last_epoch(r);
    switch (epochs_judge(&r->log->epochs, it.offset, it.epoch)) {
    case EPOCHS_FITS:
        break;
    case EPOCHS_NEW:
        r->epoch = it;
        break;
    case EPOCHS_WRONG:
    default:
        log_rebuild_wrong_epoch(r, &it);
        break;
    }
}

/* Notes one good batch: indexes it when it is behind the last entry. */
static enum err log_rebuild_good(struct log_rebuild_pass *pass, struct why *why)
{
    struct log_rebuild *r = pass->r;
    const struct batch_header *h = &pass->batch.header;
    enum err err = ERR_NONE;

    r->expected = batch_last_offset(h) + 1;
    r->last_end = r->expected;
    log_rebuild_note_epoch(pass);
    if (pass->first) {
        segment_skip(pass->segment, h);
    } else {
        err = segment_note(pass->segment, h,
                           r->log->config.index_interval_bytes, why);
    }
    return err == ERR_FULL ? ERR_NONE : err;
}

/* The next batch. Errors: as scan_next(). */
static enum err log_rebuild_read(struct log_rebuild_pass *pass, struct why *why)
{
    struct log_rebuild *r = pass->r;
    struct scan *scan = &pass->scan;
    bool below = scan->position < pass->plan->sure;

    pass->batch = (struct scan_batch){.position = scan->position};
    if (pass->plan->holds_point && !below) {
        r->expected = MAX(r->expected, r->log->loaded.offset);
    }
    /* Above the point the list of epochs may be older, or younger. */
    scan->epoch_of = below ? scan->epoch_of : NULL;
    return pass->first ? scan_next(scan, &pass->batch, why)
                       : scan_next_in(scan, r->expected,
                                      below ? r->batches_end : INT64_MAX,
                                      &pass->batch, why);
}

/* The next batch, and what it is; why says what is wrong with it.
 * Errors: ERR_NOT_FOUND (the end), ERR_DISK. */
static enum err log_rebuild_next(struct log_rebuild_pass *pass,
                                 enum recover_verdict *verdict, struct why *why)
{
    struct recover_batch seen = {.position = pass->scan.position};
    enum err err = log_rebuild_read(pass, why);

    if (err == ERR_NOT_FOUND || err == ERR_DISK) {
        return err;
    }
    seen.good = err == ERR_NONE;
    if (seen.good) {
        seen.base_offset = pass->batch.header.base_offset;
        seen.last_offset = batch_last_offset(&pass->batch.header);
    }
    *verdict = recover_judge(pass->found, pass->plan, pass->r->expected, &seen);
    if (seen.good && *verdict != RECOVER_GOOD) {
        (void)why_set(why, ERR_CORRUPT, "offset %lld is of no such segment",
                      (long long)seen.base_offset);
    }
    if (*verdict != RECOVER_GOOD) {
        pass->scan.position = seen.position;
    }
    return ERR_NONE;
}

/* What follows from the verdict. */
static enum err log_rebuild_act(struct log_rebuild_pass *pass,
                                enum recover_verdict verdict, struct why *why)
{
    switch (verdict) {
    case RECOVER_GOOD:
        return log_rebuild_good(pass, why);
    case RECOVER_DAMAGE:
        return log_rebuild_damage(pass, why);
    case RECOVER_CUT:
    default:
        log_rebuild_end(pass->r);
        return log_rebuild_cut_tail(pass->r, pass->segment, pass->scan.position,
                                    pass->scan.end, why);
    }
}

enum err log_rebuild_scan(struct log_rebuild *r, struct segment *segment,
                          const struct recover_segment *found,
                          const struct recover_plan *plan, struct why *why)
{
    struct log_rebuild_pass pass = {
        .r = r, .segment = segment, .found = found, .plan = plan};
    bool indexed = index_count(&segment->offsets) > 0;
    uint64_t from = indexed ? (uint64_t)segment->offsets.last.value : 0;
    struct lazy_handle *handle = NULL;
    enum err err = segment_take(segment, false, &handle, why);

    if (err) {
        return err;
    }
    log_scan_init(r->log, &pass.scan, handle, from, found->bytes);
    segment_rewind(segment, from);
    r->expected = MAX(r->expected, segment->base);
    r->last_end = segment->base;
    while (!err && !r->ended) {
        enum recover_verdict verdict = RECOVER_CUT;

        pass.first = indexed && pass.scan.position == from;
        err = log_rebuild_next(&pass, &verdict, why);
        err = err ? err : log_rebuild_act(&pass, verdict, why);
    }
    segment_set_checked(
        segment, from,
        segment_forgets_damage(segment) ? from : segment_bytes(segment));
    r->report->scanned_bytes += pass.scan.read_bytes;
    scan_fini(&pass.scan);
    lazy_handle_unref(handle);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err log_rebuild_cut_segment(struct log *log, int64_t base,
                                 uint64_t position, struct segment **out,
                                 struct why *why)
{
    struct log_recovery report = {0};
    struct log_rebuild r = {
        .log = log, .report = &report, .batches_end = INT64_MAX};
    struct recover_segment found = {.base = base, .bytes = position};
    struct recover_plan plan = {
        .index = RECOVER_INDEX_CHECK, .read = true, .sure = position};
    struct segment *segment = NULL;
    enum err err =
        segment_open(log->env->disk, log->folder, base, &segment, why);

    if (err) {
        return err;
    }
    err = segment_truncate(segment, position, why);
    if (!err) {
        err = segment_sync(segment, false, why);
    }
    if (!err) {
        err = log_rebuild_indexes(&r, segment, &plan, why);
    }
    segment_load_times(segment);
    if (!err) {
        err = log_rebuild_scan(&r, segment, &found, &plan, why);
        log_rebuild_last_epoch(&r);
    }
    if (err) {
        segment_unref(segment);
        return err;
    }
    segment_activate(segment);
    *out = segment;
    return ERR_NONE;
}
