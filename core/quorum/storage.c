/* storage.c - see storage.h.
 *
 * An append is built into batches, one for each run of entries of a term, and
 * put behind the queue of what the disk has to do. A batch is on disk when the
 * log's flushed end has passed it; then persisted() is told the highest index
 * that is durable *and* still in the log as it was written: what was cut in
 * the meantime counts for nothing (consensus guard G10).
 *
 * The log cuts at batches only, and to lose what lies in front of a cut in the
 * same batch could be to lose what was agreed on. So entries that a new leader
 * may cut are each a batch of their own (`apart`); those of a voter that is
 * alone are committed when they are on disk, and share one.
 *
 * A cut waits in the same queue until everything before it has come to rest,
 * is made durable, and only then what follows is appended: after a crash the
 * log may be shorter, but never has an old end behind a new entry. Before it,
 * the mark in the file `term` is lowered: this loss is a lawful one.
 *
 * An append that finds no space, or no descriptor for its segment, waits in its
 * place, everything behind it too, and is tried again: a full disk costs time,
 * not the node.
 *
 * Invariants: (1) the queue, carried out, makes the disk's log equal to the
 * tail; (2) the mark is on disk in the log, at every moment; (3) no entry is
 * written or cut before this run is counted in the file `term`: who knows the
 * number of the last run that ended cleanly knows whether it was the last. */
#include "quorum/storage.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "quorum/storage_private.h"

enum {
    /* A batch of entries: far below a segment, and an int32. */
    STORAGE_BATCH_BYTES_MAX = 4 * 1048576,
    STORAGE_LEFT_MS = 1000,
    STORAGE_RETRY_MS = 500,
};

/* A batch to append, or (block == NULL) a cut. */
struct storage_job {
    struct storage *storage;
    struct list node;
    bool started;
    uint64_t first; /* or: the cut */
    uint32_t count;
    int32_t term;
    struct tail_block *block;
    struct log_append append;
    struct waiter waiter;
};

void storage_fail(struct storage *storage, const struct why *why)
{
    if (!storage->broken) {
        storage->broken = true;
        if (!storage->abandoned) {
            env_soon(storage->env, &storage->pump); /* no close waits longer */
        }
        storage->options.failed(storage->options.arg, why);
    }
}

static void storage_pump(struct storage *storage);
static void storage_pump_run(struct env_task *task);
static void storage_retry(struct env_timer *timer);
static void storage_abandon(struct storage *storage);

static void storage_free(struct storage *storage)
{
    while (!list_is_empty(&storage->queue)) {
        struct storage_job *job =
            container_of(list_pop(&storage->queue), struct storage_job, node);

        if (job->block != NULL) {
            tail_block_unref(job->block);
        }
        mem_free(job);
    }
    tail_fini(&storage->tail);
    arena_reset(&storage->checkpoint_arena);
    stable_close_term(&storage->slots);
    mem_free(storage->folder);
    mem_free(storage);
}

enum err storage_open(struct env *env, const struct storage_options *options,
                      struct storage **out, struct why *why)
{
    struct storage *storage = MEM_NEW(struct storage);
    enum err err;

    storage->env = env;
    storage->options = *options;
    storage->folder = mem_dupz(options->folder);
    storage->pump.run = storage_pump_run;
    storage->retry.fire = storage_retry;
    list_init(&storage->queue);
    tail_init(&storage->tail, 1);
    err = storage_load(storage, why);
    if (err != ERR_NONE) {
        storage->broken = true;
        storage_abandon(storage);
        return err;
    }
    *out = storage;
    return ERR_NONE;
}

const struct tail *storage_tail(const struct storage *storage)
{
    return &storage->tail;
}

const struct stable_checkpoint *
storage_checkpoint(const struct storage *storage)
{
    return &storage->checkpoint;
}

int32_t storage_term(const struct storage *storage)
{
    return storage->kept.term;
}

uint64_t storage_vote(const struct storage *storage)
{
    return storage->kept.vote;
}

bool storage_is_new(const struct storage *storage)
{
    return storage->tail.last == 0 && storage->checkpoint.index == 0;
}

