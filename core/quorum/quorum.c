/* quorum.c - proposals, life and end of a quorum; see quorum.h.
 *
 * A proposal is queued. At the end of the turn, when no write of ours is out,
 * all that is queued becomes entries in one event and one write; what comes
 * while that write is out waits for the next one: group commit without a timer.
 * With one voter the write's end commits, applies and answers in one step.
 *
 * A read is answered by the last entry that is made of the same queue, or by a
 * barrier when no command is in it; when there is nobody else who could have
 * acknowledged anything, at once.
 *
 * A proposal is in one list, of `queued`, `submitted` and `answered`, and moves
 * only to the right; its done is called from the last one, or when the machine
 * has it, never from inside the call that proposed it. */
#include "quorum/quorum.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "quorum/quorum_private.h"
#include "quorum/transport_core.h"
#include "quorum/voters_core.h"
#include <stdarg.h>
#include <stdio.h>

enum {
    QUORUM_SUBMIT_ENTRIES = 4096, /* in one event */
    QUORUM_SUBMIT_BYTES = 1048576,
    QUORUM_COMMAND_BYTES_MAX = TRANSPORT_FRAME_BYTES_MAX - 65536,
    /* Around the longest entry: its batch, and the longest membership. */
    QUORUM_SEGMENT_SLACK_BYTES = 65536,
};

static char quorum_nothing[8]; /* what a barrier says */

/* The end of the node. */

void quorum_fail(struct quorum *q, const struct why *why)
{
    if (q->broken) {
        return;
    }
    q->broken = true;
    env_timer_stop(q->env, &q->timer);
    q->options.failed(q->options.arg, why);
}

