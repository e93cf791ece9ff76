/* log_cut_test.c - truncation, the start, retention, removal. */
#include "log/names.h"
#include "lib/fault.h"
#include "unit/log/one_log.h"

/* Segments of two batches of 10 records each, from 1000 ms on, 100 ms apart. */
static void fill(struct one_log *one, uint64_t seed, int batches)
{
    one_init(one, seed);
    one->config.segment_bytes = 3000;
    one->config.index_interval_bytes = 500;
    one_open(one, false);
    for (int i = 0; i < batches; i++) {
        (void)one_put(one, (struct one_batch){.count = 10,
                                              .timestamp = 1000 + i * 100,
                                              .value_bytes = 120});
    }
    one_show(one);
}

static void log_truncates_at_every_offset(void **state)
{
    for (int64_t to = 0; to <= 70; to += 3) {
        struct one_log one;
        int64_t end = to - to % 10;

        fill(&one, 1, 6);
        assert_int_equal(log_truncate(one.log, to, NULL), ERR_NONE);
        end = to >= 60 ? 60 : end;
        assert_int_equal(log_end_offset(one.log), end);
        assert_true(log_visible_end(one.log) <= end);
        assert_true(log_flushed_end(one.log) <= end);
        assert_int_equal(one_count(&one, 0, 2000), end);
        /* Durable at once. */
        one_kill(&one);
        simdisk_crash_losing_all(one.sim);
        one_open(&one, false);
        assert_int_equal(one.report.end_offset, end);
        assert_int_equal(one.report.damaged_offset, -1);
        assert_int_equal(one_put(&one, (struct one_batch){.count = 2}), end);
        one_show(&one);
        assert_int_equal(one_count(&one, 0, 2000), end + 2);
        one_close(&one);
        one_fini(&one);
    }
}

static void log_truncation_takes_producers_back(void **state)
{
    struct one_log one;
    struct one_batch it = {.count = 5, .producer_id = 8};

    one_init(&one, 2);
    one_open(&one, false);
    for (int i = 0; i < 4; i++) {
        it.sequence = i * 5;
        (void)one_put(&one, it);
    }
    assert_int_equal(log_truncate(one.log, 10, NULL), ERR_NONE);
    it.sequence = 15;
    assert_int_equal(one_append(&one, it)->err,
                     ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    it.sequence = 10;
    assert_false(one_append(&one, it)->append.duplicate);
    it.sequence = 5;
    assert_int_equal(one_append(&one, it)->append.base_offset, 5);
    one_close(&one);
    one_fini(&one);
}

static void log_truncation_cancels_what_is_queued(void **state)
{
    struct one_log one;
    struct one_append *a;
    int64_t base;

    fill(&one, 3, 2);
    base = log_reserve(one.log, 2);
    assert_int_equal(base, 20);
    a = one_append(&one, (struct one_batch){.count = 1});
    assert_false(a->done);
    assert_int_equal(log_truncate(one.log, 10, NULL), ERR_NONE);
    one_settle(&one);
    assert_true(a->done);
    assert_int_equal(a->err, ERR_CANCELLED);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 10);
    one_close(&one);
    one_fini(&one);
}

static void log_epochs_follow_the_log(void **state)
{
    struct one_log one;
    int32_t epoch;
    int64_t end;

    one_init(&one, 4);
    one_open(&one, false);
    assert_int_equal(log_last_epoch(one.log), -1);
    assert_int_equal(log_begin_epoch(one.log, 3, NULL), ERR_NONE);
    (void)one_put(&one, (struct one_batch){.count = 10});
    assert_int_equal(log_begin_epoch(one.log, 5, NULL), ERR_NONE);
    (void)one_put(&one, (struct one_batch){.count = 10});
    one_kill(&one);
    simdisk_crash_losing_all(one.sim);
    one_open(&one, false);
    assert_int_equal(log_last_epoch(one.log), 5);
    log_epoch_end(one.log, 4, &epoch, &end);
    assert_int_equal(epoch, 3);
    assert_int_equal(end, 10);
    assert_int_equal(log_epoch_of(one.log, 9), 3);
    assert_int_equal(log_truncate(one.log, 10, NULL), ERR_NONE);
    assert_int_equal(log_last_epoch(one.log), 3);
    one_close(&one);
    one_fini(&one);
}

