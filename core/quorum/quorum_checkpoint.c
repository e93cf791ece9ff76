/* quorum_checkpoint.c - when, how, and how much of the log may go then.
 *
 * The machine makes what it has durable -> a disk thread keeps the checkpoint
 * and the log's new start -> raft is told -> the head of the log is cut. Each
 * step may be the last one before a crash: the log is then longer than needed,
 * never shorter.
 *
 * Invariants: (1) one is under way at a time, from the question to the machine
 * to the cut; (2) the log is cut only below a checkpoint that is on disk; (3) a
 * checkpoint that fails for want of space or descriptors, or because the
 * machine cannot just now, ends nothing: it is asked for again when the log has
 * grown as much. */
#include "quorum/quorum_private.h"

#include "base/must.h"
#include "base/trace.h"

static void quorum_checkpoint_over(struct quorum *q, enum err err)
{
    q->checkpointing = false;
    q->checkpoint_err = err;
    q->checkpoint_over = true;
    env_soon(q->env, &q->turn);
}

/* How many entries below a checkpoint stay for others: so many, or about so
 * many bytes, whichever is less. */
static unsigned quorum_checkpoint_trailing(const struct quorum *q,
                                           uint64_t index)
{
    const struct quorum_limits *limits = &q->options.limits;
    uint64_t first = storage_tail(q->storage)->first;
    uint64_t count = index + 1 - first;
    uint64_t each = storage_log_bytes(q->storage) / MAX(count, 1) + 1;

    if (limits->no_trailing) {
        return 0;
    }
    return (unsigned)MIN(limits->trailing, limits->trailing_bytes / each);
}

static void quorum_checkpoint_end(struct quorum *q, enum err err)
{
    if (err != ERR_NONE && err != ERR_BUSY) {
        trace(TRACE_WARN,
              "quorum: no checkpoint at %llu: %s; the log of entries stays "
              "long, and it is tried again",
              (unsigned long long)q->checkpoint.index, err_text(err));
    }
    quorum_checkpoint_over(q, err);
}

/* It is on disk: tells raft, then cuts the log, in this order. A crash in
 * between leaves a log that is longer than needed. */
static enum err quorum_checkpoint_cut(struct quorum *q, uint64_t first,
                                      struct why *why)
{
    const struct stable_checkpoint *c = storage_checkpoint(q->storage);
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    struct raft_buffer buffer;

    event.snapshot.metadata.index = c->index;
    event.snapshot.metadata.term = (raft_term)c->term;
    event.snapshot.metadata.configuration_index = c->voters_index;
    buffer =
        (struct raft_buffer){(void *)(uintptr_t)c->voters.ptr, c->voters.len};
    must(raft_configuration_decode(
             &buffer, &event.snapshot.metadata.configuration) == 0);
    event.snapshot.trailing = q->checkpoint_trailing;
    (void)step_run(q, &event);
    return first == 0 || q->broken ? ERR_NONE
                                   : storage_cut_head(q->storage, first, why);
}

static void quorum_checkpoint_saved(struct storage_save *save, enum err err)
{
    struct quorum *q = container_of(save, struct quorum, save);

    must(!q->stepping);
    if (err == ERR_NONE && !q->broken && !q->closing) {
        err = quorum_checkpoint_cut(q, save->first, &save->why);
    }
    if (err != ERR_NONE && !file_err_passes(err) && !q->closing) {
        quorum_fail(q, &save->why);
    }
    quorum_checkpoint_end(q, err);
}

/* The machine is durable up to index: keeps that, on a disk thread. */
static void quorum_checkpoint_save(struct quorum *q, uint64_t index)
{
    const struct tail *tail = storage_tail(q->storage);
    const struct stable_checkpoint *c = storage_checkpoint(q->storage);
    const struct tail_change *change = tail_change_at(tail, index);
    unsigned trailing = quorum_checkpoint_trailing(q, index);
    bool cuts = index > trailing && index - trailing >= tail->first;

    q->save = (struct storage_save){
        .index = index,
        .command_index = q->checkpoint_command,
        .voters_index = change != NULL ? change->index : c->voters_index,
        .voters =
            change != NULL ? str_sub(change->voters, change->bytes) : c->voters,
        .first = cuts ? index - trailing + 1 : 0,
        .done = quorum_checkpoint_saved,
    };
    q->checkpoint_trailing = trailing;
    storage_save(q->storage, &q->save);
}

static void quorum_checkpoint_done(struct quorum_checkpoint *checkpoint,
                                   enum err err)
{
    struct quorum *q = container_of(checkpoint, struct quorum, checkpoint);

    must(q->checkpointing && !q->stepping);
    if (err == ERR_NONE && !q->broken && !q->closing) {
        quorum_checkpoint_save(q, checkpoint->index);
        return;
    }
    quorum_checkpoint_end(q, err);
}

static void quorum_checkpoint_start(struct quorum *q)
{
    struct quorum_machine *machine = q->options.machine;

    q->grown_bytes = 0;
    if (q->applied <= storage_checkpoint(q->storage)->index || q->broken ||
        q->closing || !q->started) {
        quorum_checkpoint_over(q, q->closing ? ERR_STOPPING : ERR_NONE);
        return;
    }
    q->checkpointing = true;
    q->checkpoint.index = q->applied;
    q->checkpoint_command = q->last_command;
    machine->checkpoint(machine, &q->checkpoint);
}

void quorum_checkpoint(struct quorum *q, void (*done)(void *arg, enum err err),
                       void *arg)
{
    must(q->checkpoint_done == NULL && !q->closing);
    q->checkpoint_done = done;
    q->checkpoint_arg = arg;
    q->checkpoint_over = false; /* of one that nobody waited for */
    q->checkpoint_due = !q->checkpointing;
    env_soon(q->env, &q->turn);
}

void quorum_checkpoint_init(struct quorum *q)
{
    q->checkpoint.done = quorum_checkpoint_done;
}

void quorum_checkpoint_begin(struct quorum *q)
{
    if (q->grown_bytes >= q->options.limits.checkpoint_bytes) {
        q->checkpoint_due = true;
    }
    if (q->checkpoint_due && !q->checkpointing && !q->checkpoint_over) {
        q->checkpoint_due = false;
        quorum_checkpoint_start(q);
    }
}

void quorum_checkpoint_answer(struct quorum *q)
{
    void (*done)(void *arg, enum err err) = q->checkpoint_done;

    if (q->checkpoint_over) {
        q->checkpoint_over = false;
        q->checkpoint_done = NULL;
        if (q->checkpoint_due) {
            env_soon(q->env, &q->turn); /* it was kept from beginning */
        }
        if (done != NULL) {
            done(q->checkpoint_arg, q->checkpoint_err);
        }
    }
}
