/* one_node.h - a node on a simulated disk, for the tests of quorum/.
 *
 * Virtual time; the disk can fail at the n-th call and lose what was not
 * synced; the machine records what it is told. Frames that the node sends are
 * kept, and frames are made up for it: the test plays all other nodes. */
#ifndef UNIT_QUORUM_ONE_NODE_H
#define UNIT_QUORUM_ONE_NODE_H

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "lib/fault.h"
#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "quorum/quorum.h"
#include "quorum/transport_core.h"
#include <stdio.h>

enum {
    ONE_COMMANDS_MAX = 4096,
    ONE_SENT_MAX = 4096,
};

struct one_node {
    struct quorum_machine machine;
    struct quorum_options options;
    struct simclock clock;
    struct simdisk *sim_disk;
    struct fault fault;
    struct simenv *sim;
    struct quorum *quorum;
    struct why why; /* of open, or of failed */
    enum err err;   /* of open */
    bool has_failed;
    bool closed;
    /* The machine. */
    uint64_t applied;
    uint64_t durable;
    uint64_t index_of[ONE_COMMANDS_MAX]; /* by the command's number */
    uint64_t apply_count;
    bool hold_checkpoint; /* its end is the test's */
    struct quorum_checkpoint *checkpoint;
    uint64_t checkpoint_count;
    /* Told. */
    int32_t lead_term; /* 0: follows */
    uint64_t leader;
    uint64_t lead_count;
    bool leads;
    uint32_t lacks_room_count;
    bool has_opening;
    bool opened_before_lead; /* the command of the term, applied */
    /* Sent. */
    struct arena arena;
    struct raft_message sent[ONE_SENT_MAX];
    uint64_t sent_to[ONE_SENT_MAX];
    uint32_t sent_count;
};

static inline struct one_node *one_of(struct quorum_machine *machine)
{
    return container_of(machine, struct one_node, machine);
}

static inline void one_apply(struct quorum_machine *machine, uint64_t index,
                             int32_t term, struct str command)
{
    struct one_node *n = one_of(machine);
    uint32_t number;

    assert_true(index > n->applied && term > 0);
    assert_true(command.len >= sizeof(number));
    memcpy(&number, command.ptr, sizeof(number));
    assert_true(number < ONE_COMMANDS_MAX);
    n->index_of[number] = index;
    n->applied = index;
    n->apply_count++;
}

static inline uint64_t one_applied(struct quorum_machine *machine)
{
    return one_of(machine)->applied;
}

static inline void one_checkpoint_run(void *arg)
{
    struct one_node *n = arg;
    struct quorum_checkpoint *checkpoint = n->checkpoint;

    n->checkpoint = NULL;
    n->durable = n->applied;
    checkpoint->done(checkpoint, ERR_NONE);
}

static inline void one_checkpoint(struct quorum_machine *machine,
                                  struct quorum_checkpoint *checkpoint)
{
    struct one_node *n = one_of(machine);

    n->checkpoint = checkpoint;
    n->checkpoint_count++;
    if (!n->hold_checkpoint) {
        simenv_post(n->sim, one_checkpoint_run, NULL, n);
    }
}

static inline void one_lead(void *arg, int32_t term)
{
    struct one_node *n = arg;

    n->lead_term = term;
    n->lead_count++;
    n->leads = true;
    n->opened_before_lead = n->applied == quorum_last(n->quorum);
}

static inline void one_follow(void *arg, uint64_t leader)
{
    struct one_node *n = arg;

    n->lead_term = 0;
    n->leads = false;
    n->leader = leader;
}

static inline void one_failed(void *arg, const struct why *why)
{
    struct one_node *n = arg;

    assert_false(n->has_failed);
    n->has_failed = true;
    n->why = *why;
}

static inline void one_send(void *arg, uint64_t to, struct str frame)
{
    struct one_node *n = arg;
    struct str copy = arena_str(&n->arena, frame);
    struct raft_message *m = &n->sent[n->sent_count];

    assert_true(n->sent_count < ONE_SENT_MAX);
    assert_int_equal(transport_decode(copy, &n->arena, m), ERR_NONE);
    n->sent_to[n->sent_count++] = to;
}

static const struct quorum_voter one_voters[] = {
    {1, "node1:9093"}, {2, "node2:9093"}, {3, "node3:9093"}};

static inline void one_open_run(void *arg)
{
    struct one_node *n = arg;

    n->err = quorum_open(simenv_env(n->sim), &n->options, &n->quorum, &n->why);
}

