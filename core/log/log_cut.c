/* log_cut.c - what makes a log shorter: at its end by truncation, at its start
 * by retention and deletion.
 *
 * The order that survives a crash:
 * - At the end: the flushed point is lowered first (above it recovery finds
 *   nothing missed), then segments go, newest first, then the last one is cut.
 * - At the start: the start is stored first, then segments go, oldest first.
 * Segments are renamed to *.deleted at once, and removed on a disk thread when
 * file_delete_delay_ms have passed. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/retain_core.h"

/* Segments that retention takes in one turn: each is five names, and a disk may
 * take its time for them while a loop waits. */
enum { LOG_RETAIN_TURN = 64 };

/* When retention looks again that found no room for a new segment. */
enum { LOG_RETAIN_RETRY_MS = 1000 };

static const char *const log_suffixes[] = {NAMES_LOG, NAMES_INDEX, NAMES_TIMES,
                                           NAMES_SNAPSHOT, NAMES_DEEP};

/* Takes the names of a segment's files away, the .log first: what a crash
 * leaves of the others is an orphan. */
static void log_unname(struct log *log, int64_t base)
{
    char from[NAMES_PATH_BYTES];
    struct why why;

    for (size_t i = 0; i < ARRAY_COUNT(log_suffixes); i++) {
        char *to;
        enum err err;

        names_path(from, log->folder, base, log_suffixes[i]);
        to = mem_printf("%s" NAMES_DELETED, from);
        err = disk_rename(log->env->disk, from, to, &why);
        mem_free(to);
        if (err && err != ERR_NOT_FOUND) {
            trace(TRACE_WARN, "%s", why.text);
        }
    }
}

static void log_doomed_run(struct work *work)
{
    struct log_doomed *doomed = container_of(work, struct log_doomed, work);
    struct log *log = doomed->log;
    char path[NAMES_PATH_BYTES];

    for (uint32_t i = 0; i < doomed->count; i++) {
        for (size_t s = 0; s < ARRAY_COUNT(log_suffixes); s++) {
            char *gone;
            enum err err;

            names_path(path, log->folder, doomed->bases[i], log_suffixes[s]);
            gone = mem_printf("%s" NAMES_DELETED, path);
            err = disk_remove(log->env->disk, gone, NULL);
            (void)err; /* what stays goes at the next start */
            mem_free(gone);
        }
    }
}

static void log_doomed_done(struct work *work)
{
    struct log_doomed *doomed = container_of(work, struct log_doomed, work);
    struct log *log = doomed->log;

    list_remove(&doomed->node);
    mem_free(doomed);
    log_close_step(log);
}

static void log_doomed_fire(struct env_timer *timer)
{
    struct log_doomed *doomed = container_of(timer, struct log_doomed, timer);

    doomed->working = true;
    env_work(doomed->log->env, &doomed->work);
}

/* Takes count segments from at on out of the log: their names now, their bytes
 * later. The list is not published yet. */
static void log_drop_segments(struct log *log, uint32_t at, uint32_t count,
                              bool newest_first)
{
    struct log_doomed *doomed =
        mem_zalloc(sizeof(*doomed) + count * sizeof(doomed->bases[0]));

    doomed->log = log;
    doomed->count = count;
    doomed->timer.fire = log_doomed_fire;
    doomed->work.run = log_doomed_run;
    doomed->work.done = log_doomed_done;
    doomed->work.key = (uint64_t)(uintptr_t)doomed;
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment =
            log->segments[newest_first ? at + count - 1 - i : at + i];

        doomed->bases[i] = segment->base;
        log_unname(log, segment->base);
        segment_unref(segment);
    }
    memmove(log->segments + at, log->segments + at + count,
            sizeof(log->segments[0]) * (log->segment_count - at - count));
    log->segment_count -= count;
    list_push(&log->doomed, &doomed->node);
    env_timer_set(log->env, &doomed->timer, log->config.file_delete_delay_ms);
}

void log_doomed_stop(struct log *log)
{
    list_each_safe(node, &log->doomed)
    {
        struct log_doomed *doomed = container_of(node, struct log_doomed, node);

        if (!doomed->working) {
            env_timer_stop(log->env, &doomed->timer);
            list_remove(node);
            mem_free(doomed);
        }
    }
}

/* ---- the end ---- */

/* The log ends at mark from now on: what depends on that follows. The folder
 * last: stored state from above mark must not come back. */
static enum err log_cut_done(struct log *log, struct view_mark mark,
                             struct why *why)
{
    uint64_t read_bytes = 0;
    enum err err;

