/* log_recover.c - from files to a log: recover_core.h's rules, carried out.
 *
 * Happy path:
 * 1. Look at the folder (log_folder.h): its owner, its segments, its small
 *    files.
 * 2. Segment by segment: load its indexes or make them anew, read what the plan
 *    says; cut or report.
 * 3. Mend the end: a log shorter than the point goes on at the point.
 * 4. The producers' state.
 * 5. What was read above the point is synced, the point stored: from here on
 *    the whole log counts as flushed. */
#include "log/log_folder.h"
#include "log/log_rebuild.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"

struct log_recover {
    struct log_rebuild b;
    struct log_folder folder;
};

/* ---- one segment ---- */

/* A whole segment behind the end of the log. */
static enum err log_recover_away(struct log_recover *r,
                                 const struct recover_segment *found,
                                 struct why *why)
{
    char from[NAMES_PATH_BYTES];
    char to[NAMES_PATH_BYTES];
    enum err err = ERR_NONE;

    names_path(from, r->b.log->folder, found->base, NAMES_LOG);
    if (found->bytes == 0) {
        err = disk_remove(r->b.log->env->disk, from, why);
    } else {
        log_rebuild_cut_path(&r->b, found->base, to);
        err = disk_rename(r->b.log->env->disk, from, to, why);
    }
    log_folder_remove(&r->folder, found->base, NAMES_INDEX);
    log_folder_remove(&r->folder, found->base, NAMES_TIMES);
    r->b.report->cut_bytes += found->bytes;
    r->b.changed = true;
    return err;
}

/* Where the next batch comes, once the segment's sure part was looked at: that
 * ends where we know (sure_end), whatever was found in it. */
static void log_recover_expect(struct log_recover *r, uint32_t at,
                               const struct segment *segment,
                               const struct recover_plan *plan,
                               int64_t sure_end)
{
    bool is_sure = plan->sure > 0 || plan->holds_point;

    if (!is_sure || sure_end == INT64_MAX || r->b.ended) {
        return;
    }
    if (!plan->read) {
        r->b.expected = sure_end;
        r->b.last_end = r->b.batches_end;
    } else if (r->b.last_end < r->b.batches_end && at + 1 < r->folder.count) {
        log_report_damage(r->b.log, r->b.report, segment,
                          segment_bytes(segment), r->b.last_end,
                          "the segment is too short");
        r->b.expected = MAX(sure_end, r->folder.found[at + 1].base);
        r->b.last_end = r->b.expected;
    }
}

/* A sealed segment's indexes, made anew. What a full disk keeps short must not
 * be found by the next start: it would be trusted. */
static enum err log_recover_seal(struct log_recover *r, struct segment *segment,
                                 struct why *why)
{
    enum err err = segment_seal(segment, why);

    if (err == ERR_FULL) {
        err = log_rebuild_full(&r->b, err, why);
        err = err ? err : segment_forget_indexes(segment, why);
    }
    return err;
}

/* Indexes and batches of one segment, as planned. */
static enum err log_recover_read(struct log_recover *r, uint32_t at,
                                 struct segment *segment, struct why *why)
{
    struct recover_segment *found = &r->folder.found[at];
    const struct small_files_point *point = &r->b.log->loaded;
    int64_t sure_end = INT64_MAX;
    struct recover_plan plan;
    bool is_sealed;
    enum err err;