uint64_t storage_applied(const struct storage *storage)
{
    return storage->applied;
}

uint64_t storage_last_command(const struct storage *storage)
{
    return storage->last_command;
}

int32_t storage_term_of(const struct storage *storage, uint64_t index)
{
    int32_t term = tail_term_of(&storage->tail, index);

    if (term == 0 && index > 0 && index == storage->checkpoint.index) {
        return storage->checkpoint.term;
    }
    return term;
}

bool storage_is_quiet(const struct storage *storage)
{
    return list_is_empty(&storage->queue);
}

/* Says when the volume gets full, and when it has space again. */
static void storage_tell_room(struct storage *storage, bool is_full,
                              uint64_t reserve_bytes)
{
    if (is_full && !storage->is_full) {
        trace(TRACE_WARN,
              "quorum: \"%s\" is on a volume with %llu KiB left, fewer than "
              "the %llu KiB that are kept free: what grows is refused until "
              "there is space; topics can be deleted",
              storage->folder, (unsigned long long)(storage->left_bytes >> 10),
              (unsigned long long)(reserve_bytes >> 10));
    } else if (!is_full && storage->is_full) {
        trace(TRACE_INFO, "quorum: \"%s\" has space again", storage->folder);
    }
    storage->is_full = is_full;
}

enum storage_room storage_room(struct storage *storage, uint64_t reserve_bytes,
                               uint64_t floor_bytes)
{
    int64_t now_ms = env_now_ms(storage->env);

    if (now_ms >= storage->left_until_ms || storage->left_bytes < floor_bytes) {
        storage->left_bytes =
            disk_free_bytes(storage->env->disk, storage->folder);
        storage->left_until_ms = now_ms + STORAGE_LEFT_MS;
        storage_tell_room(storage, storage->left_bytes < reserve_bytes,
                          reserve_bytes);
    }
    if (storage->left_bytes < floor_bytes) {
        return STORAGE_ROOM_NONE;
    }
    return storage->left_bytes < reserve_bytes ? STORAGE_ROOM_LITTLE
                                               : STORAGE_ROOM_ENOUGH;
}

uint64_t storage_log_bytes(const struct storage *storage)
{
    return log_bytes(storage->log);
}

uint64_t storage_starts(const struct storage *storage)
{
    return storage->kept.starts;
}

bool storage_was_clean(const struct storage *storage)
{
    return storage->clean;
}

/* The mark is the end of what is known to be on disk; what a cut that waits
 * will take is not counted (invariant 2). */
enum err storage_keep_term(struct storage *storage, int32_t term, uint64_t vote,
                           struct why *why)
{
    struct stable_term next = storage->kept;
    enum err err;

    must(term >= storage->kept.term);
    next.term = term;
    next.vote = vote;
    next.mark_index = storage->durable;
    next.mark_term = storage_term_of(storage, storage->durable);
    next.starts += storage->begun ? 0 : 1;
    err = stable_keep_term(storage->env->disk, storage->folder, &storage->slots,
                           &next, why);
    if (err == ERR_NONE) {
        storage->kept = next;
        storage->is_new = false;
        storage->begun = true;
    }
    return err;
}

/* Gives the highest index of the job that is still in the log as it was
 * written; 0 when nothing of it is. */
static uint64_t storage_job_left(const struct storage *storage,
                                 const struct storage_job *job)
{
    uint64_t index = MIN(job->first + job->count - 1, storage->tail.last);

    while (index >= job->first &&
           tail_term_of(&storage->tail, index) != job->term) {
        index--;
    }
    return index >= job->first ? index : 0;
}

static void storage_job_end(struct storage_job *job)
{
    struct storage *storage = job->storage;

    list_remove(&job->node);
    if (job->block != NULL) {
        tail_block_unref(job->block);
    }
    mem_free(job);
    if (!list_is_empty(&storage->queue) || storage->closed != NULL) {
        env_soon(storage->env, &storage->pump);
    }
}

