/* log_full_test.c - what is refused for want of room: in order, and cheaply. */
#include "lib/fault.h"
#include "log/log_private.h"
#include "unit/log/one_log.h"

enum { IN_FLIGHT = 5, MANY = 300 };

/* Appends in one turn. */
struct together {
    struct one_append *list[MANY];
    int count;
};

static void append_all(void *arg)
{
    struct together *all = arg;

    for (int i = 0; i < all->count; i++) {
        log_append(all->list[i]->one->log, &all->list[i]->append);
    }
}

static struct one_batch nth(int32_t sequence)
{
    return (struct one_batch){.count = 1,
                              .producer_id = 7,
                              .sequence = sequence,
                              .value_bytes = 5000};
}

static void leave(struct one_log *one, uint64_t bytes)
{
    simdisk_limit(one->sim, simdisk_used_bytes(one->sim) + bytes);
}

/* The first batch of a producer that is not known meets a full disk; there is
 * room again when the second one comes. */
static void log_takes_no_later_batch_before_the_first_that_it_refused(void **s)
{
    for (int twice = 0; twice < 2; twice++) {
        struct one_log one;
        struct together all = {.count = 1 + twice};

        one_init(&one, 1);
        one_open(&one, false);
        (void)one_put(&one, (struct one_batch){.count = 1});
        for (int i = 0; i < all.count; i++) {
            all.list[i] = one_start(&one, nth(40)); /* and its duplicate */
        }
        leave(&one, 100);
        simenv_run(one.simenv, append_all, &all);
        for (int i = 0; i < all.count; i++) {
            assert_int_equal(all.list[i]->err, ERR_FULL);
            assert_false(all.list[i]->append.duplicate);
        }
        simdisk_limit(one.sim, UINT64_MAX);
        for (int32_t later = 41; later < 44; later++) {
            assert_int_equal(one_append(&one, nth(later))->err,
                             ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        for (int32_t again = 40; again < 44; again++) {
            assert_int_equal(one_put(&one, nth(again)), again - 39);
        }
        assert_true(one_append(&one, nth(40))->append.duplicate);
        one_close(&one);
        one_open(&one, true);
        assert_true(one_append(&one, nth(40))->append.duplicate);
        one_close(&one);
        one_fini(&one);
    }
}

/* The same where it is the reserve that has no room: a smaller one would fit,
 * a second later any. */
static void log_takes_no_later_batch_before_one_that_the_reserve_kept(void **s)
{
    struct one_batch small = nth(1);
    struct one_log one;

    small.value_bytes = 1;
    one_init(&one, 2);
    one.config.reserve_bytes = 50000;
    one_open(&one, false);
    (void)one_put(&one, (struct one_batch){.count = 1});
    leave(&one, 53000);
    assert_int_equal(one_append(&one, nth(0))->err, ERR_FULL);
    assert_int_equal(one_append(&one, small)->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    simdisk_limit(one.sim, UINT64_MAX);
    simclock_run_for_ms(&one.clock, 1100);
    assert_int_equal(one_append(&one, small)->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(one_put(&one, nth(0)), 1);
    assert_int_equal(one_put(&one, small), 2);
    one_close(&one);
    one_fini(&one);
}

static void log_takes_no_later_batch_before_one_that_is_too_large(void **s)
{
    struct one_batch large = nth(0);
    struct one_log one;

    large.value_bytes = 20000;
    one_init(&one, 3);
    one.config.segment_bytes = 20000;
    one_open(&one, false);
    assert_int_equal(one_append(&one, large)->err, ERR_RECORD_LIST_TOO_LARGE);
    assert_int_equal(one_append(&one, nth(1))->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    /* It was split, and comes again. */
    assert_int_equal(one_put(&one, nth(0)), 0);
    assert_int_equal(one_put(&one, nth(1)), 1);
    one_close(&one);
    one_fini(&one);
}

/* One turn's queue is written up to where a segment does not fit any more: what
 * was written counts, what was not does not. */
static void log_keeps_what_was_written_before_the_disk_was_full(void **s)
{
    struct one_log one;
    struct together all = {.count = IN_FLIGHT};
    int written = 0;

    one_init(&one, 4);
    one.config.segment_bytes = 12000; /* two of them */
    one_open(&one, false);
    for (int i = 0; i < all.count; i++) {
        all.list[i] = one_start(&one, nth(i));
    }
    leave(&one, 12000);
    simenv_run(one.simenv, append_all, &all);
    while (written < all.count && all.list[written]->err == ERR_NONE) {
        written++;
    }
    assert_int_equal(written, 2);
    for (int i = written; i < all.count; i++) {
        assert_int_equal(all.list[i]->err, ERR_FULL);
    }
    simdisk_limit(one.sim, UINT64_MAX);
    assert_true(one_append(&one, nth(1))->append.duplicate);
    assert_int_equal(one_append(&one, nth(3))->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int i = written; i < all.count; i++) {
        assert_int_equal(one_put(&one, nth(i)), i);
    }
    one_close(&one);
    one_fini(&one);
}

/* More than one write of a turn, of which the last finds no room: what the
 * first wrote comes to the disk, though nobody appends any more. */
static void log_flushes_what_was_written_before_the_disk_was_full(void **s)
{
    struct one_log one;
    struct together all = {.count = MANY};
    int written = 0;

    one_init(&one, 6);
    one_open(&one, false);
    for (int i = 0; i < MANY; i++) {
        all.list[i] = one_start(
            &one, (struct one_batch){.count = 1, .value_bytes = 1000});
    }
    leave(&one, 280 * 1000);
    simenv_run(one.simenv, append_all, &all);
    for (int i = 0; i < MANY; i++) {
        written += all.list[i]->err == ERR_NONE;
        assert_int_equal(all.list[i]->err, i < written ? ERR_NONE : ERR_FULL);
    }
    assert_in_range(written, 1, 280);
    one_settle(&one);
    assert_int_equal(log_flushed_end(one.log), written);
    simdisk_limit(one.sim, UINT64_MAX);
    one_close(&one);
    one_fini(&one);
}

/* All five that are remembered are pushed out by what is refused, and back. A
 * log of any size is not read for that. */
static void log_reads_nothing_when_it_refuses(void **s)
{
    struct fault fault;
    struct one_log one;
    struct together all = {.count = IN_FLIGHT};

    one_init(&one, 5);
    fault_init(&fault, simdisk_disk(one.sim));
    fault.kinds = FAULT_READ;
    one.disk = &fault.disk;
    simenv_close(one.simenv);
    one.simenv = simenv_open(&one.clock, one.disk);
    one_open(&one, false);
    for (int32_t i = 0; i < IN_FLIGHT; i++) {
        assert_int_equal(one_put(&one, nth(i)), i);
    }
    leave(&one, 100);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < all.count; i++) {
            all.list[i] = one_start(&one, nth(IN_FLIGHT + i));
        }
        fault_arm(&fault, 0);
        simenv_run(one.simenv, append_all, &all);
        assert_int_equal(fault.calls, 0);
        for (int i = 0; i < all.count; i++) {
            assert_int_equal(all.list[i]->err, ERR_FULL);
        }
    }
    simdisk_limit(one.sim, UINT64_MAX);
    for (int32_t i = 0; i < IN_FLIGHT; i++) {
        struct one_append *again = one_append(&one, nth(i));

        assert_true(again->append.duplicate);
        assert_int_equal(again->append.base_offset, i);
    }
    assert_int_equal(one_put(&one, nth(IN_FLIGHT)), IN_FLIGHT);
    one_close(&one);
    one_fini(&one);
}

static struct one_batch at_time(int64_t time)
{
    return (struct one_batch){
        .count = 1, .timestamp = time, .value_bytes = 300};
}

static void expect_last_time(struct one_log *one, int64_t time)
{
    struct log_found found;

    one_show(one);
    assert_int_equal(log_find_max_timestamp(one->log, &found, NULL), ERR_NONE);
    assert_int_equal(found.timestamp_ms, time);
    assert_int_equal(log_find_time(one->log, time, &found, NULL), ERR_NONE);
    assert_int_equal(found.timestamp_ms, time);
}

/* The stop is clean, but for the index entries that found no room. */
static void log_trusts_no_index_that_a_full_disk_kept_short(void **s)
{
    struct one_log one;

    one_init(&one, 6);
    one.config.index_interval_bytes = 500;
    one_open(&one, false);
    for (int i = 0; i < 5; i++) {
        (void)one_put(&one, at_time(1000 + i));
    }
    simclock_run_for_ms(&one.clock, 3000); /* they are in the file */
    for (int i = 5; i < 20; i++) {
        (void)one_put(&one, at_time(1000 + i));
    }
    simdisk_limit(one.sim, 0);
    one_close(&one);
    simdisk_limit(one.sim, UINT64_MAX);
    assert_int_equal(one.failures, 0);
    for (int i = 0; i < 3; i++) {
        one_open(&one, true);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(one.report.scanned_bytes > 0, i == 0);
        expect_last_time(&one, 1019);
        one_close(&one);
    }
    one_fini(&one);
}

/* The same at a start that makes the indexes of a sealed segment again. */
static void log_trusts_no_index_that_a_start_could_not_write(void **s)
{
    struct one_log one;

    one_init(&one, 7);
    one.config.index_interval_bytes = 500;
    one.config.segment_bytes = 4000;
    one_open(&one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(&one, at_time(1000 + (i < 9 ? i : -i)));
    }
    one_close(&one);
    assert_int_equal(
        disk_remove(one.disk, ONE_FOLDER "/00000000000000000000.index", NULL),
        ERR_NONE);
    for (int full = 1; full >= 0; full--) {
        simdisk_limit(one.sim, full == 1 ? 0 : UINT64_MAX);
        one_open(&one, true);
        expect_last_time(&one, 1008);
        one_kill(&one);
    }
    assert_true(one_file_bytes(&one, "00000000000000000000.index") > 0);
    one_fini(&one);
}

/* Without its point the next start reads more: no reason to be asked for it
 * without a pause, and for ever. */
static void log_that_never_stored_its_point_closes_on_a_full_disk(void **state)
{
    for (int appends = 0; appends < 2; appends++) {
        struct one_log one;
        uint64_t steps;

        one_init(&one, 9);
        one_open(&one, false);
        for (int i = 0; i < appends; i++) {
            (void)one_put(&one, (struct one_batch){.count = 1});
        }
        leave(&one, 0);
        one.closed = false;
        simenv_run(one.simenv, one_do_close, &one);
        steps = one.clock.steps;
        (void)simclock_run_until_set(&one.clock, &one.closed, 5000);
        assert_in_range(one.clock.steps - steps, 0, 200);
        if (!one.closed) {
            /* Its indexes are not complete, and only the point can say so. */
            assert_int_equal(appends, 1);
            simdisk_limit(one.sim, UINT64_MAX);
            (void)simclock_run_until_set(&one.clock, &one.closed, 1000);
        }
        assert_true(one.closed);
        simdisk_limit(one.sim, UINT64_MAX);
        one_open(&one, true);
        assert_int_equal(log_end_offset(one.log), appends);
        one_close(&one);
        one_fini(&one);
    }
}

static void point_and_close(void *arg)
{
    struct one_log *one = arg;

    flush_point_now(&one->log->flush); /* as the timer does, each second */
    assert_false(flush_is_idle(&one->log->flush));
    log_close(one->log, one_closed, one);
}

static void
log_says_that_indexes_are_short_though_a_point_was_under_way(void **state)
{
    struct one_log one;

    (void)state;
    one_init(&one, 6);
    one.config.index_interval_bytes = 500;
    one_open(&one, false);
    for (int i = 0; i < 5; i++) {
        (void)one_put(&one, at_time(1000 + i));
    }
    simclock_run_for_ms(&one.clock, 3000);
    for (int i = 5; i < 20; i++) {
        (void)one_put(&one, at_time(1000 + i));
    }
    simdisk_limit(one.sim, 0);
    one.closed = false;
    simenv_run(one.simenv, point_and_close, &one);
    assert_true(simclock_run_until_set(&one.clock, &one.closed, 100000));
    simdisk_limit(one.sim, UINT64_MAX);
    one_open(&one, true);
    expect_last_time(&one, 1019);
    one_close(&one);
    one_fini(&one);
}

static void retain_late(void *arg)
{
    struct one_log *one = arg;

    assert_in_range(log_retain(one->log, 1000000000), 1, 60000);
}

static void log_drops_what_is_too_old_though_there_is_no_room_for_a_new_segment(
    void **state)
{
    struct one_log one;

    (void)state;
    one_init(&one, 2);
    one.config.segment_bytes = 4000;
    one.config.retention_ms = 1000;
    one_open(&one, false);
    for (int i = 0; i < 30; i++) {
        (void)one_put(&one, at_time(1000 + i));
    }
    one_show(&one);
    simclock_run_for_ms(&one.clock, 3000);
    simdisk_limit(one.sim, 0);
    simenv_run(one.simenv, retain_late, &one);
    assert_true(log_start_offset(one.log) > 0);
    simdisk_limit(one.sim, UINT64_MAX);
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            log_takes_no_later_batch_before_the_first_that_it_refused),
        cmocka_unit_test(
            log_takes_no_later_batch_before_one_that_the_reserve_kept),
        cmocka_unit_test(log_takes_no_later_batch_before_one_that_is_too_large),
        cmocka_unit_test(log_keeps_what_was_written_before_the_disk_was_full),
        cmocka_unit_test(log_flushes_what_was_written_before_the_disk_was_full),
        cmocka_unit_test(log_reads_nothing_when_it_refuses),
        cmocka_unit_test(log_trusts_no_index_that_a_full_disk_kept_short),
        cmocka_unit_test(log_trusts_no_index_that_a_start_could_not_write),
        cmocka_unit_test(log_that_never_stored_its_point_closes_on_a_full_disk),
        cmocka_unit_test(
            log_says_that_indexes_are_short_though_a_point_was_under_way),
        cmocka_unit_test(
            log_drops_what_is_too_old_though_there_is_no_room_for_a_new_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
