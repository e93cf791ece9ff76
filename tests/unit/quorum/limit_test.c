/* A want of descriptors passes (run/disk_real.c): it costs time, or a
 * checkpoint, and never the node. */
#include "unit/quorum/one_node.h"

static enum err checkpoint_err;
static bool checkpoint_over;

static void checkpoint_told(void *arg, enum err err)
{
    (void)arg;
    checkpoint_over = true;
    checkpoint_err = err;
}

static void checkpoint_run(void *arg)
{
    quorum_checkpoint(((struct one_node *)arg)->quorum, checkpoint_told, NULL);
}

static void one_checkpoint_now(struct one_node *n)
{
    checkpoint_over = false;
    simenv_run(n->sim, checkpoint_run, n);
    one_settle(n);
    assert_true(checkpoint_over);
}

/* Files that are opened from now on are one too many. */
static void no_descriptors(struct one_node *n, bool for_good)
{
    n->fault.kinds = FAULT_OPEN;
    n->fault.err = ERR_LIMIT;
    n->fault.for_good = for_good;
    fault_arm(&n->fault, 1);
}

static void none_for_a_checkpoint_ends_nothing(void **state)
{
    struct one_node *n = one_make(1);
    struct one_ask ask;

    (void)state;
    n->options.limits.no_trailing = true;
    one_open(n);
    one_settle(n);
    for (uint32_t i = 1; i <= 20; i++) {
        one_propose(n, &ask, i);
        one_settle(n);
    }
    simclock_run_for_ms(&n->clock, 5000);
    no_descriptors(n, true);
    one_checkpoint_now(n);
    assert_int_equal(checkpoint_err, ERR_LIMIT);
    assert_false(n->has_failed);
    fault_arm(&n->fault, 0);
    one_checkpoint_now(n);
    assert_int_equal(checkpoint_err, ERR_NONE);
    one_free(n);
}

/* The entries' log begins a segment: what waits for it waits, in order. */
static void none_for_a_segment_is_tried_again(void **state)
{
    struct one_node *n = one_make(1);
    struct one_ask asks[2];
    uint32_t number = 0;

    (void)state;
    n->options.limits.segment_bytes = 1; /* the least that is allowed */
    one_open(n);
    one_settle(n);
    simclock_run_for_ms(&n->clock, 5000);
    no_descriptors(n, true);
    do {
        must(++number < ONE_COMMANDS_MAX - 2);
        one_propose(n, &asks[0], number);
        simclock_run_for_ms(&n->clock, 100);
    } while (asks[0].is_done);
    one_propose(n, &asks[1], number + 1);
    simclock_run_for_ms(&n->clock, 5000);
    assert_false(n->has_failed || asks[0].is_done || asks[1].is_done);
    fault_arm(&n->fault, 0);
    simclock_run_for_ms(&n->clock, 1000);
    assert_true(asks[0].is_done && asks[1].is_done);
    assert_int_equal(asks[0].err, ERR_NONE);
    assert_int_equal(asks[1].err, ERR_NONE);
    assert_int_equal(n->index_of[number + 1], n->index_of[number] + 1);
    one_free(n);
}

static int quiet(void **state)
{
    (void)state;
    trace_level_set(TRACE_ERROR);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_for_a_checkpoint_ends_nothing),
        cmocka_unit_test(none_for_a_segment_is_tried_again),
    };

    return cmocka_run_group_tests_name("quorum/limit", tests, quiet, NULL);
}
