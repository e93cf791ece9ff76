/* log_append.c - from log_append() to the answer.
 *
 * Happy path:
 * 1. log_append() asks the producers, gives the offsets, queues.
 * 2. At the end of the turn the queue is written with one writev, indexed, and
 *    each append is answered; with flush_commit a sync is asked for.
 * 3. The flushed end passes the batch: whoever waits for the disk goes on.
 *
 * A reservation (log_reserve.c) stands in the queue like a batch; what comes
 * behind it waits until it is filled or released. A batch that does not fit
 * begins a new segment: the old one's indexes are completed, its producers'
 * state is stored once it is synced.
 *
 * A full disk refuses: what was queued is answered with ERR_FULL, and the
 * producers are told that it was given back. Any other failed write ends the
 * log.
 *
 * Invariants:
 * 1. What is in the queue, or on its way from it, was taken by the producers
 *    and is not settled; all else is.
 * 2. An append is answered once, in the turn after which it is settled or given
 *    back. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "log/names.h"
#include "log/retain_core.h"

enum {
    LOG_PARTS_MAX = 256,
    LOG_ROOM_BYTES = 16 << 20, /* appended before the disk is asked again */
    LOG_ROOM_MS = 1000,
};

/* Batches that will be written together, to the active segment; and one more
 * where it comes to nothing, to be refused in its place. */
struct log_gather {
    struct iovec parts[LOG_PARTS_MAX + 1];
    struct log_append *appends[LOG_PARTS_MAX + 1];
    int count;
    uint64_t bytes;
};

static void log_write_queue(struct log *log);

/* At the end of the turn; a duplicate not before what it is one of. */
static void log_answer(struct log *log, struct log_append *append, enum err err)
{
    append->err = err;
    list_push(&log->answered, &append->node);
}

/* A duplicate of what waits behind a reservation is written when that is. */
static bool log_append_waits(const struct log *log,
                             const struct log_append *append)
{
    return append->duplicate && !append->err &&
           append->last_offset >= log->end_offset;
}

/* The end of the turn: write, then call back. */
static void log_append_run(struct env_task *task)
{
    struct log *log = container_of(task, struct log, task);
    struct list answered;
    struct list *node;

    if (log->state == LOG_OPEN) {
        log_write_queue(log);
    }
    list_init(&answered);
    list_move(&log->answered, &answered);
    while ((node = list_pop(&answered)) != NULL) {
        struct log_append *append = log_append_of(node);

        if (log_append_waits(log, append)) {
            list_push(&log->answered, node);
        } else {
            append->done(append, append->err);
        }
    }
}

static void log_flush_fire(struct env_timer *timer)
{
    log_flush(container_of(timer, struct log, flush_timer));
}

void log_append_init(struct log *log)
{
    list_init(&log->queue);
    list_init(&log->answered);
    log->task.run = log_append_run;
    log->flush_timer.fire = log_flush_fire;
}

/* Whether a client's batch may be taken: asks the disk once in a while. */
static bool log_has_room(struct log *log, uint32_t bytes)
{
    int64_t now_ms = env_now_ms(log->env);
    uint64_t reserve = (uint64_t)log->config.reserve_bytes;

    if (reserve == 0) {
        return true;
    }
    if (log->room_bytes < (int64_t)bytes || now_ms >= log->room_until_ms) {
        uint64_t left = disk_free_bytes(log->env->disk, log->folder);

        log->room_bytes =
            left <= reserve
                ? 0
                : (int64_t)MIN(left - reserve, (uint64_t)LOG_ROOM_BYTES);
        log->room_until_ms = now_ms + LOG_ROOM_MS;
    }
    return log->room_bytes >= (int64_t)bytes;
}

/* Whether the log has room. Whoever it has none for comes again, with this
 * batch first. */
static enum err log_append_fits(struct log *log, struct log_append *append,
                                const struct batch_header *batch)
{
    enum err err = ERR_NONE;

    if (append->bytes > (uint64_t)log->config.segment_bytes) {
        err = ERR_RECORD_LIST_TOO_LARGE;
    } else if (append->from_client && !log_has_room(log, append->bytes)) {
        err = ERR_FULL;
    }
    if (err && append->from_client && log->producers != NULL) {
        log->producers->refuse(log->producers, batch, env_wall_ms(log->env));
    }
    return err;
}