/* Opens the node on the disk as it is; n->err says what came of it. */
static inline void one_open(struct one_node *n)
{
    must(n->quorum == NULL);
    n->has_failed = false;
    n->lead_term = 0;
    n->leads = false;
    n->leader = 0;
    simenv_run(n->sim, one_open_run, n);
    if (n->err != ERR_NONE) {
        n->quorum = NULL;
    }
}

/* A node that is one of count first voters; not open yet. */
static inline struct one_node *one_make(uint32_t count)
{
    struct one_node *n = MEM_NEW(struct one_node);

    trace_level_set(TRACE_ERROR);
    simclock_init(&n->clock, 7);
    n->sim_disk = simdisk_open();
    fault_init(&n->fault, simdisk_disk(n->sim_disk));
    n->sim = simenv_open(&n->clock, &n->fault.disk);
    n->machine = (struct quorum_machine){
        .apply = one_apply,
        .applied = one_applied,
        .checkpoint = one_checkpoint,
    };
    n->options = (struct quorum_options){
        .folder = "/quorum",
        .id = 1,
        .voters = one_voters,
        .voter_count = count,
        .limits = {.command_bytes = 1000, .disk_reserve_bytes = 1},
        .machine = &n->machine,
        .send = count > 1 ? one_send : NULL,
        .on_lead = one_lead,
        .on_follow = one_follow,
        .failed = one_failed,
        .arg = n,
    };
    return n;
}

static inline void one_is_closed(void *arg)
{
    ((struct one_node *)arg)->closed = true;
}

static inline void one_close_run(void *arg)
{
    struct one_node *n = arg;

    quorum_close(n->quorum, one_is_closed, n);
}

/* Everything that can happen does. */
static inline void one_settle(struct one_node *n)
{
    simclock_run_for_ms(&n->clock, 200);
}

static inline void one_close(struct one_node *n)
{
    if (n->quorum != NULL) {
        n->closed = false;
        simenv_run(n->sim, one_close_run, n);
        assert_true(simclock_run_until_set(&n->clock, &n->closed, 60000));
        n->quorum = NULL;
    }
}

/* The process is gone, and the power with it; seed 0: nothing is kept that was
 * not synced. What it had in memory is freed by
 * closing it on a disk that refuses everything. */
static inline void one_die(struct one_node *n, uint64_t seed)
{
    bool for_good = n->fault.for_good;

    if (seed == 0) {
        simdisk_crash_losing_all(n->sim_disk);
    } else {
        simdisk_crash(n->sim_disk, seed);
    }
    n->fault.for_good = true;
    fault_arm(&n->fault, 1);
    n->checkpoint = NULL;
    one_close(n);
    fault_arm(&n->fault, 0);
    n->fault.for_good = for_good;
    n->applied = MIN(n->applied, n->durable);
}

static inline void one_free(struct one_node *n)
{
    one_close(n);
    one_settle(n);
    simenv_close(n->sim);
    simdisk_close(n->sim_disk);
    simclock_fini(&n->clock);
    arena_reset(&n->arena);
    mem_free(n);
}

/* A proposal that remembers what came of it. */
struct one_ask {
    struct quorum_proposal proposal;
    struct one_node *node;
    uint32_t number;
    bool is_done;
    enum err err;
    uint64_t index;
};

static inline void one_ask_done(struct quorum_proposal *proposal, enum err err,
                                uint64_t index)
{
    struct one_ask *ask = container_of(proposal, struct one_ask, proposal);

    assert_false(ask->is_done);
    ask->is_done = true;
    ask->err = err;
    ask->index = index;
}

static inline void one_propose_run(void *arg)
{
    struct one_ask *ask = arg;

    quorum_propose(ask->node->quorum, &ask->proposal);
    assert_false(ask->is_done); /* never from inside */
}

static inline void one_read_run(void *arg)
{
    struct one_ask *ask = arg;

    quorum_read(ask->node->quorum, &ask->proposal);
    assert_false(ask->is_done);
}

static inline void one_propose(struct one_node *n, struct one_ask *ask,
                               uint32_t number)
{
    *ask = (struct one_ask){.node = n, .number = number};
    ask->proposal.done = one_ask_done;
    ask->proposal.command = str_sub(&ask->number, sizeof(ask->number));
    simenv_run(n->sim, one_propose_run, ask);
}

static inline void one_read(struct one_node *n, struct one_ask *ask)
{
    *ask = (struct one_ask){.node = n};
    ask->proposal.done = one_ask_done;
    simenv_run(n->sim, one_read_run, ask);
}

#endif