/* The flushed end has passed the batch. */
static void storage_job_flushed(struct waiter *waiter)
{
    struct storage_job *job = container_of(waiter, struct storage_job, waiter);
    struct storage *storage = job->storage;
    uint64_t index;

    if (storage->broken ||
        log_flushed_end(storage->log) < job->waiter.at_least) {
        return; /* woken because the log goes away */
    }
    storage->under_way--;
    index = storage_job_left(storage, job);
    storage_job_end(job);
    if (storage->lacked_room) {
        storage->lacked_room = false;
        trace(TRACE_INFO, "quorum: entries are stored again");
    }
    log_set_visible_end(storage->log, log_flushed_end(storage->log));
    if (index > storage->durable) {
        storage->durable = index;
        storage->options.persisted(storage->options.arg, index);
    }
}

/* Said once, until entries are stored again. */
static void storage_tell_stall(struct storage *storage, uint64_t entry,
                               enum err err)
{
    if (storage->lacked_room) {
        return;
    }
    storage->lacked_room = true;
    if (err == ERR_FULL) {
        trace(
            TRACE_WARN,
            "quorum: entry %llu has no space: \"%s\" is on a volume with %llu "
            "KiB left; it is tried again: free some space",
            (unsigned long long)entry, storage->folder,
            (unsigned long long)disk_free_bytes(storage->env->disk,
                                                storage->folder) >>
                10);
    } else {
        trace(TRACE_WARN,
              "quorum: entry %llu is not stored yet: %s; it is "
              "tried again",
              (unsigned long long)entry, err_text(err));
    }
}

/* No space, or no descriptor: nothing was written, and nothing is lost. What
 * was begun behind this job was refused with it, and all of it is begun again,
 * in order. */
static void storage_stall(struct storage_job *job, enum err err)
{
    struct storage *storage = job->storage;

    job->started = false;
    storage->under_way--;
    if (storage->stalled) {
        return;
    }
    storage->stalled = true;
    storage_tell_stall(storage, job->first, err);
    if (err == ERR_FULL) {
        storage->options.lacks_room(storage->options.arg);
    }
    env_timer_set(storage->env, &storage->retry, STORAGE_RETRY_MS);
    if (storage->closed != NULL) {
        env_soon(storage->env, &storage->pump);
    }
}

static void storage_retry(struct env_timer *timer)
{
    struct storage *storage = container_of(timer, struct storage, retry);

    storage->stalled = false;
    storage_pump(storage);
}

static void storage_job_written(struct log_append *append, enum err err)
{
    struct storage_job *job = container_of(append, struct storage_job, append);
    struct storage *storage = job->storage;
    struct why why;

    if (storage->broken) {
        return;
    }
    if (file_err_passes(err)) {
        storage_stall(job, err);
        return;
    }
    if (err != ERR_NONE) {
        (void)why_set(&why, err, "could not store entry %llu: %s",
                      (unsigned long long)job->first, err_text(err));
        storage_fail(storage, &why);
        return;
    }
    must(append->base_offset == (int64_t)job->first);
    job->waiter.wake = storage_job_flushed;
    if (!watch_wait(log_flushed_watch(storage->log), &job->waiter,
                    append->last_offset + 1)) {
        storage_job_flushed(&job->waiter);
    }
}

static void storage_job_append(struct storage_job *job)
{
    job->started = true;
    job->storage->under_way++;
    job->append.done = storage_job_written;
    log_append(job->storage->log, &job->append);
}

/* Everything before it has come to rest: nothing is under way. */
static void storage_job_cut(struct storage_job *job)
{
    struct storage *storage = job->storage;
    struct why why;
    enum err err = ERR_NONE;

    if (storage->kept.mark_index >= job->first) {
        struct stable_term next = storage->kept;

        next.mark_index = job->first - 1;
        next.mark_term = job->term;
        err = stable_keep_term(storage->env->disk, storage->folder,
                               &storage->slots, &next, &why);
        storage->kept = next;
    }
    if (err == ERR_NONE) {
        err = log_truncate(storage->log, (int64_t)job->first, &why);
    }
    if (err == ERR_NONE &&
        log_end_offset(storage->log) != (int64_t)job->first) {
        err = why_set(&why, ERR_DAMAGED,
                      "entry %llu could not be cut: others share its batch",
                      (unsigned long long)job->first);
    }
    if (err != ERR_NONE) {
        storage_fail(storage, &why);
        return;
    }
    must(storage->kept.mark_index < job->first); /* invariant 2 */
    storage_job_end(job);
}