static void log_restarts_elsewhere(void **state)
{
    static const int64_t offsets[] = {1000, 0, 40};

    for (size_t i = 0; i < 3; i++) {
        struct one_log one;

        fill(&one, 5, 6);
        assert_int_equal(log_restart_at(one.log, offsets[i], NULL), ERR_NONE);
        assert_int_equal(log_start_offset(one.log), offsets[i]);
        assert_int_equal(log_end_offset(one.log), offsets[i]);
        assert_int_equal(log_visible_end(one.log), offsets[i]);
        assert_int_equal(one_put(&one, (struct one_batch){.count = 3}),
                         offsets[i]);
        one_kill(&one);
        simdisk_crash_losing_all(one.sim);
        one_open(&one, false);
        assert_int_equal(one.report.start_offset, offsets[i]);
        assert_int_equal(one.report.end_offset, offsets[i] + 3);
        one_show(&one);
        assert_int_equal(one_count(&one, offsets[i], 2000), 3);
        one_close(&one);
        one_fini(&one);
    }
}

static void log_start_is_raised_durably(void **state)
{
    struct one_log one;
    struct log_range range;

    fill(&one, 6, 6);
    assert_int_equal(one_raise_start(&one, 35), ERR_NONE);
    assert_int_equal(log_start_offset(one.log), 35);
    assert_int_equal(log_read(one.log, 34, 1000, true, &range),
                     ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(one_raise_start(&one, 20), ERR_NONE);
    assert_int_equal(log_start_offset(one.log), 35);
    assert_int_equal(one_raise_start(&one, 61), ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(one_count(&one, 35, 2000), 30); /* the whole batch */
    /* The first segment is gone, and after a while its bytes are. */
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.log"), -1);
    assert_true(one_file_bytes(&one, "00000000000000000000.log.deleted") > 0);
    simclock_run_for_ms(&one.clock, 1000);
    assert_int_equal(one_file_bytes(&one, "00000000000000000000.log.deleted"),
                     -1);
    one_kill(&one);
    simdisk_crash_losing_all(one.sim);
    one_open(&one, false);
    assert_int_equal(one.report.start_offset, 35);
    assert_int_equal(one.report.end_offset, 60);
    one_close(&one);
    one_fini(&one);
}

static void log_retains_by_size(void **state)
{
    struct one_log one;

    fill(&one, 7, 20);
    one.config.retention_bytes = 10000;
    log_configure(one.log, &one.config);
    (void)log_retain(one.log, 2000);
    assert_true(log_bytes(one.log) >= 10000);
    assert_true(log_bytes(one.log) < 13000);
    assert_true(log_start_offset(one.log) > 0);
    assert_int_equal(one_count(&one, log_start_offset(one.log), 2000),
                     200 - log_start_offset(one.log));
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.damaged_offset, -1);
    assert_int_equal(one.report.end_offset, 200);
    one_close(&one);
    one_fini(&one);
}

static void log_retains_by_time_and_tells_when_to_come_back(void **state)
{
    struct one_log one;

    fill(&one, 8, 6); /* the batches' times: 1009 to 1509 */
    one.config.retention_ms = 1000;
    log_configure(one.log, &one.config);
    assert_int_equal(log_retain(one.log, 2100), 2109 - 2100 + 1);
    assert_int_equal(log_start_offset(one.log), 0);
    assert_int_equal(log_retain(one.log, 2110), 200);
    assert_int_equal(log_start_offset(one.log), 20);
    /* All of it, the active one as well. */
    assert_true(log_retain(one.log, 99999) == INT64_MAX);
    assert_int_equal(log_start_offset(one.log), 60);
    assert_int_equal(log_end_offset(one.log), 60);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 60);
    one_close(&one);
    one_fini(&one);
}

