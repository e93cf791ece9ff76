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
#include "log/log_rebuild.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"

struct log_recover {
    struct log_rebuild b;
    struct recover_segment *found; /* sorted by base */
    uint32_t found_count;
    uint32_t found_capacity;
    struct recover_point point;
    int64_t start;
    bool clean;
    enum err err; /* of disk_list()'s calls */
};

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
            r->found =
                mem_realloc(r->found, sizeof(r->found[0]) * r->found_capacity);
        }
        r->found[r->found_count++] = (struct recover_segment){.base = base};
    } else if (names_ends_with(name, NAMES_DELETED) ||
               names_ends_with(name, ".tmp")) {
        names_join(path, r->b.log->folder, name);
        r->err = disk_remove(r->b.log->env->disk, path, NULL);
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
    names_join(path, r->b.log->folder, name);
    r->err = disk_remove(r->b.log->env->disk, path, NULL);
}

static enum err log_recover_names(struct log_recover *r, struct why *why)
{
    enum err err = disk_list(r->b.log->env->disk, r->b.log->folder,
                             log_recover_name, r, why);

    if (!err) {
        err = disk_list(r->b.log->env->disk, r->b.log->folder,
                        log_recover_orphan, r, why);
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
    struct log *log = r->b.log;
    char path[NAMES_PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    enum err err;

    names_join(path, log->folder, NAMES_EPOCHS);
    if (log->no_epochs) { /* an older version kept them */
        err = disk_remove(log->env->disk, path, NULL);
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    }
    err =
        disk_read_all(r->b.log->env->disk, path, 64U << 20, &text, &bytes, why);
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
    struct log *log = r->b.log;
    struct small_files_point *point = &log->loaded;
    enum err err = small_files_load_start(r->b.log->env->disk, log->folder,
                                          &r->start, why);

    if (err == ERR_CORRUPT) {
        trace(TRACE_WARN, "%s: the log starts at its first segment",
              why == NULL ? "log start" : why->text);
        err = ERR_NONE;
    }
    if (!err) {
        err = small_files_load_point(r->b.log->env->disk, log->folder, point,
                                     why);
    }
    r->clean = r->clean && !point->unsealed;
    r->b.changed = r->b.changed || point->unsealed;
    r->point = (struct recover_point){.offset = point->offset,
                                      .base = point->base,
                                      .position = point->position};
    return err ? err : log_recover_epochs(r, why);
}

/* ---- one segment ---- */

static void log_recover_remove(struct log_recover *r, int64_t base,
                               const char *suffix)
{
    char path[NAMES_PATH_BYTES];
    enum err err;

    names_path(path, r->b.log->folder, base, suffix);
    err = disk_remove(r->b.log->env->disk, path, NULL);
    (void)err; /* it may not be there; an orphan goes at the next start */
}

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
    log_recover_remove(r, found->base, NAMES_INDEX);
    log_recover_remove(r, found->base, NAMES_TIMES);
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
    } else if (r->b.last_end < r->b.batches_end && at + 1 < r->found_count) {
        log_report_damage(r->b.log, r->b.report, segment,
                          segment_bytes(segment), r->b.last_end,
                          "the segment is too short");
        r->b.expected = MAX(sure_end, r->found[at + 1].base);
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
    struct recover_segment *found = &r->found[at];
    const struct small_files_point *point = &r->b.log->loaded;
    int64_t sure_end = INT64_MAX;
    struct recover_plan plan;
    bool is_sealed;
    enum err err;

    recover_plan(r->found, r->found_count, at, &r->point, r->clean, &plan);
    if (plan.holds_point) {
        sure_end = point->offset;
    } else if (at + 1 < r->found_count) {
        sure_end = r->found[at + 1].base;
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
    is_sealed = plan.read && at + 1 < r->found_count && !r->b.ended;
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
    struct recover_segment *found = &r->found[at];
    struct segment *segment = NULL;
    enum err err;

    if (at > 0 && !r->b.ended &&
        !recover_follows(r->found, at, &r->point, r->b.last_end)) {
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
        log_recover_remove(r, segment->base, NAMES_INDEX);
        log_recover_remove(r, segment->base, NAMES_TIMES);
        segment_unref(segment);
        err = disk_remove(r->b.log->env->disk, path, why);
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
    struct log *log = r->b.log;
    enum err err = ERR_NONE;

    if (log->segment_count == 0 && r->point.offset <= r->start) {
        err = log_recover_begin(r, MAX(r->start, options->start_offset), why);
    } else if (log->segment_count == 0) {
        err = log_recover_begin(r, r->point.offset, why);
        if (!err) {
            log_report_damage(log, r->b.report, log_active(log), 0,
                              MAX(r->start, options->start_offset),
                              "all segments are missing");
        }
    } else if (r->b.expected < r->start) {
        err = log_recover_empty(r, why);
    } else if (r->b.expected < r->point.offset) {
        log_report_damage(log, r->b.report, log_active(log),
                          segment_bytes(log_active(log)), r->b.expected,
                          "the log is shorter than what was flushed");
        err = log_rebuild_full(&r->b, segment_seal(log_active(log), why), why);
        err = err ? err : log_recover_begin(r, r->point.offset, why);
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
    char *parent;
    enum err err;

    /* After a crash, an epoch without a batch may be of one that was cut: who
     * leads begins its own again. */
    if (log_cut_epochs(log, 0, log->end_offset + r->clean)) {
        r->b.changed = true;
        r->b.epochs_changed = true;
    }
    if (end.offset == end.base && end.position == 0 && point->offset < 0 &&
        log->segment_count == 1) {
        return ERR_NONE; /* new and empty: the first sync will do */
    }
    if (!r->b.changed && point->offset == end.offset &&
        point->base == end.base && point->position == end.position) {
        return ERR_NONE;
    }
    parent = names_parent(log->folder);
    err = disk_sync_folder(r->b.log->env->disk, parent, why);
    mem_free(parent);
    err = err ? err
              : small_files_sync_claim(r->b.log->env->disk, log->folder, why);
    err = err ? err : disk_sync_folder(r->b.log->env->disk, log->folder, why);
    if (!err && r->b.epochs_changed) {
        log->epochs_changed = true;
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

/* Room for the log's folder: another topic's, which has its name, takes
 * another. */
static enum err log_recover_set_aside(struct log_recover *r, struct uuid other,
                                      struct why *why)
{
    struct log *log = r->b.log;
    char *parent = names_parent(log->folder);
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

static enum err log_recover_folder(struct log_recover *r,
                                   const struct log_options *options,
                                   struct why *why)
{
    struct disk *disk = r->b.log->env->disk;
    const char *folder = r->b.log->folder;
    struct uuid id = options->topic_id;
    struct uuid other;
    bool made = false;
    enum err err = disk_make_folder(disk, folder, why);

    if (!err && !uuid_is_zero(id)) {
        err = small_files_claim(disk, folder, id, &made, &other, why);
        if (err == ERR_EXISTS) {
            err = log_recover_set_aside(r, other, why);
            err = err ? err
                      : small_files_claim(disk, folder, id, &made, &other, why);
        }
        r->b.changed = r->b.changed || made;
    }
    return err;
}

enum err log_recover(struct log *log, const struct log_options *options,
                     struct log_recovery *report, struct why *why)
{
    struct log_recover r = {.b = {.log = log, .report = report},
                            .clean = options->clean};
    struct why own = {""};
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
        log_rebuild_last_epoch(&r.b);
        err = log_recover_end(&r, options, why);
    }
    if (!err) {
        int64_t first = log->segments[0]->base;

        atomic_store(&log->view.start, MAX(r.start, first));
        if (log_cut_epochs(log, MAX(r.start, first), INT64_MAX)) {
            r.b.epochs_changed = true;
        }
        err = log_replay(log, &report->scanned_bytes, why);
        r.b.changed = r.b.changed || log->state_removed;
    }
    if (!err) {
        err = log_recover_store(&r, why);
    }
    log->unchanged = r.clean && log->loaded.offset >= 0;
    mem_free(r.found);
    report->start_offset = err ? -1 : log_start_offset(log);
    report->end_offset = log->end_offset;
    return err;
}