static void storage_pump(struct storage *storage)
{
    list_each_safe(node, &storage->queue)
    {
        struct storage_job *job = container_of(node, struct storage_job, node);

        if (storage->broken || storage->stalled ||
            (job->block == NULL && storage->under_way > 0)) {
            return;
        }
        if (job->block == NULL) {
            storage_job_cut(job);
        } else if (!job->started) {
            storage_job_append(job);
        }
    }
}

static struct storage_job *storage_job_new(struct storage *storage,
                                           uint64_t first)
{
    struct storage_job *job = MEM_NEW(struct storage_job);

    job->storage = storage;
    job->first = first;
    list_init(&job->waiter.node);
    list_push(&storage->queue, &job->node);
    return job;
}

static void storage_cut(struct storage *storage, uint64_t index)
{
    struct storage_job *job = storage_job_new(storage, index);

    must(index > storage->checkpoint.index && index >= storage->tail.first);
    job->term = storage_term_of(storage, index - 1);
    tail_cut(&storage->tail, index);
    storage->durable = MIN(storage->durable, index - 1);
}

/* One batch of entries of one term. */
static void storage_append_run(struct storage *storage,
                               const struct entry *entries, uint32_t count)
{
    struct storage_job *job = storage_job_new(storage, storage->tail.last + 1);
    struct entry_run run = {.first = job->first, .count = count};
    struct str batch;
    struct arena scratch = {0};

    job->block = tail_block_new();
    job->count = count;
    job->term = entries[0].term;
    run.entries = arena_array(&scratch, count, sizeof(*entries));
    memcpy(run.entries, entries, count * sizeof(*entries));
    must(entry_batch_build(&run, env_wall_ms(storage->env), &job->block->arena,
                           &batch) == ERR_NONE);
    for (uint32_t i = 0; i < count; i++) {
        tail_put(&storage->tail, &run.entries[i], job->block);
    }
    arena_reset(&scratch);
    /* In the block's arena, which is ours: base offset and epoch are written
     * into it. */
    job->append.batch = (uint8_t *)(uintptr_t)batch.ptr;
    job->append.bytes = (uint32_t)batch.len;
    storage->left_bytes -= MIN(storage->left_bytes, batch.len);
    job->append.leader_epoch = job->term;
}

void storage_append(struct storage *storage, uint64_t first,
                    const struct entry *entries, uint32_t count, bool apart)
{
    size_t bytes_max = MIN((size_t)storage->options.segment_bytes,
                           (size_t)STORAGE_BATCH_BYTES_MAX);
    uint32_t at = 0;

    must(count > 0 && first <= storage->tail.last + 1);
    must(storage->begun); /* invariant 3 */
    if (first <= storage->tail.last) {
        storage_cut(storage, first);
    }
    while (at < count) {
        size_t bytes =
            ENTRY_BATCH_BYTES + ENTRY_BYTES + entries[at].payload.len;
        uint32_t end = at + 1;

        while (!apart && end < count && entries[end].term == entries[at].term &&
               bytes + ENTRY_BYTES + entries[end].payload.len <= bytes_max) {
            bytes += ENTRY_BYTES + entries[end++].payload.len;
        }
        storage_append_run(storage, entries + at, end - at);
        at = end;
    }
    storage_pump(storage);
}

void storage_forget(struct storage *storage, uint64_t index,
                    uint64_t keep_bytes)
{
    tail_forget(&storage->tail, MIN(index, storage->durable), keep_bytes);
}

/* On a disk thread. The start of the log may be on disk before its head is cut:
 * what lies below is in the checkpoint. */