static void log_retains_nothing_that_is_not_visible(void **state)
{
    struct one_log one;

    one_init(&one, 9);
    one.config.segment_bytes = 3000;
    one.config.retention_ms = 0;
    one_open(&one, false);
    for (int i = 0; i < 6; i++) {
        (void)one_put(&one,
                      (struct one_batch){.count = 10, .value_bytes = 120});
    }
    (void)log_retain(one.log, 99999);
    assert_int_equal(log_start_offset(one.log), 0);
    log_set_visible_end(one.log, 25);
    (void)log_retain(one.log, 99999);
    assert_int_equal(log_start_offset(one.log), 20);
    one_close(&one);
    one_fini(&one);
}

/* Without timestamps the file's own time counts. */
static void log_retains_by_the_files_time_when_batches_have_none(void **state)
{
    struct one_log one;

    one_init(&one, 10);
    one.config.segment_bytes = 3000;
    one.config.retention_ms = 1000;
    simdisk_wall_ms(one.sim, 50000);
    one_open(&one, false);
    for (int i = 0; i < 6; i++) {
        (void)one_put(&one, (struct one_batch){.count = 1,
                                               .timestamp = -1,
                                               .value_bytes = 1200});
    }
    one_show(&one);
    (void)log_retain(one.log, 51000);
    assert_int_equal(log_start_offset(one.log), 0);
    (void)log_retain(one.log, 51001);
    assert_int_equal(log_start_offset(one.log), 6);
    one_close(&one);
    one_fini(&one);
}

/* A range that a reader holds outlives the segment. */
static void log_range_outlives_retention(void **state)
{
    struct one_log one;
    struct log_range range;
    uint8_t *bytes;
    struct batch_header h;

    fill(&one, 11, 6);
    assert_int_equal(log_read(one.log, 0, 5000, true, &range), ERR_NONE);
    assert_int_equal(one_raise_start(&one, 60), ERR_NONE);
    simclock_run_for_ms(&one.clock, 5000);
    bytes = mem_alloc(range.bytes);
    assert_int_equal(log_range_read(&range, bytes, NULL), ERR_NONE);
    assert_int_equal(batch_parse(bytes, range.bytes, &h), ERR_NONE);
    log_range_unpin(&range);
    mem_free(bytes);
    one_close(&one);
    one_fini(&one);
}

static void do_remove(void *arg)
{
    struct one_log *one = arg;

    log_remove(one->log, one_closed, one);
}

static void count_name(void *arg, const char *name, bool is_folder)
{
    ++*(int *)arg;
}

static void log_that_is_removed_leaves_nothing(void **state)
{
    struct one_log one;
    int names = 0;

    fill(&one, 12, 6);
    log_pin(one.log);
    simenv_run(one.simenv, do_remove, &one);
    simclock_run_for_ms(&one.clock, 1000);
    assert_false(one.closed); /* somebody still reads */
    log_unpin(one.log);
    assert_true(simclock_run_until_set(&one.clock, &one.closed, 10000));
    assert_int_equal(disk_list(one.disk, "/log", count_name, &names, NULL),
                     ERR_NONE);
    assert_int_equal(names, 0);
    one_fini(&one);
}

/* Its name cannot be taken away: for a while, or for good. */
static void log_that_is_removed_tries_again(void **state)
{
    for (int for_good = 0; for_good < 2; for_good++) {
        struct one_log one;
        struct fault fault;
        int names = 0;

        one_init(&one, 14);
        fault_init(&fault, simdisk_disk(one.sim));
        fault.kinds = FAULT_NAMES;
        fault.for_good = for_good == 1;
        one.disk = &fault.disk;
        simenv_close(one.simenv);
        one.simenv = simenv_open(&one.clock, one.disk);
        one_open(&one, false);
        (void)one_put(&one, (struct one_batch){.count = 1});
        fault_arm(&fault, 1);
        simenv_run(one.simenv, do_remove, &one);
        assert_true(simclock_run_until_set(&one.clock, &one.closed, 10000));
        assert_int_equal(fault.failed, for_good == 1 ? 5 : 1);
        fault_heal(&fault);
        assert_int_equal(disk_list(one.disk, "/log", count_name, &names, NULL),
                         ERR_NONE);
        assert_int_equal(names, for_good);
        one_fini(&one);
    }
}