    log_set_end(log, mark.offset);
    log->next_offset = mark.offset;
    log->batches_end = mark.offset;
    log_publish(log);
    flush_cut(&log->flush, mark);
    atomic_store_explicit(&log->view.flushed, log->flush.flushed.offset,
                          memory_order_release);
    watch_advance(&log->flushed_watch, log->flush.flushed.offset);
    err = log_replay(log, &read_bytes, why);
    (void)log_cut_epochs(log, 0, mark.offset);
    if (!err) {
        /* Whatever a job in flight holds of them is void. */
        err = log_save_epochs(log, why);
    }
    if (!err) {
        err = disk_sync_folder(log->env->disk, log->folder, why);
    }
    if (!err && log->flush.parent_dirty) {
        /* There is a point now: the next life takes the folder for durable. */
        err = disk_sync_parent(log->env->disk, log->folder, why);
    }
    return err;
}

/* Where a log that is cut at offset ends: behind the last batch below the one
 * that holds it; a hole between the two goes as well. at: the segment.
 * Errors: ERR_DISK, ERR_DAMAGED. */
static enum err log_cut_mark(struct log *log, int64_t offset, uint32_t *at,
                             struct view_mark *mark, struct why *why)
{
    struct segment *segment;
    struct segment_spot spot;
    enum err err;

    *at = log->segment_count - 1;
    while (*at > 0 && log->segments[*at]->base > offset) {
        (*at)--;
    }
    segment = log->segments[*at];
    *mark = (struct view_mark){.base = segment->base,
                               .position = segment_bytes(segment)};
    err = segment_find(segment, offset, mark->position, true, &spot, why);
    if (err && err != ERR_NOT_FOUND) {
        return err;
    }
    mark->position = spot.position;
    return segment_end_before(segment, mark->position, &mark->offset, why);
}

/* Anything that goes wrong half way leaves a log that is not what memory says
 * it is: it ends. */
static enum err log_cut_failed(struct log *log, enum err err,
                               const struct why *why)
{
    if (err) {
        log_fail(log, why);
    }
    return err;
}

enum err log_truncate(struct log *log, int64_t offset, struct why *why)
{
    struct segment *segment = NULL;
    struct view_mark mark;
    struct why own = {""};
    uint32_t at = 0;
    enum err err;

    why = why == NULL ? &own : why;
    must(log->state == LOG_OPEN);
    log_append_drop(log, ERR_CANCELLED);
    if (offset >= log->end_offset) {
        return ERR_NONE;
    }
    if (offset < log_start_offset(log)) {
        return log_restart_at(log, offset, why);
    }
    err = log_cut_mark(log, offset, &at, &mark, why);
    if (err) {
        return err;
    }
    if (mark.offset < log_start_offset(log)) {
        /* The start lies inside the batch that goes. */
        return log_restart_at(log, log_start_offset(log), why);
    }
    if (log_visible_end(log) > mark.offset) {
        view_set_visible(&log->view, mark);
    }
    err = flush_lower(&log->flush, mark, why);
    if (err) {
        return log_cut_failed(log, err, why);
    }
    if (at + 1 < log->segment_count) {
        log_drop_segments(log, at + 1, log->segment_count - at - 1, true);
    }
    err = log_rebuild_cut_segment(log, mark.base, mark.position, &segment, why);
    if (!err) {
        segment->first_timestamp = log_active(log)->first_timestamp;
        segment->created_ms = log_active(log)->created_ms;
        segment_unref(log_active(log));
        log->segments[at] = segment;
        err = log_cut_done(log, mark, why);
    }
    return log_cut_failed(log, err, why);
}

/* Stored producers' state is of no log that begins elsewhere. */
static void log_forget_state(struct log *log)
{
    char path[NAMES_PATH_BYTES];
    enum err err;

    names_join(path, log->folder, NAMES_STATE);
    err = disk_remove(log->env->disk, path, NULL);
    (void)err; /* it may not be there */
    if (log->producers != NULL) {
        log->producers->reset(log->producers);
    }
}

enum err log_restart_at(struct log *log, int64_t offset, struct why *why)
{
    struct view_mark mark = {.offset = offset, .base = offset};
    struct segment *segment = NULL;
    struct why own = {""};
    enum err err;

    why = why == NULL ? &own : why;
    must(log->state == LOG_OPEN && offset >= 0);
    log_append_drop(log, ERR_CANCELLED);
    err = small_files_save_start(log->env->disk, log->folder, offset, why);
    if (!err) {
        log->flush.flushed = mark; /* of nothing, all is on the disk */
        err = flush_lower(&log->flush, mark, why);
    }
    if (err) {
        return log_cut_failed(log, err, why);
    }
    log_drop_segments(log, 0, log->segment_count, true);
    log_forget_state(log);
    err = segment_create(log->env->disk, log->folder, offset, &segment, why);
    if (err) {
        log->segment_count = 0;
        return log_cut_failed(log, err, why);
    }
    segment->created_ms = env_wall_ms(log->env);
    log_push_segment(log, segment);
    atomic_store_explicit(&log->view.start, offset, memory_order_release);
    view_set_visible(&log->view, mark);
    (void)log_cut_epochs(log, 0, 0);
    err = log_save_epochs(log, why);
    if (!err) {
        err = log_cut_done(log, mark, why);
    }
    return log_cut_failed(log, err, why);
}