static void storage_save_run(struct work *work)
{
    struct storage_save *save = container_of(work, struct storage_save, work);
    struct storage *storage = save->storage;

    save->err = stable_keep_checkpoint(storage->env->disk, storage->folder,
                                       &save->next, &save->why);
    if (save->err == ERR_NONE && save->first > 0) {
        save->err =
            log_store_start(storage->log, (int64_t)save->first, &save->why);
    }
}

/* One that failed may be on disk nevertheless; the next one replaces it. */
static void storage_saved(struct work *work)
{
    struct storage_save *save = container_of(work, struct storage_save, work);
    struct storage *storage = save->storage;

    storage->saving = false;
    if (save->err == ERR_NONE) {
        arena_reset(&storage->checkpoint_arena);
        storage->checkpoint_arena = save->arena;
        storage->checkpoint = save->next;
        tail_forget_changes(&storage->tail, save->index);
    } else {
        arena_reset(&save->arena);
    }
    save->done(save, save->err);
}

void storage_save(struct storage *storage, struct storage_save *save)
{
    const struct tail *tail = &storage->tail;
    struct stable_checkpoint *next = &save->next;

    must(!storage->saving && storage->closed == NULL);
    storage->saving = true;
    save->storage = storage;
    save->arena = (struct arena){0};
    *next = (struct stable_checkpoint){
        .index = save->index,
        .term = storage_term_of(storage, save->index),
        .command_index = save->command_index,
        .voters_index = save->voters_index,
        .voters = arena_str(&save->arena, save->voters),
        .runs = arena_array(&save->arena, tail->run_count,
                            sizeof(struct stable_run)),
    };
    must(save->index <= storage->durable && next->term > 0);
    must(save->first <= save->index + 1);
    for (uint32_t i = 0;
         i < tail->run_count && tail->runs[i].first <= save->index; i++) {
        next->runs[next->run_count++] = tail->runs[i];
    }
    save->work.run = storage_save_run;
    save->work.done = storage_saved;
    save->work.key = (uint64_t)(uintptr_t)storage;
    env_work(storage->env, &save->work);
}

enum err storage_cut_head(struct storage *storage, uint64_t first,
                          struct why *why)
{
    must(first <= storage->checkpoint.index + 1);
    if (first <= storage->tail.first) {
        return ERR_NONE;
    }
    tail_cut_head(&storage->tail, first);
    return log_raise_start(storage->log, (int64_t)first, why);
}

static void storage_log_closed(void *arg)
{
    struct storage *storage = arg;
    void (*done)(void *arg) = storage->closed;
    void *done_arg = storage->closed_arg;

    storage_free(storage);
    if (done != NULL) {
        done(done_arg);
    }
}

/* Gives up the log, or what was never opened. */
static void storage_abandon(struct storage *storage)
{
    storage->abandoned = true;
    env_timer_stop(storage->env, &storage->retry);
    list_each(node, &storage->queue)
    {
        watch_cancel(&container_of(node, struct storage_job, node)->waiter);
    }
    if (storage->log != NULL) {
        log_close(storage->log, storage_log_closed, storage);
    } else {
        storage_log_closed(storage);
    }
}

/* The end of a turn: what had to wait for others, and the end of all. */
static void storage_pump_run(struct env_task *task)
{
    struct storage *storage = container_of(task, struct storage, pump);
    struct why why;

    storage_pump(storage);
    if (storage->closed == NULL || storage->abandoned ||
        (!storage->broken && !storage->stalled && !storage_is_quiet(storage))) {
        return;
    }
    if (!storage->broken && storage->durable > storage->kept.mark_index &&
        storage_keep_term(storage, storage->kept.term, storage->kept.vote,
                          &why) != ERR_NONE) {
        trace(TRACE_WARN, "quorum: the mark stays at %llu: %s",
              (unsigned long long)storage->kept.mark_index, why.text);
    }
    storage_abandon(storage);
}

void storage_close(struct storage *storage, void (*done)(void *arg), void *arg)
{
    must(storage->closed == NULL && !storage->saving && done != NULL);
    storage->closed = done;
    storage->closed_arg = arg;
    env_soon(storage->env, &storage->pump);
}