/* What refuses a batch before it has an offset. */
static enum err log_append_check(struct log *log, struct log_append *append,
                                 const struct batch_header *batch)
{
    if (log->state != LOG_OPEN) {
        return ERR_CLOSED;
    }
    if (log->broken) {
        return ERR_DISK;
    }
    if (append->from_client && log->producers != NULL) {
        enum err err = log->producers->check(
            log->producers, batch, &append->duplicate, &append->base_offset);

        if (err || append->duplicate) {
            append->last_offset =
                append->base_offset + batch->last_offset_delta;
            return err;
        }
    }
    if (append->as_given && batch->base_offset < log->next_offset) {
        return ERR_OFFSET_OUT_OF_RANGE;
    }
    return log_append_fits(log, append, batch);
}

void log_place(struct log *log, struct log_append *append,
               struct batch_header *batch, int64_t base)
{
    if (!append->as_given) {
        batch_set_base_offset(append->batch, base);
        batch_set_leader_epoch(append->batch, epochs_for(&log->epochs, base,
                                                         append->leader_epoch));
    }
    batch->base_offset = base;
    append->base_offset = base;
    append->last_offset = base + batch->last_offset_delta;
    if (log->producers != NULL) {
        log->producers->take(log->producers, batch, env_wall_ms(log->env));
    }
}

void log_append(struct log *log, struct log_append *append)
{
    struct batch_header batch;
    enum err err = batch_header_parse(append->batch, append->bytes, &batch);

    must(err == ERR_NONE && (uint32_t)batch.bytes == append->bytes);
    append->duplicate = false;
    append->base_offset = -1;
    append->last_offset = -1;
    err = log_append_check(log, append, &batch);
    if (err || append->duplicate) {
        log_answer(log, append, err);
    } else {
        log_place(log, append, &batch,
                  append->as_given ? batch.base_offset : log->next_offset);
        log->next_offset = append->last_offset + 1;
        log->room_bytes -= append->bytes;
        list_push(&log->queue, &append->node);
    }
    env_soon(log->env, &log->task);
}

/* State of the producers as of offset, as a file to be: our own (deep) or
 * Kafka's. name: NULL for <offset>.producers or .snapshot. NULL: there is
 * none. */
struct point_file *log_state_file(struct log *log, const char *name,
                                  int64_t offset, bool deep)
{
    struct point_file *file = NULL;
    char path[NAMES_PATH_BYTES];
    char *bytes[2] = {NULL, NULL};
    size_t counts[2] = {0, 0};

    if (log->producers == NULL) {
        return NULL;
    }
    log->producers->save(log->producers, offset, &bytes[0], &counts[0],
                         &bytes[1], &counts[1]);
    mem_free(bytes[!deep]);
    if (bytes[deep] == NULL) {
        return NULL;
    }
    if (name != NULL) {
        names_join(path, log->folder, name);
    } else {
        names_path(path, log->folder, offset,
                   deep ? NAMES_DEEP : NAMES_SNAPSHOT);
    }
    file = MEM_NEW(struct point_file);
    *file = (struct point_file){.path = mem_dupz(path),
                                .bytes = bytes[deep],
                                .count = counts[deep],
                                .offset = offset,
                                .is_kafka = !deep,
                                .is_synced = deep && name == NULL};
    return file;
}

/* Begins a segment where the last batch ends: a hole behind it (a reservation
 * that came to nothing) is the new one's, so that recovery can tell that two
 * segments follow each other. The old one's indexes are complete before it
 * ends: a start takes a sealed segment's as they are. Errors: ERR_FULL,
 * ERR_LIMIT, ERR_DISK: nothing has changed. */
enum err log_roll(struct log *log, struct why *why)
{
    struct segment *old = log_active(log);
    struct segment *fresh = NULL;
    int64_t base = log->batches_end;
    enum err err = segment_seal(old, why);

    if (!err) {
        err = segment_create(log->env->disk, log->folder, base, &fresh, why);
    } else if (!file_err_passes(err)) {
        log_fail(log, why);
    }
    if (err) {
        return err;
    }
    fresh->created_ms = env_wall_ms(log->env);
    log_push_segment(log, fresh);
    log_publish(log);
    flush_sealed(&log->flush, old);
    flush_moved(&log->flush, log_end_mark(log), false);
    flush_renamed(&log->flush);
    /* Ours first: Kafka's, which knows less, is never there alone. */
    flush_file(&log->flush, log_state_file(log, NULL, base, true));
    flush_file(&log->flush, log_state_file(log, NULL, base, false));
    log_flush(log);
    return ERR_NONE;
}

