/* retain_core_test.c - when to roll, what to delete. */
#include "lib/fixture.h"
#include "log/retain_core.h"

static struct retain_roll roll(void)
{
    return (struct retain_roll){.base = 100,
                                .bytes = 500,
                                .first_timestamp = 1000,
                                .created_ms = 0,
                                .index_bytes = 16,
                                .batch_bytes = 100,
                                .batch_last_offset = 200,
                                .batch_max_timestamp = 1500,
                                .wall_ms = 1500,
                                .segment_bytes = 1000,
                                .segment_ms = 1000,
                                .segment_index_bytes = 5000};
}

static void retain_rolls_by_size(void **state)
{
    struct retain_roll r = roll();

    assert_false(retain_must_roll(&r));
    r.batch_bytes = 500;
    assert_false(retain_must_roll(&r));
    r.batch_bytes = 501;
    assert_true(retain_must_roll(&r));
    r.bytes = 0;
    r.batch_bytes = 5000;
    assert_false(retain_must_roll(&r)); /* an empty one would not help */
}

static void
retain_rolls_by_the_batches_time_and_else_by_the_clocks(void **state)
{
    struct retain_roll r = roll();

    r.batch_max_timestamp = 2000;
    assert_false(retain_must_roll(&r));
    r.batch_max_timestamp = 2001;
    assert_true(retain_must_roll(&r));
    r.batch_max_timestamp = -1;
    assert_true(retain_must_roll(&r));
    r.created_ms = 500;
    assert_false(retain_must_roll(&r));
    r.batch_max_timestamp = 9000;
    assert_true(retain_must_roll(&r));
    r.first_timestamp = -1;
    assert_false(retain_must_roll(&r));
}

static void retain_rolls_when_an_index_is_full_or_offsets_run_out(void **state)
{
    struct retain_roll r = roll();

    r.index_bytes = 5000;
    assert_false(retain_must_roll(&r));
    r.index_bytes = 5001;
    assert_true(retain_must_roll(&r));
    r = roll();
    r.batch_last_offset = r.base + INT32_MAX;
    assert_false(retain_must_roll(&r));
    r.batch_last_offset++;
    assert_true(retain_must_roll(&r));
    r.bytes = 0;
    assert_true(retain_must_roll(&r));
}

/* Kafka takes an index of 4 bytes and an age of 1 ms. */
static void retain_makes_no_batch_a_segment(void **state)
{
    struct retain_roll r = roll();

    r.segment_index_bytes = 4;
    r.index_bytes = 4096;
    assert_false(retain_must_roll(&r));
    r.index_bytes = 4097;
    assert_true(retain_must_roll(&r));
    r = roll();
    r.segment_ms = 1;
    r.created_ms = r.wall_ms - 999;
    r.batch_max_timestamp = INT64_MAX;
    assert_false(retain_must_roll(&r));
    r.created_ms--;
    assert_true(retain_must_roll(&r));
    r.created_ms = r.wall_ms + 1; /* the clock was set back */
    assert_true(retain_must_roll(&r));
}

static struct retain_segment segments[] = {
    {.bytes = 100, .end_offset = 10, .max_timestamp = 1000},
    {.bytes = 100, .end_offset = 20, .max_timestamp = 2000},
    {.bytes = 100, .end_offset = 30, .max_timestamp = 3000},
};

static uint32_t count(struct retain_limits limits, int64_t wall_ms,
                      int64_t *next_ms)
{
    return retain_count(segments, 3, &limits, wall_ms, next_ms);
}

static struct retain_limits none(void)
{
    return (struct retain_limits){.retention_ms = -1,
                                  .retention_bytes = -1,
                                  .safe_end = 30,
                                  .retain = true};
}

static void retain_keeps_all_without_limits(void **state)
{
    int64_t next_ms;

    assert_int_equal(count(none(), 1000000, &next_ms), 0);
    assert_true(next_ms == INT64_MAX);
}