    recover_plan(r->folder.found, r->folder.count, at, &r->folder.point,
                 r->folder.clean, &plan);
    if (plan.holds_point) {
        sure_end = point->offset;
    } else if (at + 1 < r->folder.count) {
        sure_end = r->folder.found[at + 1].base;
    }
    r->b.batches_end = sure_end - (plan.holds_point ? (int64_t)point->hole : 0);
    err = log_rebuild_indexes(&r->b, segment, &plan, why);
    segment_load_times(segment);
    if (!err && plan.read) {
        err = log_rebuild_scan(&r->b, segment, found, &plan, why);
    }
    if (err) {
        return err;
    }
    if (plan.holds_point && point->position > 0) {
        segment->first_timestamp = point->first_timestamp;
        segment->created_ms = point->created_ms;
    }
    log_recover_expect(r, at, segment, &plan, sure_end);
    r->b.last_read = plan.read;
    is_sealed = plan.read && at + 1 < r->folder.count && !r->b.ended;
    if (is_sealed) {
        err = log_recover_seal(r, segment, why);
    } else if (plan.read) {
        /* So that the next start need not make them again. */
        err = log_rebuild_full(&r->b, segment_spill(segment, why), why);
    }
    /* The next start takes a sealed one's as they are. */
    if (!err && (is_sealed || r->b.ended || found->bytes > plan.sure)) {
        r->b.changed = true;
        err = segment_sync(segment, plan.read, why);
    }
    return err;
}

static enum err log_recover_segment(struct log_recover *r, uint32_t at,
                                    struct why *why)
{
    struct recover_segment *found = &r->folder.found[at];
    struct segment *segment = NULL;
    enum err err;

    if (at > 0 && !r->b.ended &&
        !recover_follows(r->folder.found, at, &r->folder.point,
                         r->b.last_end)) {
        log_rebuild_end(&r->b);
    }
    err = segment_open(r->b.log->env->disk, r->b.log->folder, found->base,
                       &segment, why);
    if (err) {
        return err;
    }
    found->bytes = segment_bytes(segment);
    if (r->b.ended) {
        segment_unref(segment);
        return log_recover_away(r, found, why);
    }
    segment->created_ms = env_wall_ms(r->b.log->env);
    log_push_segment(r->b.log, segment);
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

    err = segment_create(r->b.log->env->disk, r->b.log->folder, offset,
                         &segment, why);
    if (err) {
        return err;
    }
    segment->created_ms = env_wall_ms(r->b.log->env);
    log_push_segment(r->b.log, segment);
    r->b.expected = offset;
    r->b.last_end = offset;
    r->b.changed = true;
    return ERR_NONE;
}

/* The log ends before its start: a restart elsewhere was interrupted. */
static enum err log_recover_empty(struct log_recover *r, struct why *why)
{
    struct log *log = r->b.log;

    while (log->segment_count > 0) {
        struct segment *segment = log->segments[--log->segment_count];
        char path[NAMES_PATH_BYTES];
        enum err err;

        names_path(path, log->folder, segment->base, NAMES_LOG);
        log_folder_remove(&r->folder, segment->base, NAMES_INDEX);
        log_folder_remove(&r->folder, segment->base, NAMES_TIMES);
        segment_unref(segment);
        err = disk_remove(r->b.log->env->disk, path, why);
        if (err) {
            return err;
        }
    }
    return log_recover_begin(r, r->folder.start, why);
}

static enum err log_recover_end(struct log_recover *r,
                                const struct log_options *options,
                                struct why *why)
{
    struct log *log = r->b.log;
    enum err err = ERR_NONE;

    if (log->segment_count == 0 && r->folder.point.offset <= r->folder.start) {
        err = log_recover_begin(r, MAX(r->folder.start, options->start_offset),
                                why);
    } else if (log->segment_count == 0) {
        err = log_recover_begin(r, r->folder.point.offset, why);
        if (!err) {
            log_report_damage(log, r->b.report, log_active(log), 0,
                              MAX(r->folder.start, options->start_offset),
                              "all segments are missing");
        }
    } else if (r->b.expected < r->folder.start) {
        err = log_recover_empty(r, why);
    } else if (r->b.expected < r->folder.point.offset) {
        log_report_damage(log, r->b.report, log_active(log),
                          segment_bytes(log_active(log)), r->b.expected,
                          "the log is shorter than what was flushed");
        err = log_rebuild_full(&r->b, segment_seal(log_active(log), why), why);
        err = err ? err : log_recover_begin(r, r->folder.point.offset, why);
    }
    log_set_end(log, r->b.expected);
    log->next_offset = r->b.expected;
    log->batches_end = r->b.last_end;
    if (!err) {
        segment_activate(log_active(log));
    }
    return err;
}