/* ---- the start ---- */

/* The oldest segments go; the start follows. */
static void log_drop_oldest(struct log *log, uint32_t count)
{
    int64_t start;

    if (count == 0) {
        return;
    }
    log_drop_segments(log, 0, count, false);
    start = MAX(log->segments[0]->base, log_start_offset(log));
    atomic_store_explicit(&log->view.start, start, memory_order_release);
    log_publish(log);
    if (log_cut_epochs(log, start, INT64_MAX)) {
        log->epochs_changed = true;
    }
}

/* The largest timestamp of the segment; of its file where no batch has one. */
static int64_t log_segment_time(struct log *log, struct segment *segment,
                                int64_t wall_ms)
{
    int64_t time = atomic_load(&segment->max_timestamp);
    char path[NAMES_PATH_BYTES];

    if (time < 0) {
        names_path(path, log->folder, segment->base, NAMES_LOG);
        if (disk_modified_ms(log->env->disk, path, &time, NULL)) {
            time = wall_ms;
        }
    }
    return time;
}

/* Asks retain_core which of the oldest may go, and lets them. */
static enum err log_retain_some(struct log *log, int64_t wall_ms, bool retain,
                                int64_t *next_ms, struct why *why)
{
    struct retain_limits limits = {
        .retention_ms = log->config.retention_ms,
        .retention_bytes = log->config.retention_bytes,
        .start_offset = log_start_offset(log),
        .safe_end = MIN(log_visible_end(log), log_flushed_end(log)),
        .retain = retain && log->config.retain};
    struct retain_segment *list = mem_alloc(sizeof(*list) * log->segment_count);
    uint32_t count;
    enum err err = ERR_NONE;

    for (uint32_t i = 0; i < log->segment_count; i++) {
        list[i] = (struct retain_segment){
            .bytes = segment_bytes(log->segments[i]),
            .end_offset = log_segment_end(log, i),
            .max_timestamp =
                limits.retain && limits.retention_ms >= 0
                    ? log_segment_time(log, log->segments[i], wall_ms)
                    : 0};
    }
    count = retain_count(list, log->segment_count, &limits, wall_ms, next_ms);
    mem_free(list);
    if (retain && count > LOG_RETAIN_TURN) {
        count = LOG_RETAIN_TURN;
        *next_ms = 0;
    }
    if (count == log->segment_count) {
        /* On a full disk the older ones go nevertheless, and make room. */
        err = log_roll(log, why);
        if (err) {
            count--;
            *next_ms = LOG_RETAIN_RETRY_MS;
        }
    }
    log_drop_oldest(log, count);
    return err;
}

enum err log_store_start(const struct log *log, int64_t offset, struct why *why)
{
    if (offset <= log_start_offset(log)) {
        return ERR_NONE;
    }
    if (offset > log_visible_end(log)) {
        return why_set(why, ERR_OFFSET_OUT_OF_RANGE,
                       "a log cannot start at %lld, behind its end",
                       (long long)offset);
    }
    return small_files_save_start(log->env->disk, log->folder, offset, why);
}

enum err log_raise_start(struct log *log, int64_t offset, struct why *why)
{
    int64_t next_ms;

    if (offset <= log_start_offset(log)) {
        return ERR_NONE;
    }
    must(offset <= log_visible_end(log));
    atomic_store_explicit(&log->view.start, offset, memory_order_release);
    return log_retain_some(log, 0, false, &next_ms, why);
}

int64_t log_retain(struct log *log, int64_t retention_wall_ms)
{
    int64_t next_ms = INT64_MAX;
    struct why why;

    if (log->state != LOG_OPEN || log->broken) {
        return next_ms;
    }
    if (log->producers != NULL && log->producers->expire != NULL) {
        log->producers->expire(log->producers, retention_wall_ms);
    }
    if (log_retain_some(log, retention_wall_ms, true, &next_ms, &why)) {
        trace(TRACE_WARN, "retention: %s", why.text);
    }
    /* Not twice in a row: who reads an old segment reads on a little later. */
    for (uint32_t i = 0; next_ms > 0 && i + 1 < log->segment_count; i++) {
        lazy_file_forget_idle(&log->segments[i]->log, &log->retire);
        lazy_file_forget_idle(&log->segments[i]->offsets.file, &log->retire);
        lazy_file_forget_idle(&log->segments[i]->times.file, &log->retire);
    }
    point_forget_idle(&log->flush.point);
    return next_ms;
}