static bool log_must_roll(struct log *log, const struct log_gather *gather,
                          const struct batch_header *batch)
{
    const struct segment *active = log_active(log);
    uint64_t offsets = index_count(&active->offsets) + (uint64_t)gather->count;
    uint64_t times = index_count(&active->times) + (uint64_t)gather->count;
    struct retain_roll roll = {
        .base = active->base,
        .bytes = segment_bytes(active) + gather->bytes,
        .first_timestamp = active->first_timestamp,
        .created_ms = active->created_ms,
        .index_bytes = MAX((offsets + 1) * index_entry_bytes(INDEX_OFFSETS),
                           (times + 2) * index_entry_bytes(INDEX_TIMES)),
        .batch_bytes = (uint32_t)batch->bytes,
        .batch_last_offset = batch_last_offset(batch),
        .batch_max_timestamp = batch->max_timestamp,
        .wall_ms = env_wall_ms(log->env),
        .segment_bytes = log->config.segment_bytes,
        .segment_ms = log->config.segment_ms,
        .segment_index_bytes = log->config.segment_index_bytes};

    return retain_must_roll(&roll);
}

/* What was gathered, and what is queued behind it, is not to be written: takes
 * it from there, and answers it, in its order. */
static void log_refuse_queue(struct log *log, struct log_gather *gather,
                             enum err err)
{
    bool reserved = false;

    for (int i = 0; i < gather->count; i++) {
        log_answer(log, gather->appends[i], err);
    }
    gather->count = 0;
    list_each_safe(node, &log->queue)
    {
        struct log_append *append = log_append_of(node);
        struct log_reservation *reservation = log_reservation_of(append);

        if (reservation == NULL) {
            list_remove(node);
            log_answer(log, append, err);
        } else if (reservation->filled != NULL) {
            log_answer(log, reservation->filled, err);
            reservation->filled = NULL;
            reservation->released = true;
            reserved = true;
        } else {
            reserved = true;
        }
    }
    /* A duplicate of what came to nothing did so too. */
    list_each(node, &log->answered)
    {
        struct log_append *append = log_append_of(node);

        if (append->duplicate && append->base_offset >= log->end_offset) {
            append->duplicate = false;
            append->err = err;
        }
    }
    if (!reserved) {
        log->next_offset = log->end_offset;
    }
    if (log->producers != NULL) {
        log->producers->give_back(log->producers);
    }
}

/* One append is in the file: indexes it, moves the end. */
static void log_wrote(struct log *log, struct log_append *append)
{
    struct batch_header batch;
    struct why why;
    enum err err = batch_header_parse(append->batch, append->bytes, &batch);

    must(err == ERR_NONE);
    err = segment_note(log_active(log), &batch,
                       log->config.index_interval_bytes, &why);
    if (err && !file_err_passes(err)) {
        log_fail(log, &why);
    }
    (void)log_assign_epoch(log, batch.leader_epoch, batch.base_offset);
    log_set_end(log, append->last_offset + 1);
    log->batches_end = log->end_offset;
    log->unflushed_records += batch.record_count;
    log_answer(log, append, ERR_NONE);
}

static enum err log_write_gathered(struct log *log, struct log_gather *gather)
{
    struct segment *active = log_active(log);
    struct why why;
    enum err err;

    if (gather->count == 0) {
        return ERR_NONE;
    }
    err = segment_write(active, gather->parts, gather->count, &why);
    if (err) {
        bool wrote_nothing = err == ERR_LIMIT; /* it was not even open */

        if (!wrote_nothing &&
            (err != ERR_FULL || segment_take_back(active, &why))) {
            log_fail(log, &why);
        }
        return err;
    }
    for (int i = 0; i < gather->count; i++) {
        log_wrote(log, gather->appends[i]);
    }
    if (log->producers != NULL) {
        log->producers->settle(log->producers, log->end_offset);
    }
    gather->count = 0;
    gather->bytes = 0;
    flush_wrote(&log->flush, active, log_end_mark(log));
    log_flush_epochs(log);
    return ERR_NONE;
}

/* The next append that may be written, taken from the queue. *out: NULL: none,
 * or a reservation is in the way. Errors: those of log_write_gathered(), which
 * what lies before a hole comes to. */