static void log_sweep_removes_what_a_crash_left(void **state)
{
    struct one_log one;
    int names = 0;

    fill(&one, 13, 6);
    one_close(&one);
    assert_int_equal(
        disk_rename(one.disk, ONE_FOLDER, "/log/orders-3.abc-delete", NULL),
        ERR_NONE);
    assert_int_equal(log_sweep(one.disk, "/log", NULL), ERR_NONE);
    assert_int_equal(disk_list(one.disk, "/log", count_name, &names, NULL),
                     ERR_NONE);
    assert_int_equal(names, 0);
    assert_int_equal(log_sweep(one.disk, "/nowhere", NULL), ERR_NOT_FOUND);
    one_fini(&one);
}

/* What the sync in flight makes known is of a log that is no more. */
static void log_restarts_ahead_of_a_sync_in_flight(void **state)
{
    static const int64_t ahead[] = {0, 1, 1000};

    for (size_t i = 0; i < ARRAY_COUNT(ahead); i++) {
        struct one_log one;
        struct one_append *last;
        int64_t at;

        fill(&one, 15, 6);
        one_settle(&one);
        last = one_append(&one, (struct one_batch){.count = 3});
        assert_true(last->done);
        at = log_end_offset(one.log) + ahead[i];
        assert_true(log_flushed_end(one.log) < log_end_offset(one.log));
        assert_int_equal(log_restart_at(one.log, at, NULL), ERR_NONE);
        for (int step = 0; step < 50; step++) {
            assert_int_equal(log_flushed_end(one.log), at);
            (void)simclock_step(&one.clock);
        }
        assert_int_equal(one_put(&one, (struct one_batch){.count = 2}), at);
        one_kill(&one);
        simdisk_crash_losing_all(one.sim);
        one_open(&one, false);
        assert_int_equal(one.report.end_offset, at + 2);
        assert_int_equal(one.report.damaged_offset, -1);
        one_close(&one);
        one_fini(&one);
    }
}

/* A loop has others to serve. */
static void log_retains_many_segments_in_some_turns(void **state)
{
    struct one_log one;
    int turns = 1;

    one_init(&one, 16);
    one.config.segment_bytes = 200; /* a batch */
    one.config.retention_bytes = 0;
    one_open(&one, false);
    for (int i = 0; i < 300; i++) {
        (void)one_put(&one, (struct one_batch){.count = 1, .value_bytes = 100});
    }
    one_show(&one);
    for (; log_retain(one.log, 1) == 0; turns++) {
        assert_int_equal(log_start_offset(one.log), turns * 64);
    }
    assert_int_equal(turns, 5);
    assert_int_equal(log_start_offset(one.log), 299);
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.start_offset, 299);
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_truncates_at_every_offset),
        cmocka_unit_test(log_truncation_takes_producers_back),
        cmocka_unit_test(log_truncation_cancels_what_is_queued),
        cmocka_unit_test(log_epochs_follow_the_log),
        cmocka_unit_test(log_restarts_elsewhere),
        cmocka_unit_test(log_restarts_ahead_of_a_sync_in_flight),
        cmocka_unit_test(log_start_is_raised_durably),
        cmocka_unit_test(log_retains_by_size),
        cmocka_unit_test(log_retains_many_segments_in_some_turns),
        cmocka_unit_test(log_retains_by_time_and_tells_when_to_come_back),
        cmocka_unit_test(log_retains_nothing_that_is_not_visible),
        cmocka_unit_test(log_retains_by_the_files_time_when_batches_have_none),
        cmocka_unit_test(log_range_outlives_retention),
        cmocka_unit_test(log_that_is_removed_leaves_nothing),
        cmocka_unit_test(log_that_is_removed_tries_again),
        cmocka_unit_test(log_sweep_removes_what_a_crash_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