static void retain_deletes_by_time_and_tells_when_the_next_is_due(void **state)
{
    struct retain_limits l = none();
    int64_t next_ms;

    l.retention_ms = 500;
    assert_int_equal(count(l, 1500, &next_ms), 0);
    assert_int_equal(next_ms, 1);
    assert_int_equal(count(l, 1501, &next_ms), 1);
    assert_int_equal(next_ms, 1000);
    assert_int_equal(count(l, 9999, &next_ms), 3); /* the active one too */
    assert_true(next_ms == INT64_MAX);
    l.retention_ms = INT64_MAX;
    assert_int_equal(count(l, 9999, &next_ms), 0);
}

static void retain_deletes_by_size_what_the_rest_can_spare(void **state)
{
    struct retain_limits l = none();
    int64_t next_ms;

    l.retention_bytes = 201;
    assert_int_equal(count(l, 0, &next_ms), 0);
    l.retention_bytes = 200;
    assert_int_equal(count(l, 0, &next_ms), 1);
    l.retention_bytes = 0;
    assert_int_equal(count(l, 0, &next_ms), 2); /* never the active one */
}

static void retain_deletes_what_lies_below_the_start(void **state)
{
    struct retain_limits l = none();
    int64_t next_ms;

    l.retain = false;
    l.start_offset = 19;
    assert_int_equal(count(l, 0, &next_ms), 1);
    l.start_offset = 20;
    assert_int_equal(count(l, 0, &next_ms), 2);
    l.start_offset = 30;
    assert_int_equal(count(l, 0, &next_ms), 2);
}

static void retain_never_goes_above_the_safe_end(void **state)
{
    struct retain_limits l = none();
    int64_t next_ms;

    l.retention_ms = 0;
    l.safe_end = 19;
    assert_int_equal(count(l, 99999, &next_ms), 1);
    l.safe_end = 29;
    assert_int_equal(count(l, 99999, &next_ms), 2);
}

static void retain_obeys_a_policy_without_delete(void **state)
{
    struct retain_limits l = none();
    int64_t next_ms;

    l.retain = false;
    l.retention_ms = 0;
    l.retention_bytes = 0;
    assert_int_equal(count(l, 99999, &next_ms), 0);
}

/* A client may send any time, and a folder of Kafka's may have any; a hundred
 * years is how people say "for ever". */
static void retain_keeps_what_comes_from_the_far_future(void **state)
{
    static const int64_t days[] = {0, 7, 36500, 1000000000};
    const int64_t now = INT64_C(1800000001000);

    for (size_t i = 0; i < ARRAY_COUNT(days); i++) {
        for (int64_t back = 0; back < 3; back++) {
            struct retain_segment list[] = {
                {.bytes = 100,
                 .end_offset = 10,
                 .max_timestamp = INT64_MAX / (back + 1)},
                {.bytes = 100, .end_offset = 20, .max_timestamp = now}};
            struct retain_limits l = none();
            int64_t next_ms = 0;

            l.retention_ms = days[i] * 86400000;
            l.safe_end = 20;
            assert_int_equal(retain_count(list, 2, &l, now, &next_ms), 0);
            assert_true(next_ms > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retain_rolls_by_size),
        cmocka_unit_test(
            retain_rolls_by_the_batches_time_and_else_by_the_clocks),
        cmocka_unit_test(retain_rolls_when_an_index_is_full_or_offsets_run_out),
        cmocka_unit_test(retain_makes_no_batch_a_segment),
        cmocka_unit_test(retain_keeps_all_without_limits),
        cmocka_unit_test(retain_deletes_by_time_and_tells_when_the_next_is_due),
        cmocka_unit_test(retain_deletes_by_size_what_the_rest_can_spare),
        cmocka_unit_test(retain_deletes_what_lies_below_the_start),
        cmocka_unit_test(retain_never_goes_above_the_safe_end),
        cmocka_unit_test(retain_obeys_a_policy_without_delete),
        cmocka_unit_test(retain_keeps_what_comes_from_the_far_future),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
