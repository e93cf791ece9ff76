/* log_test.c - a log from open to close: what is appended is there. */
#include "unit/log/one_log.h"

static void log_that_is_new_is_empty(void **state)
{
    struct one_log one;

    one_init(&one, 1);
    one_open(&one, false);
    assert_int_equal(log_start_offset(one.log), 0);
    assert_int_equal(log_end_offset(one.log), 0);
    assert_int_equal(log_flushed_end(one.log), 0);
    assert_int_equal(one.report.cut_from_offset, -1);
    assert_int_equal(one.report.damaged_offset, -1);
    one_close(&one);
    one_fini(&one);
}

static void log_gives_back_what_was_appended(void **state)
{
    struct one_log one;

    one_init(&one, 2);
    one_open(&one, false);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 3}), 0);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 2}), 3);
    assert_int_equal(log_end_offset(one.log), 5);
    assert_int_equal(log_visible_end(one.log), 0);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1 << 20), 5);
    assert_int_equal(one_count(&one, 4, 1 << 20), 2);
    one_close(&one);
    one_fini(&one);
}

static void log_opens_clean_without_reading_a_segment(void **state)
{
    struct one_log one;

    one_init(&one, 3);
    one_open(&one, false);
    for (int i = 0; i < 50; i++) {
        (void)one_put(&one,
                      (struct one_batch){.count = 10, .value_bytes = 300});
    }
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.scanned_bytes, 0);
    assert_int_equal(one.report.end_offset, 500);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 5000), 500);
    assert_int_equal(one_count(&one, 333, 5000), 170);
    one_close(&one);
    one_fini(&one);
}

static void log_keeps_what_was_flushed_when_all_else_is_lost(void **state)
{
    struct one_log one;

    one_init(&one, 4);
    one.config.segment_bytes = 4000;
    one_open(&one, false);
    for (int i = 0; i < 30; i++) {
        (void)one_put(&one,
                      (struct one_batch){.count = 10, .value_bytes = 100});
    }
    (void)one_append(&one, (struct one_batch){.count = 10});
    one_kill(&one);
    simdisk_crash_losing_all(one.sim);
    one_open(&one, false);
    assert_int_equal(one.report.end_offset, 300);
    assert_int_equal(one.report.damaged_offset, -1);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1000), 300);
    one_close(&one);
    one_fini(&one);
}

static void log_truncates_and_goes_on(void **state)
{
    struct one_log one;

    one_init(&one, 5);
    one.config.segment_bytes = 4000;
    one_open(&one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(&one,
                      (struct one_batch){.count = 10, .value_bytes = 100});
    }
    one_show(&one);
    assert_int_equal(log_truncate(one.log, 70, NULL), ERR_NONE);
    assert_int_equal(log_end_offset(one.log), 70);
    assert_int_equal(log_visible_end(one.log), 70);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 1}), 70);
    one_show(&one);
    assert_int_equal(one_count(&one, 0, 1000), 71);
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(one.report.end_offset, 71);
    one_close(&one);
    one_fini(&one);
}

/* Nor is anything written for it: an empty partition costs a start no sync. */
static void log_keeps_an_epoch_that_has_no_batch_yet(void **state)
{
    struct one_log one;

    one_init(&one, 11);
    one_open(&one, false);
    assert_int_equal(log_begin_epoch(one.log, 7, NULL), ERR_NONE);
    one_close(&one);
    one_open(&one, true);
    assert_int_equal(log_last_epoch(one.log), 7);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 3}), 0);
    assert_int_equal(log_begin_epoch(one.log, 8, NULL), ERR_NONE);
    /* One that no batch stands behind may be forgotten by a crash ... */
    one_kill(&one);
    one_open(&one, false);
    assert_true(log_last_epoch(one.log) >= 7);
    /* ... but none that has a batch on disk. */
    assert_int_equal(log_begin_epoch(one.log, 9, NULL), ERR_NONE);
    assert_int_equal(one_put(&one, (struct one_batch){.count = 3}), 3);
    one_kill(&one);
    simdisk_crash_losing_all(one.sim);
    one_open(&one, false);
    assert_int_equal(log_last_epoch(one.log), 9);
    assert_int_equal(log_epoch_of(one.log, 3), 9);
    assert_int_equal(log_epoch_of(one.log, 2), 7);
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_that_is_new_is_empty),
        cmocka_unit_test(log_gives_back_what_was_appended),
        cmocka_unit_test(log_opens_clean_without_reading_a_segment),
        cmocka_unit_test(log_keeps_what_was_flushed_when_all_else_is_lost),
        cmocka_unit_test(log_truncates_and_goes_on),
        cmocka_unit_test(log_keeps_an_epoch_that_has_no_batch_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
