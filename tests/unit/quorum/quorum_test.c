/* quorum_test.c - one voter: what is answered stays, whatever happens. */
#include "unit/quorum/one_node.h"

static int setup(void **state)
{
    *state = one_make(1);
    return 0;
}

static int teardown(void **state)
{
    one_free(*state);
    return 0;
}

static struct one_node *opened(void **state)
{
    struct one_node *n = *state;

    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_not_equal(n->lead_term, 0);
    return n;
}

static void done(struct one_node *n, uint32_t number)
{
    struct one_ask ask;

    one_propose(n, &ask, number);
    one_settle(n);
    assert_true(ask.is_done);
    assert_int_equal(ask.err, ERR_NONE);
    assert_int_equal(ask.index, n->index_of[number]);
    assert_int_equal(n->applied, ask.index);
}

static void one_voter_leads_by_itself_and_applies_what_is_proposed(void **state)
{
    struct one_node *n = *state;

    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    assert_int_equal(n->lead_term, 0); /* not from inside of open */
    one_settle(n);
    /* Entry 1 is the voters, in term 1; then the term that is led, opened by
     * a barrier. */
    assert_int_equal(n->lead_term, 2);
    assert_true(quorum_is_leader(n->quorum));
    assert_int_equal(quorum_leader(n->quorum), 1);
    assert_int_equal(quorum_term(n->quorum), 2);
    assert_int_equal(quorum_last(n->quorum), 2);
    for (uint32_t i = 1; i <= 10; i++) {
        done(n, i);
        assert_int_equal(n->index_of[i], 2 + i);
    }
    assert_int_equal(quorum_applied(n->quorum), 12);
}

static void a_start_has_what_was_done_and_a_term_of_its_own(void **state)
{
    struct one_node *n = opened(state);

    done(n, 1);
    done(n, 2);
    for (int32_t round = 1; round <= 5; round++) {
        if (round % 2 == 0) {
            one_die(n, 5);
        } else {
            one_close(n);
        }
        n->applied = 0;
        n->apply_count = 0;
        one_open(n);
        one_settle(n);
        assert_int_equal(n->lead_term, 2 + round);
        assert_int_equal(n->apply_count, (uint64_t)1 + (uint64_t)round);
        done(n, 2 + (uint32_t)round);
    }
}

static void what_the_machine_has_is_not_applied_again(void **state)
{
    struct one_node *n = opened(state);

    for (uint32_t i = 1; i <= 5; i++) {
        done(n, i);
    }
    one_close(n);
    n->applied = n->index_of[3];
    n->apply_count = 0;
    one_open(n);
    one_settle(n);
    assert_int_equal(n->apply_count, 2);
}

static void a_voter_that_is_alone_sets_no_timer(void **state)
{
    struct one_node *n = opened(state);
    uint64_t steps;

    done(n, 1);
    simclock_run_for_ms(&n->clock, 10000);
    steps = n->clock.steps;
    simclock_run_for_ms(&n->clock, 600000);
    assert_int_equal(n->clock.steps, steps);
    assert_true(simenv_is_idle(n->sim));
}

static void what_comes_while_a_write_is_out_shares_the_next_sync(void **state)
{
    static struct one_ask asks[500];
    struct one_node *n = opened(state);
    uint64_t syncs = simdisk_sync_count(n->sim_disk);
    uint64_t last = quorum_last(n->quorum);

    one_propose(n, &asks[0], 1);
    for (uint32_t i = 1; i < ARRAY_COUNT(asks); i++) {
        one_propose(n, &asks[i], i + 1);
    }
    assert_int_equal(quorum_last(n->quorum), last + 1);
    one_settle(n);
    for (uint32_t i = 0; i < ARRAY_COUNT(asks); i++) {
        assert_true(asks[i].is_done && asks[i].err == ERR_NONE);
        assert_int_equal(asks[i].index, last + 1 + i);
    }
    assert_int_equal(simdisk_sync_count(n->sim_disk), syncs + 2);
}

static void a_read_alone_writes_nothing_and_sees_what_was_done(void **state)
{
    struct one_node *n = opened(state);
    uint64_t last;
    struct one_ask ask;

    done(n, 1);
    last = quorum_last(n->quorum);
    one_read(n, &ask);
    one_settle(n);
    assert_true(ask.is_done && ask.err == ERR_NONE);
    assert_int_equal(ask.index, quorum_applied(n->quorum));
    assert_int_equal(quorum_last(n->quorum), last);
}

