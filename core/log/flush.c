/* flush.c - the sync job, the point job, and when each begins. */
#include "log/flush.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"

enum {
    FLUSH_POINT_MS = 1000,
    FLUSH_POINT_BYTES = 64 << 20,
    FLUSH_RETRY_MS = 200,
};

static void flush_kick(struct flush *flush);
static void flush_kick_point(struct flush *flush);
static void flush_retry_fire(struct env_timer *timer);

static void flush_fire(struct env_timer *timer)
{
    struct flush *flush = container_of(timer, struct flush, timer);

    flush->timer_set = false;
    if (flush->point_waits) {
        flush->point_waits = false;
        env_work(flush->env, &flush->point_job.work);
        return;
    }
    flush->point_due = true;
    flush_kick_point(flush);
}

void flush_init(struct flush *flush, const struct flush_options *options)
{
    const struct small_files_point *point = &options->point;

    *flush = (struct flush){.env = options->env,
                            .folder = options->folder,
                            .calls = options->calls,
                            .arg = options->arg,
                            .written = options->mark,
                            .flushed = options->mark,
                            .stored = {.offset = point->offset,
                                       .base = point->base,
                                       .position = point->position}};
    point_init(&flush->point, options->env->disk, options->folder, point);
    flush->timer.fire = flush_fire;
    flush->retry.fire = flush_retry_fire;
    flush->job.work.key = options->key;
    flush->point_job.work.key = options->key ^ 1;
}

static void flush_items_free(struct flush_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        segment_unref(items[i].segment);
    }
    mem_free(items);
}

void flush_fini(struct flush *flush)
{
    must(flush_is_idle(flush));
    env_timer_stop(flush->env, &flush->timer);
    env_timer_stop(flush->env, &flush->retry);
    flush_items_free(flush->items, flush->item_count);
    point_files_free(flush->files);
    point_fini(&flush->point);
    mem_free(flush->job.why);
    mem_free(flush->point_job.why);
    *flush = (struct flush){0};
}

void flush_abandon(struct flush *flush)
{
    flush_items_free(flush->job.items, flush->job.item_count);
    point_files_free(flush->job.files);
    point_files_free(flush->point_job.state);
    flush->job.items = NULL;
    flush->job.item_count = 0;
    flush->busy = false;
    flush->point_busy = false;
    flush_stop(flush);
}

bool flush_is_idle(const struct flush *flush)
{
    return !flush->busy && !flush->point_busy;
}

bool flush_is_clean(const struct flush *flush)
{
    return flush->item_count == 0 && !flush->folder_dirty &&
           flush->files == NULL &&
           flush->written.offset == flush->flushed.offset;
}

/* The segment's place among the dirty ones; it is put there when it is not. */
static struct flush_item *flush_item(struct flush *flush,
                                     struct segment *segment)
{
    if (segment->dirty) {
        for (uint32_t i = flush->item_count; i > 0; i--) {
            if (flush->items[i - 1].segment == segment) {
                return &flush->items[i - 1];
            }
        }
    }
    if (flush->item_count == flush->item_capacity) {
        flush->item_capacity = MAX(flush->item_capacity * 2, 2U);
        flush->items = mem_realloc(flush->items, sizeof(flush->items[0]) *
                                                     flush->item_capacity);
    }
    segment->dirty = true;
    segment_ref(segment);
    flush->items[flush->item_count] = (struct flush_item){.segment = segment};
    return &flush->items[flush->item_count++];
}

void flush_wrote(struct flush *flush, struct segment *segment,
                 struct view_mark mark)
{
    (void)flush_item(flush, segment);
    flush->written = mark;
    flush->ends_in_hole = false;
}

void flush_moved(struct flush *flush, struct view_mark mark, bool is_hole)
{
    flush->written = mark;
    flush->ends_in_hole = flush->ends_in_hole || is_hole;
}

void flush_renamed(struct flush *flush)
{
    flush->folder_dirty = true;
}

void flush_created(struct flush *flush)
{
    flush->folder_dirty = true;
    flush->parent_dirty = true;
}

void flush_sealed(struct flush *flush, struct segment *segment)
{
    flush_item(flush, segment)->indexes = true;
}