void quorum_fail_text(struct quorum *q, enum err err, const char *format, ...)
{
    struct why why;
    char text[sizeof(why.text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)why_set(&why, err, "%s", text);
    quorum_fail(q, &why);
}

static void quorum_lacks_room(void *arg)
{
    struct quorum *q = arg;

    if (q->options.lacks_room != NULL && !q->closing) {
        q->options.lacks_room(q->options.arg);
    }
}

static void quorum_storage_failed(void *arg, const struct why *why)
{
    quorum_fail(arg, why);
}

/* Proposals. */

static struct quorum_proposal *quorum_proposal_of(struct list *node)
{
    return container_of(node, struct quorum_proposal, node);
}

static size_t quorum_charge(const struct quorum_proposal *proposal)
{
    return proposal->command.len;
}

/* From one of the lists to `answered`: done is called at the end of the turn.
 */
static void quorum_refuse(struct quorum *q, struct quorum_proposal *proposal,
                          enum err err)
{
    proposal->err = err;
    proposal->index = 0;
    list_push(&q->answered, &proposal->node);
    env_soon(q->env, &q->turn);
}

static void quorum_refuse_all(struct quorum *q, struct list *list, enum err err)
{
    struct list *node;

    while ((node = list_pop(list)) != NULL) {
        struct quorum_proposal *proposal = quorum_proposal_of(node);

        q->open_count--;
        q->open_bytes -= quorum_charge(proposal);
        quorum_refuse(q, proposal, err);
    }
}

static enum err quorum_check(struct quorum *q,
                             const struct quorum_proposal *proposal)
{
    const struct quorum_limits *limits = &q->options.limits;

    if (q->closing || q->broken) {
        return ERR_STOPPING;
    }
    if (proposal->command.len > limits->command_bytes) {
        return ERR_TOO_LARGE;
    }
    if (q->lead_term == 0) {
        return ERR_NOT_CONTROLLER;
    }
    if (q->open_count >= limits->uncommitted ||
        q->open_bytes + quorum_charge(proposal) > limits->uncommitted_bytes) {
        return ERR_BUSY;
    }
    return ERR_NONE;
}

static void quorum_put(struct quorum *q, struct quorum_proposal *proposal)
{
    enum err err = quorum_check(q, proposal);

    if (err != ERR_NONE) {
        quorum_refuse(q, proposal, err);
        return;
    }
    q->open_count++;
    q->open_bytes += quorum_charge(proposal);
    list_push(&q->queued, &proposal->node);
    env_soon(q->env, &q->turn);
}

void quorum_propose(struct quorum *q, struct quorum_proposal *proposal)
{
    proposal->barrier = false;
    quorum_put(q, proposal);
}

void quorum_read(struct quorum *q, struct quorum_proposal *proposal)
{
    proposal->barrier = true;
    proposal->command = STR_NULL;
    quorum_put(q, proposal);
}

/* The proposals that the entry at index answers; the machine has it. */
void quorum_applied_to(struct quorum *q, uint64_t index)
{
    while (!list_is_empty(&q->submitted)) {
        struct quorum_proposal *proposal =
            quorum_proposal_of(q->submitted.next);

        if (proposal->index > index) {
            return;
        }
        must(proposal->index == index);
        list_remove(&proposal->node);
        q->open_count--;
        q->open_bytes -= quorum_charge(proposal);
        proposal->done(proposal, ERR_NONE, index);
    }
}

void quorum_lost_lead(struct quorum *q)
{
    quorum_refuse_all(q, &q->submitted, ERR_UNKNOWN_OUTCOME);
    quorum_refuse_all(q, &q->queued, ERR_NOT_CONTROLLER);
}

/* Submitting. */

/* What goes into one event: entries, and the proposals behind them. */
struct quorum_submit {
    struct arena arena;
    struct raft_entry *entries;
    uint32_t count;
    struct list commands;
    struct list reads;
};

static void quorum_submit_add(struct quorum *q, struct quorum_submit *submit,
                              enum raft_entry_type type, struct str bytes)
{
    submit->entries[submit->count++] = (struct raft_entry){
        .term = raft_current_term(&q->raft),
        .type = type,
        /* Only ever read; the library's struct has no const. */
        .buf = {(void *)(uintptr_t)bytes.ptr, bytes.len},
    };
}

/* Takes as much of the queue as one event may have. */
static void quorum_submit_gather(struct quorum *q, struct quorum_submit *submit)
{
    uint64_t index = raft_last_index(&q->raft);
    uint32_t room = MIN(q->open_count + 1, QUORUM_SUBMIT_ENTRIES);
    size_t bytes = 0;

    list_init(&submit->commands);
    list_init(&submit->reads);
    submit->entries =
        arena_array(&submit->arena, room, sizeof(*submit->entries));
    while (!list_is_empty(&q->queued)) {
        struct quorum_proposal *proposal = quorum_proposal_of(q->queued.next);

        if (!proposal->barrier) {
            bytes += proposal->command.len;
            if (submit->count == room ||
                (submit->count > 0 && bytes > QUORUM_SUBMIT_BYTES)) {
                break;
            }
            quorum_submit_add(q, submit, RAFT_COMMAND, proposal->command);
            proposal->index = index + submit->count;
        }
        list_remove(&proposal->node);
        list_push(proposal->barrier ? &submit->reads : &submit->commands,
                  &proposal->node);
    }
    if (submit->count == 0) {
        quorum_submit_add(q, submit, RAFT_BARRIER,
                          str_sub(quorum_nothing, sizeof(quorum_nothing)));
    }
    list_each(node, &submit->reads)
    {
        quorum_proposal_of(node)->index = index + submit->count;
    }
}

/* The library took none of what was to come behind last. */
static void quorum_unsubmit(struct quorum *q, uint64_t last, enum err err)
{
    struct list list;

    list_init(&list);
    while (!list_is_empty(&q->submitted) &&
           quorum_proposal_of(q->submitted.prev)->index > last) {
        struct list *node = q->submitted.prev;

        list_remove(node);
        list_push_first(&list, node);
    }
    quorum_refuse_all(q, &list, err);
}

static void quorum_submit_run(struct quorum *q)
{
    struct quorum_submit submit = {0};
    struct raft_event event = {.type = RAFT_SUBMIT};
    uint64_t last = raft_last_index(&q->raft);
    void *batch = raft_malloc(1);
    int rv;

    must(batch != NULL && q->lead_term != 0);
    quorum_submit_gather(q, &submit);
    for (uint32_t i = 0; i < submit.count; i++) {
        submit.entries[i].batch = batch;
    }
    event.submit.entries = submit.entries;
    event.submit.n = submit.count;
    must(list_is_empty(&q->submitted) ||
         quorum_proposal_of(q->submitted.prev)->index <= last);
    list_move(&submit.commands, &q->submitted);
    list_move(&submit.reads, &q->submitted);
    rv = step_run(q, &event);
    if (rv == RAFT_NOTLEADER || rv == RAFT_NOSPACE) {
        raft_free(batch);
        quorum_unsubmit(q, last,
                        rv == RAFT_NOSPACE ? ERR_FULL : ERR_NOT_CONTROLLER);
    } else if (rv != 0) {
        raft_free(batch);
        quorum_fail_text(q, ERR_INVALID, "agreement ended, on a proposal: %s",
                         raft_strerror(rv));
    }
    arena_reset(&submit.arena);
}

/* Nobody else can have acknowledged anything: what is applied is all. */
static void quorum_answer_reads(struct quorum *q)
{
    list_each_safe(node, &q->queued)
    {
        struct quorum_proposal *proposal = quorum_proposal_of(node);

        if (proposal->barrier) {
            list_remove(node);
            q->open_count--;
            proposal->err = ERR_NONE;
            proposal->index = q->applied;
            list_push(&q->answered, node);
        }
    }
}

/* The disk is at its reserve, or at its floor: what the queue may not have. */
static void quorum_refuse_growth(struct quorum *q, enum storage_room room)
{
    struct list refused;

    list_init(&refused);
    list_each_safe(node, &q->queued)
    {
        struct quorum_proposal *proposal = quorum_proposal_of(node);

        if (room == STORAGE_ROOM_NONE ||
            (!proposal->vital && !proposal->barrier)) {
            list_remove(node);
            list_push(&refused, node);
        }
    }
    quorum_refuse_all(q, &refused, ERR_FULL);
}

static void quorum_submit(struct quorum *q)
{
    const struct quorum_limits *limits = &q->options.limits;
    enum storage_room room;

    if (q->broken || q->closing || !q->started) {
        return;
    }
    if (q->leads && step_is_alone(q)) {
        quorum_answer_reads(q);
    }
    if (list_is_empty(&q->queued) ||
        raft_last_index(&q->raft) > q->raft.last_stored) {
        return; /* nothing to do, or a write is out */
    }
    room = storage_room(q->storage, limits->disk_reserve_bytes,
                        limits->disk_floor_bytes);
    if (room != STORAGE_ROOM_ENOUGH) {
        quorum_refuse_growth(q, room);
    }
    if (!list_is_empty(&q->queued)) {
        quorum_submit_run(q);
    }
}

/* The end of a turn. */

static void quorum_answer(struct quorum *q)
{
    struct list list;
    struct list *node;

    list_init(&list);
    list_move(&q->answered, &list);
    while ((node = list_pop(&list)) != NULL) {
        struct quorum_proposal *proposal = quorum_proposal_of(node);

        proposal->done(proposal, proposal->err, proposal->index);
    }
}

static void quorum_storage_closed(void *arg)
{
    struct quorum *q = arg;
    void (*closed)(void *arg) = q->closed;
    void *closed_arg = q->closed_arg;

    if (q->started) {
        raft_close(&q->raft, NULL);
    }
    mem_free(q);
    closed(closed_arg);
}

static void quorum_turn(struct env_task *task)
{
    struct quorum *q = container_of(task, struct quorum, turn);

    if (q->start_due && !q->closing) {
        q->start_due = false;
        step_start(q);
    }
    quorum_submit(q);
    quorum_checkpoint_begin(q);
    quorum_answer(q);
    quorum_checkpoint_answer(q);
    if (q->closing && !q->checkpointing && !q->storage_closing &&
        list_is_empty(&q->answered) && !q->checkpoint_over &&
        !q->checkpoint_due) {
        q->storage_closing = true;
        storage_close(q->storage, quorum_storage_closed, q);
    }
}

/* Life. */

static void quorum_fill_limits(struct quorum_limits *l)
{
#define QUORUM_DEFAULT(field, value)                                           \
    ((field) = (field) == 0 ? (value) : (field))
    QUORUM_DEFAULT(l->command_bytes, 524288);
    QUORUM_DEFAULT(l->uncommitted_bytes, 67108864);
    QUORUM_DEFAULT(l->uncommitted, 65536);
    QUORUM_DEFAULT(l->checkpoint_bytes, 8388608);
    QUORUM_DEFAULT(l->trailing, 10000);
    QUORUM_DEFAULT(l->trailing_bytes, 67108864);
    QUORUM_DEFAULT(l->cache_bytes, 4194304);
    QUORUM_DEFAULT(l->disk_reserve_bytes, 67108864);
    QUORUM_DEFAULT(l->disk_floor_bytes, 262144);
    QUORUM_DEFAULT(l->segment_bytes, 16777216);
    QUORUM_DEFAULT(l->election_ms, 1000);
    QUORUM_DEFAULT(l->heartbeat_ms, 100);
#undef QUORUM_DEFAULT
    l->command_bytes = MIN(l->command_bytes, QUORUM_COMMAND_BYTES_MAX);
    l->disk_floor_bytes = MIN(l->disk_floor_bytes, l->disk_reserve_bytes);
    l->segment_bytes = MAX(l->segment_bytes, (int64_t)l->command_bytes +
                                                 QUORUM_SEGMENT_SLACK_BYTES);
}

/* The voters of the first start, as the bytes of entry 1. The entry's memory is
 * the library's: raft_free(). */
static enum err quorum_first_voters(const struct quorum_options *options,
                                    struct raft_buffer *out, struct why *why)
{
    struct raft_configuration c;
    struct voters voters;
    int rv = 0;

    raft_configuration_init(&c);
    *out = (struct raft_buffer){0};
    for (uint32_t i = 0; i < options->voter_count && rv == 0; i++) {
        rv = raft_configuration_add(&c, options->voters[i].id,
                                    options->voters[i].address, RAFT_VOTER);
    }
    if (rv == 0) {
        rv = raft_configuration_encode(&c, out);
    }
    raft_configuration_close(&c);
    if (rv != 0) {
        return why_set(why, ERR_INVALID, "the voters are no list of nodes: %s",
                       raft_strerror(rv));
    }
    if (voters_parse(str_sub(out->base, out->len), &voters) != ERR_NONE ||
        voters_find(&voters, options->id) == NULL) {
        raft_free(out->base);
        return why_set(why, ERR_INVALID,
                       "the voters are no list of 1 to %d nodes with this "
                       "node, %llu, among them",
                       (int)VOTERS_MAX, (unsigned long long)options->id);
    }
    return ERR_NONE;
}

/* Term 1, and entry 1: the same on each of the first voters. Raft starts when
 * the entry is on disk; a crash before that is a first start again. */
static enum err quorum_first_start(struct quorum *q,
                                   const struct quorum_options *options,
                                   struct why *why)
{
    struct entry entry = {.term = 1, .type = ENTRY_CHANGE};
    struct raft_buffer voters;
    enum err err = quorum_first_voters(options, &voters, why);

    if (err != ERR_NONE) {
        return err;
    }
    err = storage_keep_term(q->storage, 1, 0, why);
    if (err == ERR_NONE) {
        entry.payload = str_sub(voters.base, voters.len);
        storage_append(q->storage, 1, &entry, 1, true);
    }
    raft_free(voters.base);
    return err;
}

static void quorum_gone(void *arg)
{
    (void)arg;
}

enum err quorum_open(struct env *env, const struct quorum_options *options,
                     struct quorum **out, struct why *why)
{
    struct quorum *q = MEM_NEW(struct quorum);
    struct storage_options storage;
    enum err err;

    q->env = env;
    q->options = *options;
    q->timer.fire = step_timer_fire;
    q->turn.run = quorum_turn;
    quorum_checkpoint_init(q);
    list_init(&q->queued);
    list_init(&q->submitted);
    list_init(&q->answered);
    quorum_fill_limits(&q->options.limits);
    must(options->id > 0 && options->id <= INT64_MAX);
    storage = (struct storage_options){
        .folder = options->folder,
        .id = options->id,
        .clean_start = options->clean_start,
        .segment_bytes = q->options.limits.segment_bytes,
        .machine_applied = options->machine->applied(options->machine),
        .persisted = step_persisted,
        .failed = quorum_storage_failed,
        .lacks_room = quorum_lacks_room,
        .arg = q,
    };
    err = storage_open(env, &storage, &q->storage, why);
    if (err != ERR_NONE) {
        mem_free(q);
        return why_wrap(why, err, "cannot open the quorum");
    }
    q->applied = storage_applied(q->storage);
    q->last_command = storage_last_command(q->storage);
    if (storage_is_new(q->storage) && options->voter_count > 0 &&
        storage_term(q->storage) <= 1) {
        err = quorum_first_start(q, options, why);
    } else {
        q->start_due = true;
        env_soon(env, &q->turn);
    }
    q->options.folder = NULL; /* the caller's, until now */
    q->options.voters = NULL;
    if (err != ERR_NONE) {
        q->broken = true;
        quorum_close(q, quorum_gone, NULL);
        return err;
    }
    *out = q;
    return ERR_NONE;
}

void quorum_close(struct quorum *q, void (*done)(void *arg), void *arg)
{
    must(!q->closing && done != NULL);
    q->closing = true;
    q->closed = done;
    q->closed_arg = arg;
    env_timer_stop(q->env, &q->timer);
    quorum_refuse_all(q, &q->queued, ERR_STOPPING);
    quorum_refuse_all(q, &q->submitted, ERR_UNKNOWN_OUTCOME);
    env_soon(q->env, &q->turn);
}

bool quorum_is_leader(const struct quorum *q)
{
    return q->leads;
}

uint64_t quorum_leader(const struct quorum *q)
{
    return q->leader;
}

int32_t quorum_term(const struct quorum *q)
{
    return storage_term(q->storage);
}

uint64_t quorum_starts(const struct quorum *q)
{
    return storage_starts(q->storage);
}

bool quorum_was_clean(const struct quorum *q)
{
    return storage_was_clean(q->storage);
}

uint64_t quorum_applied(const struct quorum *q)
{
    return q->applied;
}

uint64_t quorum_last(const struct quorum *q)
{
    return storage_tail(q->storage)->last;
}