/* Stores what recovery has changed. */
static enum err log_recover_store(struct log_recover *r, struct why *why)
{
    struct log *log = r->b.log;
    struct small_files_point *point = &log->loaded;
    struct view_mark end = log_end_mark(log);
    struct file *file = NULL;
    enum err err;

    /* After a crash, an epoch without a batch may be of one that was cut: who
     * leads begins its own again. */
    if (log_cut_epochs(log, 0, log->end_offset + r->folder.clean)) {
        r->b.epochs_changed = true;
    }
    log->epochs_changed = log->epochs_changed || r->b.epochs_changed;
    if (end.offset == end.base && end.position == 0 && point->offset < 0 &&
        log->segment_count == 1) {
        return ERR_NONE; /* new and empty: the first sync will do */
    }
    if (!r->b.changed && point->offset == end.offset &&
        point->base == end.base && point->position == end.position) {
        /* At most the list: the rest is on disk as it is. */
        err = r->b.epochs_changed ? log_save_epochs(log, why) : ERR_NONE;
        return log_rebuild_full(&r->b, err, why);
    }
    err = disk_sync_parent(log->env->disk, log->folder, why);
    err = err ? err
              : small_files_sync_claim(r->b.log->env->disk, log->folder, why);
    err = err ? err : disk_sync_folder(r->b.log->env->disk, log->folder, why);
    if (!err && r->b.epochs_changed) {
        err = log_save_epochs(log, why);
    }
    if (err == ERR_FULL) {
        /* Nor the point, which must not be ahead: batches are read again. */
        return log_rebuild_full(&r->b, err, why);
    }
    point->offset = end.offset;
    point->base = end.base;
    point->position = end.position;
    point->hole = end.hole;
    point->unsealed = false;
    point->first_timestamp = log_active(log)->first_timestamp;
    point->created_ms = log_active(log)->created_ms;
    err = err ? err
              : small_files_save_point(r->b.log->env->disk, log->folder, &file,
                                       point, why);
    file_close(file);
    return log_rebuild_full(&r->b, err, why);
}

enum err log_recover(struct log *log, const struct log_options *options,
                     struct log_recovery *report, struct why *why)
{
    struct log_recover r = {.b = {.log = log, .report = report},
                            .folder = {.log = log, .clean = options->clean}};
    struct why own = {""};
    enum err err;

    why = why == NULL ? &own : why;
    err = log_folder_claim(&r.folder, options->topic_id, why);
    err = err ? err : log_folder_list(&r.folder, why);
    err = err ? err : log_folder_load(&r.folder, why);
    r.b.changed = r.folder.changed;
    for (uint32_t i = 0; !err && i < r.folder.count; i++) {
        err = log_recover_segment(&r, i, why);
    }
    if (!err) {
        log_rebuild_last_epoch(&r.b);
        err = log_recover_end(&r, options, why);
    }
    if (!err) {
        int64_t first = log->segments[0]->base;

        atomic_store(&log->view.start, MAX(r.folder.start, first));
        if (log_cut_epochs(log, MAX(r.folder.start, first), INT64_MAX)) {
            r.b.epochs_changed = true;
        }
        err = log_replay(log, &report->scanned_bytes, why);
        r.b.changed = r.b.changed || log->state_removed;
    }
    if (!err) {
        err = log_recover_store(&r, why);
    }
    /* What was read has indexes made anew, which a stop is to seal. */
    log->unchanged =
        r.folder.clean && !r.b.last_read && log->loaded.offset >= 0;
    log_folder_fini(&r.folder);
    report->start_offset = err ? -1 : log_start_offset(log);
    report->end_offset = log->end_offset;
    return err;
}