void flush_file(struct flush *flush, struct point_file *file)
{
    struct point_file **at = &flush->files;

    if (file == NULL) {
        return;
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = file;
}

void flush_now(struct flush *flush)
{
    flush->wanted = true;
    flush_kick(flush);
}

void flush_point_now(struct flush *flush)
{
    flush->point_due = true;
    flush_kick_point(flush);
}

void flush_close(struct flush *flush, bool sealed)
{
    flush->closing = true;
    flush->unsealed = !sealed;
    if (!sealed) {
        flush->stored.offset = -1; /* as good as none: it is stored again */
    }
}

void flush_stop(struct flush *flush)
{
    env_timer_stop(flush->env, &flush->timer);
    flush->timer_set = false;
    flush->point_waits = false;
    flush->wanted = false;
    flush->point_due = false;
}

enum err flush_lower(struct flush *flush, struct view_mark mark,
                     struct why *why)
{
    struct small_files_point point = {.offset = mark.offset,
                                      .base = mark.base,
                                      .position = mark.position,
                                      .hole = mark.hole,
                                      .first_timestamp = -1};
    bool lowered = false;
    enum err err = point_lower(&flush->point, &point, flush->flushed.offset,
                               !flush_is_idle(flush), &lowered, why);

    if (!err && lowered) {
        flush->stored = mark;
    }
    flush->files = point_files_cut(flush->files, mark.offset);
    return err;
}

void flush_cut(struct flush *flush, struct view_mark mark)
{
    flush->written = mark;
    flush->ends_in_hole = false;
    /* At the same offset the segment may be another one. */
    if (flush->flushed.offset >= mark.offset) {
        flush->flushed = mark;
    }
    if (flush->job.mark.offset >= mark.offset) {
        flush->job.mark = mark;
    }
}

static void flush_fail(struct flush *flush, const struct why *why)
{
    if (!flush->broken) {
        flush->broken = true;
        flush->calls->failed(flush->arg, why);
    }
}

static void flush_tell_idle(struct flush *flush)
{
    if (flush_is_idle(flush)) {
        flush->calls->idle(flush->arg);
    }
}

/* ---- the sync ---- */

/* An idle log has no room for reasons: they are kept where there is one. */
static void flush_keep(struct why **kept, enum err err, const struct why *why)
{
    mem_free(*kept);
    *kept = NULL;
    if (err) {
        *kept = MEM_NEW(struct why);
        **kept = *why;
    }
}

/* On a disk thread. */
static void flush_job_run(struct work *work)
{
    struct flush_job *job = container_of(work, struct flush_job, work);
    struct flush *flush = container_of(job, struct flush, job);
    struct disk *disk = flush->env->disk;
    struct why why;
    enum err err = ERR_NONE;

    job->lacks_room = false; /* of an earlier try */
    for (uint32_t i = 0; !err && i < job->item_count; i++) {
        err = segment_sync(job->items[i].segment, job->items[i].indexes, &why);
    }
    if (!err) {
        err = point_save(&flush->point, job->cuts, job->files, &why);
        job->lacks_room = err == ERR_FULL;
    }
    if (!err && job->parent) {
        err = small_files_sync_claim(disk, flush->folder, &why);
    }
    if (!err && job->folder) {
        err = disk_sync_folder(disk, flush->folder, &why);
    }
    if (!err && job->parent) {
        err = disk_sync_parent(disk, flush->folder, &why);
    }
    if (!err && job->stores_point) {
        err = point_store(&flush->point, job->cuts, &job->point, &why);
    } else if (!err) {
        err = point_note(&flush->point, job->cuts, &job->point, &why);
    }
    flush_keep(&job->why, err, &why);
    job->err = err;
}

/* Whether a start would have much to read: in a second a fast disk takes more
 * than one likes to wait for. */
static bool flush_is_far(const struct flush *flush)
{
    return flush->flushed.base == flush->stored.base &&
           flush->flushed.position - flush->stored.position >=
               FLUSH_POINT_BYTES;
}

static void flush_job_end(struct flush *flush)
{
    struct flush_job *job = &flush->job;
    bool sealed = false;

    for (uint32_t i = 0; i < job->item_count; i++) {
        sealed = sealed || job->items[i].indexes;
    }
    flush_items_free(job->items, job->item_count);
    point_files_free(job->files);
    job->items = NULL;
    job->item_count = 0;
    job->files = NULL;
    flush->busy = false;
    if (job->err) {
        flush_fail(flush, job->why);
    } else {
        /* The log may have begun again, ahead of what this job knows. */
        if (job->mark.offset >= flush->flushed.offset) {
            flush->flushed = job->mark;
        }
        flush->point_due = flush->point_due || sealed || flush_is_far(flush);
        flush_kick(flush);
        flush_kick_point(flush);
        flush->calls->advanced(flush->arg);
    }
    flush_tell_idle(flush);
}

/* The job came to nothing, and will not be done again. */
static void flush_give_up(struct flush *flush)
{
    flush->broken = true;
    flush->job.err = ERR_NONE;
    flush->job.mark = flush->flushed;
    flush_job_end(flush);
}

/* Without descriptors, or room for a file beside, nothing is lost yet: the same
 * job is done again. */
static void flush_job_done(struct work *work)
{
    struct flush *flush = container_of(work, struct flush, job.work);
    bool lacks_room = flush->job.err && flush->job.lacks_room;
    bool waits = flush->job.err == ERR_LIMIT || lacks_room;

    if (!waits || flush->broken) {
        flush->retries = false;
        flush_job_end(flush);
        return;
    }
    if (!flush->retries) {
        trace(TRACE_WARN, "a flush waits: %s", flush->job.why->text);
    }
    if (flush->closing && lacks_room) {
        flush_give_up(flush);
        return;
    }
    flush->retries = true;
    env_timer_set(flush->env, &flush->retry, FLUSH_RETRY_MS);
}

static void flush_retry_fire(struct env_timer *timer)
{
    struct flush *flush = container_of(timer, struct flush, retry);

    if (flush->broken) {
        flush_give_up(flush);
        return;
    }
    env_work(flush->env, &flush->job.work);
}

/* What the job takes over from what is pending. */
static void flush_capture(struct flush *flush)
{
    struct flush_job *job = &flush->job;

    job->mark = flush->written;
    job->items = flush->items;
    job->item_count = flush->item_count;
    job->files = flush->files;
    job->folder = flush->folder_dirty;
    job->parent = flush->parent_dirty;
    job->stores_point = flush->ends_in_hole;
    job->cuts = point_cuts(&flush->point);
    for (uint32_t i = 0; i < job->item_count; i++) {
        job->items[i].segment->dirty = false;
    }
    flush->items = NULL;
    flush->item_count = 0;
    flush->item_capacity = 0;
    flush->files = NULL;
    flush->folder_dirty = false;
    flush->parent_dirty = false;
}

static struct small_files_point flush_point_at(struct flush *flush,
                                               struct view_mark mark)
{
    struct small_files_point point = {.offset = mark.offset,
                                      .base = mark.base,
                                      .position = mark.position,
                                      .hole = mark.hole,
                                      .unsealed = flush->unsealed,
                                      .first_timestamp = -1};

    flush->calls->describe(flush->arg, &point);
    return point;
}

static void flush_kick(struct flush *flush)
{
    struct flush_job *job = &flush->job;

    if (!flush->wanted || flush->busy || flush->broken) {
        return;
    }
    flush->wanted = false;
    if (flush_is_clean(flush)) {
        return;
    }
    flush_capture(flush);
    job->point = flush_point_at(flush, job->mark);
    if (job->stores_point) {
        flush->calls->spill(flush->arg, job->point.base);
    }
    job->work.run = flush_job_run;
    job->work.done = flush_job_done;
    flush->busy = true;
    env_work(flush->env, &job->work);
}

/* ---- the point ---- */

/* On a disk thread. The state first: a point without it only means that more is
 * read again. */
static void flush_point_run(struct work *work)
{
    struct flush *flush = container_of(work, struct flush, point_job.work);
    struct flush_point_job *job = &flush->point_job;
    struct why why;
    enum err err = point_save(&flush->point, job->cuts, job->state, &why);

    if (!err) {
        err = point_store(&flush->point, job->cuts, &job->point, &why);
    }
    flush_keep(&job->why, err, &why);
    job->err = err;
}

/* The log closes, and its point is not stored for want of room or descriptors.
 * Without it the next start reads more: that is given up. But it must not take
 * indexes that are short for complete: where only the point can say so, it is
 * tried until it is there. Gives whether the job waits. */
static bool flush_point_last(struct flush *flush)
{
    if (!flush->closing || flush->broken ||
        !file_err_passes(flush->point_job.err)) {
        return false;
    }
    if (!flush->unsealed) {
        flush->broken = true;
        return false;
    }
    flush->point_waits = true;
    flush->timer_set = true;
    env_timer_set(flush->env, &flush->timer, FLUSH_RETRY_MS);
    return true;
}

static void flush_point_done(struct work *work)
{
    struct flush *flush = container_of(work, struct flush, point_job.work);
    struct flush_point_job *job = &flush->point_job;

    if (job->err && flush_point_last(flush)) {
        return;
    }
    point_files_free(job->state);
    job->state = NULL;
    flush->point_busy = false;
    if (job->err && !file_err_passes(job->err)) {
        flush_fail(flush, job->why);
    } else {
        /* What does not say yet that indexes are short is not the last. */
        if (!job->err && job->cuts == point_cuts(&flush->point) &&
            job->point.unsealed == flush->unsealed) {
            flush->stored = (struct view_mark){.offset = job->point.offset,
                                               .base = job->point.base,
                                               .position = job->point.position};
        }
        flush_kick_point(flush);
    }
    flush_tell_idle(flush);
}

/* Begins to store the point when it is due; else, when it is behind, sees to it
 * that it will be. */
static void flush_kick_point(struct flush *flush)
{
    struct flush_point_job *job = &flush->point_job;

    if (flush->point_busy || flush->broken) {
        return;
    }
    if (flush->flushed.offset == flush->stored.offset) {
        flush->point_due = false;
        return;
    }
    if (!flush->point_due) {
        if (!flush->timer_set) {
            flush->timer_set = true;
            env_timer_set(flush->env, &flush->timer, FLUSH_POINT_MS);
        }
        return;
    }
    flush->point_due = false;
    job->point = flush_point_at(flush, flush->flushed);
    flush->calls->spill(flush->arg, job->point.base);
    job->state = flush->calls->state(flush->arg, job->point.offset);
    job->cuts = point_cuts(&flush->point);
    job->work.run = flush_point_run;
    job->work.done = flush_point_done;
    flush->point_busy = true;
    env_work(flush->env, &job->work);
}