static void before_it_leads_a_proposal_is_refused(void **state)
{
    struct one_node *n = *state;
    struct one_ask ask;
    struct one_ask read;

    one_open(n);
    one_propose(n, &ask, 1);
    one_read(n, &read);
    one_settle(n);
    assert_int_equal(ask.err, ERR_NOT_CONTROLLER);
    assert_int_equal(read.err, ERR_NOT_CONTROLLER);
    assert_int_equal(n->apply_count, 0);
}

static void a_command_over_the_limit_is_refused(void **state)
{
    struct one_node *n = opened(state);
    static char bytes[1001];
    struct one_ask ask = {.node = n};

    ask.proposal.done = one_ask_done;
    ask.proposal.command = str_sub(bytes, 1001);
    simenv_run(n->sim, one_propose_run, &ask);
    one_settle(n);
    assert_int_equal(ask.err, ERR_TOO_LARGE);
    ask = (struct one_ask){.node = n};
    ask.proposal.done = one_ask_done;
    ask.proposal.command = str_sub(bytes, 1000);
    simenv_run(n->sim, one_propose_run, &ask);
    one_settle(n);
    assert_int_equal(ask.err, ERR_NONE);
}

static void more_than_the_bound_at_once_is_busy(void **state)
{
    struct one_node *n = *state;
    struct one_ask asks[4];

    n->options.limits.uncommitted = 3;
    n = opened(state);
    for (uint32_t i = 0; i < 4; i++) {
        one_propose(n, &asks[i], i + 1);
    }
    one_settle(n);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(asks[i].err, ERR_NONE);
    }
    assert_int_equal(asks[3].err, ERR_BUSY);
    assert_int_equal(asks[3].index, 0);
    done(n, 5);
}

static void more_bytes_than_the_bound_are_busy(void **state)
{
    struct one_node *n = *state;
    struct one_ask asks[3];

    n->options.limits.uncommitted_bytes = 8;
    n = opened(state);
    for (uint32_t i = 0; i < 3; i++) {
        one_propose(n, &asks[i], i + 1);
    }
    one_settle(n);
    assert_int_equal(asks[1].err, ERR_NONE);
    assert_int_equal(asks[2].err, ERR_BUSY);
}

static void limit_left(struct one_node *n, uint64_t bytes)
{
    simclock_run_for_ms(&n->clock, 2000); /* small files are written */
    simdisk_limit(n->sim_disk, simdisk_used_bytes(n->sim_disk) + bytes);
    simclock_run_for_ms(&n->clock, 1000); /* it is asked once a second */
}

/* Proposes one that is vital and one that is not; what became of them. */
static void propose_both(struct one_node *n, uint32_t number,
                         struct one_ask asks[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        asks[i] = (struct one_ask){.node = n, .number = number + i};
        asks[i].proposal.vital = i == 1;
        asks[i].proposal.done = one_ask_done;
        asks[i].proposal.command =
            str_sub(&asks[i].number, sizeof(asks[i].number));
        simenv_run(n->sim, one_propose_run, &asks[i]);
    }
    one_settle(n);
    assert_false(n->has_failed);
}

static void a_disk_at_its_reserve_takes_only_what_is_vital(void **state)
{
    struct one_node *n = *state;
    struct one_ask asks[2];
    struct one_ask read;

    n->options.limits.disk_reserve_bytes = 1 << 20;
    n->options.limits.disk_floor_bytes = 1 << 16;
    n = opened(state);
    limit_left(n, (1 << 20) - 1);
    propose_both(n, 1, asks);
    assert_int_equal(asks[0].err, ERR_FULL);
    assert_int_equal(asks[1].err, ERR_NONE);
    one_close(n); /* a start goes on, too */
    one_open(n);
    one_settle(n);
    propose_both(n, 3, asks);
    assert_int_equal(asks[0].err, ERR_FULL);
    assert_int_equal(asks[1].err, ERR_NONE);
    one_read(n, &read);
    one_settle(n);
    assert_int_equal(read.err, ERR_NONE);

    limit_left(n, (1 << 16) - 1);
    propose_both(n, 5, asks);
    assert_int_equal(asks[0].err, ERR_FULL);
    assert_int_equal(asks[1].err, ERR_FULL);
    /* Somebody makes room for what is vital: no second goes by. */
    simdisk_limit(n->sim_disk, simdisk_used_bytes(n->sim_disk) + (1 << 17));
    propose_both(n, 7, asks);
    assert_int_equal(asks[0].err, ERR_FULL);
    assert_int_equal(asks[1].err, ERR_NONE);
    limit_left(n, 2 << 20);
    propose_both(n, 9, asks);
    assert_int_equal(asks[0].err, ERR_NONE);
    assert_int_equal(asks[1].err, ERR_NONE);
}