static enum err log_next(struct log *log, struct log_gather *gather,
                         struct log_append **out)
{
    *out = NULL;
    while (!list_is_empty(&log->queue)) {
        struct log_append *append = log_append_of(log->queue.next);
        struct log_reservation *reservation = log_reservation_of(append);
        int64_t end = append->last_offset + 1;

        if (reservation == NULL) {
            list_remove(&append->node);
            *out = append;
            return ERR_NONE;
        }
        if (reservation->filled == NULL && !reservation->released) {
            return ERR_NONE;
        }
        if (reservation->released) {
            enum err err = log_write_gathered(log, gather);

            if (err) {
                return err;
            }
        }
        *out = reservation->filled;
        list_remove(&reservation->stand_in.node);
        mem_free(reservation);
        if (*out != NULL) {
            return ERR_NONE;
        }
        log_set_end(log, end);
        flush_moved(&log->flush, log_end_mark(log), true);
    }
    return ERR_NONE;
}

/* Asks for a sync where the settings want one. */
static void log_write_flush(struct log *log)
{
    const struct log_config *config = &log->config;

    if (flush_is_clean(&log->flush)) {
        return;
    }
    if (config->flush_commit ||
        log->unflushed_records >= config->flush_messages) {
        log_flush(log);
    } else if (config->flush_ms < INT64_MAX && !log->flush_timer_set) {
        log->flush_timer_set = true;
        env_timer_set(log->env, &log->flush_timer, config->flush_ms);
    }
}

/* Once, until one is begun: while a disk is full each append finds out. */
static void log_tell_roll(struct log *log, enum err err, const struct why *why)
{
    if (err && !log->roll_failed) {
        trace(TRACE_WARN, "cannot begin a segment: %s", why->text);
    }
    log->roll_failed = err != ERR_NONE;
}

/* One more is to be written: what was gathered goes first where it does not
 * fit, or belongs to a segment that ends. */
static enum err log_gather_add(struct log *log, struct log_gather *gather,
                               struct log_append *append)
{
    struct batch_header batch;
    struct why why;
    enum err err = batch_header_parse(append->batch, append->bytes, &batch);

    must(err == ERR_NONE);
    if (gather->count == LOG_PARTS_MAX || log_must_roll(log, gather, &batch)) {
        err = log_write_gathered(log, gather);
        if (!err && log_must_roll(log, gather, &batch)) {
            err = log_roll(log, &why);
            log_tell_roll(log, err, &why);
        }
    }
    gather->parts[gather->count] = (struct iovec){append->batch, append->bytes};
    gather->appends[gather->count++] = append;
    gather->bytes += append->bytes;
    return err;
}

static void log_write_queue(struct log *log)
{
    struct log_gather gather;
    struct log_append *append;
    enum err err;

    gather.count = 0;
    gather.bytes = 0;
    do {
        err = log_next(log, &gather, &append);
        if (!err && append != NULL) {
            err = log_gather_add(log, &gather, append);
        }
    } while (!err && append != NULL);
    if (!err) {
        err = log_write_gathered(log, &gather);
    }
    if (err) {
        log_refuse_queue(log, &gather, err);
    }
    log_write_flush(log); /* of what was written before */
}

void log_append_drop(struct log *log, enum err err)
{
    struct log_gather none = {.count = 0};

    if (!list_is_empty(&log->queue)) {
        log_refuse_queue(log, &none, err);
        env_soon(log->env, &log->task);
    }
    while (!list_is_empty(&log->queue)) {
        mem_free(log_reservation_of(log_append_of(list_pop(&log->queue))));
    }
    log->next_offset = log->end_offset;
}

void log_append_abandon(struct log *log)
{
    struct list *node;

    while ((node = list_pop(&log->queue)) != NULL) {
        mem_free(log_reservation_of(log_append_of(node)));
    }
}

void log_append_stop(struct log *log)
{
    list_each(node, &log->queue)
    {
        struct log_reservation *reservation =
            log_reservation_of(log_append_of(node));

        if (reservation != NULL && reservation->filled == NULL) {
            reservation->released = true;
        }
    }
    if (!log->broken && !log->removing) {
        log_write_queue(log);
    }
    log_append_drop(log, ERR_CLOSED);
    env_timer_stop(log->env, &log->flush_timer);
    env_soon(log->env, &log->task);
}