static void lacks_room(void *arg)
{
    ((struct one_node *)arg)->lacks_room_count++;
}

/* The disk is full to the last byte, whatever was found out a moment before:
 * that costs time, and neither the node nor an answer. */
static void an_entry_without_space_is_tried_again(void **state)
{
    struct one_node *n = *state;
    struct one_ask asks[3];

    n->options.lacks_room = lacks_room;
    n = opened(state);
    done(n, 1);
    simdisk_limit(n->sim_disk, simdisk_used_bytes(n->sim_disk) + 50);
    one_propose(n, &asks[0], 2);
    simclock_run_for_ms(&n->clock, 10);
    one_propose(n, &asks[1], 3);
    simclock_run_for_ms(&n->clock, 5000);
    assert_false(n->has_failed || asks[0].is_done || asks[1].is_done);
    assert_in_range(n->lacks_room_count, 5, 15);
    simdisk_limit(n->sim_disk, UINT64_MAX);
    simclock_run_for_ms(&n->clock, 1000);
    assert_true(asks[0].is_done && asks[1].is_done);
    assert_int_equal(asks[0].err, ERR_NONE);
    assert_int_equal(asks[1].err, ERR_NONE);
    assert_int_equal(n->index_of[3], n->index_of[2] + 1);
    done(n, 4);

    /* A close does not wait for space. */
    simdisk_limit(n->sim_disk, simdisk_used_bytes(n->sim_disk) + 50);
    one_propose(n, &asks[2], 5);
    simclock_run_for_ms(&n->clock, 600);
    assert_false(asks[2].is_done);
    one_close(n);
    assert_int_equal(asks[2].err, ERR_UNKNOWN_OUTCOME);
    simdisk_limit(n->sim_disk, UINT64_MAX);
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(n->index_of[5], 0);
    done(n, 6);
}

/* The system is asked once a second: what is written meanwhile is counted. */
static void what_is_written_counts_before_the_disk_is_asked_again(void **state)
{
    struct one_node *n = *state;
    struct one_ask ask;
    uint32_t number = 1;

    n->options.limits.disk_reserve_bytes = 1 << 20;
    n = opened(state);
    limit_left(n, (1 << 20) + 500);
    do {
        one_propose(n, &ask, number++);
        simclock_run_for_ms(&n->clock, 20);
        assert_true(ask.is_done && number < 20);
    } while (ask.err == ERR_NONE);
    assert_int_equal(ask.err, ERR_FULL);
    assert_true(number > 3);
}

static void a_close_answers_what_is_open(void **state)
{
    struct one_node *n = opened(state);
    struct one_ask out;
    struct one_ask queued;

    one_propose(n, &out, 1);
    one_propose(n, &queued, 2);
    one_close(n);
    assert_int_equal(out.err, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(queued.err, ERR_STOPPING);
    n->applied = 0;
    one_open(n);
    one_settle(n);
    assert_int_not_equal(n->index_of[1], 0); /* it did happen */
    assert_int_equal(n->index_of[2], 0);
}

static void propose_late(struct quorum_proposal *proposal, enum err err,
                         uint64_t index)
{
    struct one_ask *ask = container_of(proposal, struct one_ask, proposal);

    one_ask_done(proposal, err, index);
    if (ask->number == 1) {
        ask->number = 2;
        ask->is_done = false;
        quorum_propose(ask->node->quorum, &ask->proposal);
    }
}

static void a_proposal_may_be_made_again_from_its_done(void **state)
{
    struct one_node *n = opened(state);
    struct one_ask ask = {.node = n, .number = 1};

    ask.proposal.done = propose_late;
    ask.proposal.command = str_sub(&ask.number, sizeof(ask.number));
    simenv_run(n->sim, one_propose_run, &ask);
    one_settle(n);
    assert_true(ask.is_done);
    assert_int_equal(ask.err, ERR_NONE);
    assert_int_equal(ask.index, n->index_of[1] + 1);
}

/* Checkpoints. */

static enum err checkpoint_err;
static bool checkpoint_over;

static void checkpoint_told(void *arg, enum err err)
{
    checkpoint_over = true;
    checkpoint_err = err;
}

static void checkpoint_run(void *arg)
{
    quorum_checkpoint(((struct one_node *)arg)->quorum, checkpoint_told, NULL);
    assert_false(checkpoint_over);
}

static void checkpoint(struct one_node *n)
{
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    one_settle(n);
    assert_true(checkpoint_over);
    assert_int_equal(checkpoint_err, ERR_NONE);
}

static void a_checkpoint_lets_the_log_go(void **state)
{
    struct one_node *n = *state;

    n->options.limits.no_trailing = true;
    n = opened(state);
    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    checkpoint(n);
    checkpoint(n); /* nothing is new: nobody is asked */
    assert_int_equal(n->checkpoint_count, 1);
    one_die(n, 3);
    assert_int_equal(n->applied, n->index_of[20]);
    n->apply_count = 0;
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(n->apply_count, 0);
    assert_int_equal(n->lead_term, 3);
    done(n, 21);
    one_die(n, 4);
    one_open(n);
    one_settle(n);
    assert_int_equal(n->apply_count, 2); /* 21 once more */
    assert_int_equal(n->lead_term, 4);
}

/* Barriers are no commands: the machine does not know of them. */
static void a_checkpoint_may_end_with_a_barrier(void **state)
{
    struct one_node *n = *state;

    n->options.limits.no_trailing = true;
    n = opened(state);
    done(n, 1);
    for (int i = 0; i < 3; i++) {
        one_close(n);
        one_open(n);
        assert_int_equal(n->err, ERR_NONE);
        one_settle(n);
        checkpoint(n);
        assert_int_equal(quorum_applied(n->quorum), quorum_last(n->quorum));
        assert_true(quorum_last(n->quorum) > n->applied);
    }
    done(n, 2);
    assert_int_equal(n->apply_count, 2);
}

static void checkpoints_are_taken_as_the_log_grows(void **state)
{
    struct one_node *n = *state;

    n->options.limits.no_trailing = true;
    n->options.limits.checkpoint_bytes = 1000;
    n->options.limits.segment_bytes = 1; /* the least there is */
    n = opened(state);
    for (uint32_t i = 1; i <= 4000; i++) {
        done(n, i);
    }
    assert_in_range(n->checkpoint_count, 120, 180);
    simclock_run_for_ms(&n->clock, 300000);
    /* Two segments and what is around them; written was twice as much. */
    assert_true(simdisk_used_bytes(n->sim_disk) < 200000);
    one_die(n, 9);
    one_open(n);
    one_settle(n);
    assert_int_not_equal(n->lead_term, 0);
    done(n, 4001);
}

/* The machine was put back by a backup: as long as the log has what it needs,
 * it is applied again. */
static void
a_machine_older_than_the_checkpoint_gets_what_the_log_has(void **state)
{
    struct one_node *n = opened(state);

    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    checkpoint(n);
    done(n, 21);
    one_close(n);
    n->applied = n->index_of[5];
    n->apply_count = 0;
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(n->apply_count, 16);
    done(n, 22);
    one_close(n);

    /* And when it has not: refused. */
    n->options.limits.no_trailing = true;
    one_open(n);
    one_settle(n);
    checkpoint(n);
    one_close(n);
    n->applied = n->index_of[5];
    one_open(n);
    assert_int_equal(n->err, ERR_DAMAGED);
    assert_non_null(strstr(n->why.text, "put back"));
}

static void a_checkpoint_under_way_is_waited_for_at_the_end(void **state)
{
    struct one_node *n = opened(state);

    n->hold_checkpoint = true;
    done(n, 1);
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    n->closed = false;
    simenv_run(n->sim, one_close_run, n);
    simclock_run_for_ms(&n->clock, 1000);
    assert_false(n->closed);
    simenv_run(n->sim, one_checkpoint_run, n);
    assert_true(simclock_run_until_set(&n->clock, &n->closed, 1000));
    n->quorum = NULL;
    assert_true(checkpoint_over);
}

static void to_keep_a_checkpoint_the_loop_waits_for_no_disk(void **state)
{
    struct one_node *n = *state;
    struct one_ask ask;
    uint64_t syncs;

    n->options.limits.no_trailing = true;
    n->hold_checkpoint = true;
    n = opened(state);
    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    simclock_run_for_ms(&n->clock, 5000); /* all is quiet */
    syncs = simdisk_sync_count(n->sim_disk);
    simenv_run(n->sim, one_checkpoint_run, n);
    assert_int_equal(simdisk_sync_count(n->sim_disk), syncs);
    assert_false(checkpoint_over);
    one_propose(n, &ask, 21); /* meanwhile */
    one_settle(n);
    assert_true(checkpoint_over && ask.is_done);
    assert_int_equal(ask.err, ERR_NONE);
    assert_true(simdisk_sync_count(n->sim_disk) > syncs);
    one_die(n, 0);
    n->hold_checkpoint = false;
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(n->applied, n->index_of[21]);
    assert_int_equal(n->apply_count, 22);
}

static void a_close_waits_for_a_checkpoint_on_its_way_to_the_disk(void **state)
{
    struct one_node *n = opened(state);

    n->hold_checkpoint = true;
    done(n, 1);
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    simclock_run_for_ms(&n->clock, 100);
    simenv_run(n->sim, one_checkpoint_run, n);
    n->hold_checkpoint = false;
    one_close(n);
    assert_true(checkpoint_over);
    n->apply_count = 0;
    one_open(n);
    one_settle(n);
    assert_int_equal(n->apply_count, 0);
}

static void a_machine_that_cannot_is_asked_again_later(void **state)
{
    struct one_node *n = *state;

    n->options.limits.checkpoint_bytes = 200;
    n->hold_checkpoint = true;
    n = opened(state);
    for (uint32_t i = 1; i <= 10; i++) {
        done(n, i);
    }
    assert_int_equal(n->checkpoint_count, 1);
    n->checkpoint->done(n->checkpoint, ERR_BUSY);
    for (uint32_t i = 11; i <= 20; i++) {
        done(n, i);
    }
    assert_int_equal(n->checkpoint_count, 2);
    n->hold_checkpoint = false;
    simenv_run(n->sim, one_checkpoint_run, n);
    one_settle(n);
}

/* A log that cannot be cut is only long. */
static void a_full_disk_takes_no_checkpoint_and_ends_nothing(void **state)
{
    struct one_node *n = *state;

    n->options.limits.no_trailing = true;
    n = opened(state);
    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    simdisk_limit(n->sim_disk, 0);
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    one_settle(n);
    assert_true(checkpoint_over);
    assert_int_equal(checkpoint_err, ERR_FULL);
    assert_false(n->has_failed);
    simdisk_limit(n->sim_disk, UINT64_MAX);
    done(n, 21);
    checkpoint(n);
    one_die(n, 5);
    one_open(n);
    one_settle(n);
    assert_int_equal(n->err, ERR_NONE);
    done(n, 22);
}

/* Starts and stops. */

/* What a start waits for: the term in one write, its first entry in the other.
 */
static void a_start_on_what_is_there_costs_two_syncs(void **state)
{
    struct one_node *n = opened(state);

    for (uint32_t i = 1; i <= 3; i++) {
        uint64_t syncs;

        done(n, i);
        one_settle(n);
        n->options.clean_start = quorum_starts(n->quorum);
        one_close(n);
        syncs = simdisk_sync_count(n->sim_disk);
        one_open(n);
        assert_true(simclock_run_until_set(&n->clock, &n->leads, 1000));
        assert_int_equal(simdisk_sync_count(n->sim_disk), syncs + 2);
        one_settle(n);
    }
}

static void each_start_has_a_number_and_knows_a_clean_stop_by_it(void **state)
{
    struct one_node *n = opened(state);

    for (uint64_t run = 1; run <= 6; run++) {
        assert_true(quorum_starts(n->quorum) == run);
        done(n, (uint32_t)run);
        if (run % 2 == 0) {
            one_close(n);
            n->options.clean_start = run;
        } else {
            one_die(n, run); /* the mark of the run before is still there */
        }
        one_open(n);
        assert_int_equal(n->err, ERR_NONE);
        assert_int_equal(quorum_was_clean(n->quorum), run % 2 == 0);
        one_settle(n);
    }
}

static struct str opening(void *arg)
{
    static const uint32_t number = 77;
    struct one_node *n = arg;

    return n->has_opening ? str_sub(&number, sizeof(number)) : STR_NULL;
}

static void a_term_begins_with_the_owners_command(void **state)
{
    struct one_node *n = *state;
    struct one_ask ask;

    n->options.opening = opening;
    n = opened(state);
    assert_int_equal(quorum_last(n->quorum), 2);
    assert_int_equal(n->apply_count, 0); /* an entry of the quorum's own */
    done(n, 1);
    one_close(n);
    n->has_opening = true;
    one_open(n);
    one_settle(n);
    assert_int_equal(quorum_last(n->quorum), 4);
    assert_int_equal(n->index_of[77], 4);
    assert_int_equal(n->apply_count, 2);
    assert_true(n->opened_before_lead);
    one_read(n, &ask);
    one_settle(n);
    assert_int_equal(ask.index, 4);
    done(n, 2);
    one_die(n, 3);
    n->has_opening = false;
    one_open(n);
    one_settle(n);
    assert_int_equal(n->index_of[77], 4);
    assert_int_equal(n->index_of[2], 5);
    assert_int_equal(n->apply_count, 3 + 3);
}

/* What must not vote. */

static void rot_entries(struct one_node *n, uint64_t position)
{
    assert_true(simdisk_rot(n->sim_disk, "/quorum/log/00000000000000000001.log",
                            position, 1));
}

static void ends_damaged(struct one_node *n, const char *text)
{
    one_open(n);
    assert_int_equal(n->err, ERR_DAMAGED);
    if (strstr(n->why.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", n->why.text, text);
    }
    one_settle(n);
}

static void a_log_shorter_than_the_machine_does_not_start(void **state)
{
    struct one_node *n = opened(state);

    done(n, 1);
    one_close(n);
    n->applied = n->index_of[1] + 1;
    ends_damaged(n, "lost what it vouched for");
}

static void remove_file(void *arg, const char *name, bool is_folder)
{
    char path[100];
    struct why why;

    snprintf(path, sizeof(path), "/quorum/log/%s", name);
    assert_int_equal(disk_remove(arg, path, &why), ERR_NONE);
}

static void remove_log(struct disk *disk)
{
    struct why why;

    assert_int_equal(disk_list(disk, "/quorum/log", remove_file, disk, &why),
                     ERR_NONE);
}

static void a_log_shorter_than_its_mark_does_not_start(void **state)
{
    struct one_node *n = opened(state);

    done(n, 1);
    one_close(n); /* keeps the mark */
    remove_log(simdisk_disk(n->sim_disk));
    n->applied = 0;
    ends_damaged(n, "must not vote");
}

static void a_flipped_byte_below_the_flushed_end_stops_it(void **state)
{
    struct one_node *n = opened(state);

    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    one_close(n);
    n->applied = 0;
    rot_entries(n, 200);
    one_open(n);
    assert_int_equal(n->err, ERR_DAMAGED);
    one_settle(n);
    rot_entries(n, 200);
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(n->apply_count, 40);
}

static void what_is_damaged_says_where_and_what_helps(void **state)
{
    struct one_node *n = opened(state);

    for (uint32_t i = 1; i <= 20; i++) {
        done(n, i);
    }
    simclock_run_for_ms(&n->clock, 2000);
    one_die(n, 0);
    rot_entries(n, 200);
    ends_damaged(n, "\"/quorum/log/00000000000000000001.log\", position");
    ends_damaged(n, "restore the data folder from a backup");
    rot_entries(n, 200);
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
}

static void a_lost_term_does_not_start(void **state)
{
    struct one_node *n = opened(state);
    struct why why;

    one_close(n);
    assert_int_equal(
        disk_remove(simdisk_disk(n->sim_disk), "/quorum/term", &why), ERR_NONE);
    n->applied = 0;
    ends_damaged(n, "term");
}

static void a_damaged_term_does_not_start(void **state)
{
    struct one_node *n = opened(state);

    one_close(n);
    for (uint64_t at = 12; simdisk_rot(n->sim_disk, "/quorum/term", at, 1);
         at += 2048) { /* each copy in each slot */
    }
    ends_damaged(n, "\"/quorum/term\" is damaged");
}

static void a_damaged_checkpoint_does_not_start(void **state)
{
    struct one_node *n = opened(state);

    done(n, 1);
    checkpoint(n);
    one_close(n);
    assert_true(simdisk_rot(n->sim_disk, "/quorum/checkpoint", 12, 1));
    ends_damaged(n, "\"/quorum/checkpoint\" is damaged");
}

static void the_folder_of_another_node_is_refused(void **state)
{
    struct one_node *n = opened(state);

    one_close(n);
    n->options.id = 2;
    one_open(n);
    assert_int_equal(n->err, ERR_INVALID);
    assert_non_null(strstr(n->why.text, "node 1"));
    one_settle(n);
}

static void voters_without_this_node_are_refused(void **state)
{
    static const struct quorum_voter twice[] = {{1, "a"}, {1, "b"}};
    struct one_node *n = *state;

    n->options.id = 2;
    one_open(n);
    assert_int_equal(n->err, ERR_INVALID);
    one_settle(n);
    n->options.id = 1;
    n->options.voters = twice;
    n->options.voter_count = 2;
    one_open(n);
    assert_int_equal(n->err, ERR_INVALID);
    one_settle(n);
}

/* Failing disks. */

static void a_failing_sync_ends_the_node_and_answers_nothing(void **state)
{
    struct one_node *n = opened(state);
    struct one_ask ask;

    n->fault.kinds = FAULT_SYNC;
    fault_arm(&n->fault, 1);
    one_propose(n, &ask, 1);
    one_settle(n);
    assert_true(n->has_failed);
    assert_false(ask.is_done);
    one_die(n, 5);
    assert_true(ask.is_done);
    assert_int_equal(ask.err, ERR_UNKNOWN_OUTCOME);
}

/* A few commands and a checkpoint, then the end; gives how many are known to be
 * done. *met: the disk refused something. */
static uint32_t live_a_little(struct one_node *n, uint32_t from, bool *met)
{
    struct one_ask asks[8];
    uint32_t count = 0;

    one_open(n);
    if (n->err != ERR_NONE) {
        *met = n->fault.failed > 0;
        simdisk_crash(n->sim_disk, n->fault.calls);
        one_settle(n); /* what is left of it finds no disk */
        fault_arm(&n->fault, 0);
        return 0;
    }
    one_settle(n);
    for (uint32_t i = 0; i < ARRAY_COUNT(asks); i++) {
        one_propose(n, &asks[i], from + i);
        if (i % 3 == 0) {
            one_settle(n);
        }
        if (i == 4 && n->checkpoint == NULL && !n->has_failed) {
            checkpoint_over = false;
            simenv_run(n->sim, checkpoint_run, n);
        }
    }
    one_settle(n);
    for (uint32_t i = 0; i < ARRAY_COUNT(asks); i++) {
        if (asks[i].is_done && asks[i].err == ERR_NONE) {
            assert_int_equal(count, i); /* in order */
            count++;
        }
    }
    *met = n->fault.failed > 0;
    one_die(n, n->fault.calls);
    assert_true(asks[ARRAY_COUNT(asks) - 1].is_done || n->err != ERR_NONE);
    return count;
}

/* The power goes at call `at` of a node that has lived `before` times, with
 * whatever the disk then keeps of what was not synced. False: it did not get
 * that far. */
static bool has_what_was_done(struct one_node *n, uint32_t before, uint64_t at)
{
    uint32_t first;
    uint32_t second;
    bool met;
    bool met_again;

    n->options.limits.no_trailing = at % 2 == 0;
    for (uint32_t life = 0; life < before; life++) {
        assert_int_equal(live_a_little(n, 1 + 10 * life, &met), 8);
    }
    memset(n->index_of, 0, sizeof(n->index_of[0]) * 100);
    n->fault.for_good = true;
    n->fault.tears = at % 3 == 0;
    fault_arm(&n->fault, at);
    first = live_a_little(n, 30, &met);
    memset(n->index_of, 0, sizeof(n->index_of[0]) * 100);
    n->fault.for_good = false;
    second = live_a_little(n, 50, &met_again);
    if (n->err != ERR_NONE) {
        fail_msg("killed at call %llu it does not start: %s",
                 (unsigned long long)at, n->why.text);
    }
    assert_int_equal(second, 8);
    for (uint32_t i = 30; i < 30 + first; i++) {
        if (n->index_of[i] == 0 && n->durable == 0) {
            fail_msg("killed at call %llu it lost command %u",
                     (unsigned long long)at, i);
        }
    }
    return met;
}

/* The first life makes all files; in the others a start writes into what is
 * there. */
static void killed_at_each_disk_call_it_has_what_was_done(void **state)
{
    for (uint32_t before = 0; before <= 2; before++) {
        uint64_t at = 0;
        bool met;

        do {
            one_free(*state);
            *state = one_make(1);
            met = has_what_was_done(*state, before, ++at);
        } while (met);
        assert_in_range(at, 30, 1000);
    }
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* The log has grown by another checkpoint's worth meanwhile. */
static void a_close_waits_for_no_checkpoint_that_was_never_begun(void **state)
{
    struct one_node *n = *state;

    n->options.limits.checkpoint_bytes = 200;
    n->hold_checkpoint = true;
    n = opened(state);
    for (uint32_t i = 1; i <= 30; i++) {
        done(n, i);
    }
    assert_int_equal(n->checkpoint_count, 1);
    n->closed = false;
    simenv_run(n->sim, one_close_run, n);
    simclock_run_for_ms(&n->clock, 1000);
    assert_false(n->closed);
    simenv_run(n->sim, one_checkpoint_run, n);
    simclock_run_for_ms(&n->clock, 60000);
    assert_true(n->closed);
    n->quorum = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_close_waits_for_no_checkpoint_that_was_never_begun),
        ONE(one_voter_leads_by_itself_and_applies_what_is_proposed),
        ONE(a_start_has_what_was_done_and_a_term_of_its_own),
        ONE(what_the_machine_has_is_not_applied_again),
        ONE(a_voter_that_is_alone_sets_no_timer),
        ONE(what_comes_while_a_write_is_out_shares_the_next_sync),
        ONE(a_read_alone_writes_nothing_and_sees_what_was_done),
        ONE(before_it_leads_a_proposal_is_refused),
        ONE(a_command_over_the_limit_is_refused),
        ONE(more_than_the_bound_at_once_is_busy),
        ONE(more_bytes_than_the_bound_are_busy),
        ONE(a_disk_at_its_reserve_takes_only_what_is_vital),
        ONE(an_entry_without_space_is_tried_again),
        ONE(what_is_written_counts_before_the_disk_is_asked_again),
        ONE(a_close_answers_what_is_open),
        ONE(a_proposal_may_be_made_again_from_its_done),
        ONE(a_checkpoint_lets_the_log_go),
        ONE(a_checkpoint_may_end_with_a_barrier),
        ONE(checkpoints_are_taken_as_the_log_grows),
        ONE(a_machine_older_than_the_checkpoint_gets_what_the_log_has),
        ONE(a_checkpoint_under_way_is_waited_for_at_the_end),
        ONE(to_keep_a_checkpoint_the_loop_waits_for_no_disk),
        ONE(a_close_waits_for_a_checkpoint_on_its_way_to_the_disk),
        ONE(a_machine_that_cannot_is_asked_again_later),
        ONE(a_full_disk_takes_no_checkpoint_and_ends_nothing),
        ONE(a_start_on_what_is_there_costs_two_syncs),
        ONE(each_start_has_a_number_and_knows_a_clean_stop_by_it),
        ONE(a_term_begins_with_the_owners_command),
        ONE(a_log_shorter_than_the_machine_does_not_start),
        ONE(a_log_shorter_than_its_mark_does_not_start),
        ONE(a_flipped_byte_below_the_flushed_end_stops_it),
        ONE(what_is_damaged_says_where_and_what_helps),
        ONE(a_lost_term_does_not_start),
        ONE(a_damaged_term_does_not_start),
        ONE(a_damaged_checkpoint_does_not_start),
        ONE(the_folder_of_another_node_is_refused),
        ONE(voters_without_this_node_are_refused),
        ONE(a_failing_sync_ends_the_node_and_answers_nothing),
        ONE(killed_at_each_disk_call_it_has_what_was_done),
    };

    return cmocka_run_group_tests_name("quorum/quorum", tests, NULL, NULL);
}
