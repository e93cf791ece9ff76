/* log_read_test.c - ranges and searches. */
#include "unit/log/one_log.h"

static void fill(struct one_log *one, uint64_t seed, int batches)
{
    one_init(one, seed);
    one->config.segment_bytes = 5000;
    one->config.index_interval_bytes = 300;
    one_open(one, false);
    for (int i = 0; i < batches; i++) {
        (void)one_put(one, (struct one_batch){.count = 3,
                                              .timestamp = 1000 + i * 100,
                                              .value_bytes = 100});
    }
    one_show(one);
}

/* The batch that holds the offset comes first, and its bytes are whole. */
static void log_reads_from_every_offset(void **state)
{
    struct one_log one;

    fill(&one, 1, 60);
    for (int64_t o = 0; o < 180; o++) {
        struct log_range range;
        struct batch_header h;
        uint8_t *bytes;

        assert_int_equal(log_read(one.log, o, 1, true, &range), ERR_NONE);
        bytes = mem_alloc(range.bytes);
        assert_int_equal(log_range_read(&range, bytes, NULL), ERR_NONE);
        assert_int_equal(batch_parse(bytes, range.bytes, &h), ERR_NONE);
        assert_int_equal(h.bytes, range.bytes);
        assert_int_equal(h.base_offset, o - o % 3);
        log_range_unpin(&range);
        mem_free(bytes);
        assert_int_equal(one_count(&one, o, 3000), 180 - h.base_offset);
    }
    one_close(&one);
    one_fini(&one);
}

static void log_read_obeys_its_limits(void **state)
{
    struct one_log one;
    struct log_range range;

    fill(&one, 2, 10);
    assert_int_equal(log_read(one.log, 30, 1000, true, &range), ERR_NONE);
    assert_int_equal(range.bytes, 0);
    assert_int_equal(log_read(one.log, 31, 1000, true, &range),
                     ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_read(one.log, -1, 1000, true, &range),
                     ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_read(one.log, 0, 0, false, &range), ERR_NONE);
    assert_int_equal(range.bytes, 0);
    assert_int_equal(log_read(one.log, 0, 100, false, &range), ERR_NONE);
    assert_int_equal(range.bytes, 100); /* a piece: the client copes */
    log_range_unpin(&range);
    assert_int_equal(log_read(one.log, 0, UINT32_MAX, false, &range), ERR_NONE);
    assert_true(range.bytes <= 5000); /* a segment's end ends it */
    log_range_unpin(&range);
    one_close(&one);
    one_fini(&one);
}

static void log_read_ends_at_the_visible_end(void **state)
{
    struct one_log one;

    one_init(&one, 3);
    one.config.segment_bytes = 5000;
    one_open(&one, false);
    for (int i = 0; i < 20; i++) {
        (void)one_put(&one, (struct one_batch){.count = 3, .value_bytes = 100});
    }
    for (int64_t visible = 0; visible <= 60; visible++) {
        struct log_range range;

        log_set_visible_end(one.log, visible);
        assert_int_equal(log_visible_end(one.log), visible);
        assert_int_equal(one_count(&one, 0, 3000), visible - visible % 3);
        assert_int_equal(log_read(one.log, visible + 1, 1, true, &range),
                         ERR_OFFSET_OUT_OF_RANGE);
    }
    log_set_visible_end(one.log, 10); /* does not go back */
    assert_int_equal(log_visible_end(one.log), 60);
    one_close(&one);
    one_fini(&one);
}

static void log_counts_what_is_readable(void **state)
{
    struct one_log one;
    uint64_t all;

    fill(&one, 4, 40);
    all = log_bytes(one.log);
    assert_int_equal(log_readable_bytes(one.log, 0, UINT64_MAX), all);
    assert_int_equal(log_readable_bytes(one.log, 0, 100), 100);
    assert_int_equal(log_readable_bytes(one.log, 120, 100), 0);
    assert_int_equal(log_readable_bytes(one.log, 500, 100), 0);
    assert_int_equal(log_readable_bytes(one.log, 117, UINT64_MAX), all / 40);
    one_close(&one);
    one_fini(&one);
}

static void log_finds_times(void **state)
{
    struct one_log one;
    struct log_found found;

    fill(&one, 5, 60); /* records at 1000, 1001, 1002, 1100, ... */
    for (int64_t t = 900; t < 7000; t += 7) {
        int64_t batch = t <= 1000 ? 0 : (t - 1000) / 100;
        int64_t in = t <= 1000 ? 0 : (t - 1000) % 100;
        int64_t expected = in > 2 ? (batch + 1) * 3 : batch * 3 + in;

        assert_int_equal(log_find_time(one.log, t, &found, NULL), ERR_NONE);
        if (expected >= 180) {
            assert_int_equal(found.offset, -1);
            continue;
        }
        assert_int_equal(found.offset, expected);
        assert_int_equal(found.timestamp_ms,
                         1000 + expected / 3 * 100 + expected % 3);
        assert_int_equal(found.leader_epoch, 0);
    }
    assert_int_equal(log_find_max_timestamp(one.log, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, 179);
    assert_int_equal(found.timestamp_ms, 6902);
    one_close(&one);
    one_fini(&one);
}

static void log_finds_only_what_is_visible_and_not_deleted(void **state)
{
    struct one_log one;
    struct log_found found;

    one_init(&one, 6);
    one.config.segment_bytes = 5000;
    one_open(&one, false);
    assert_int_equal(log_find_time(one.log, 0, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, -1);
    assert_int_equal(log_find_max_timestamp(one.log, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, -1);
    for (int i = 0; i < 20; i++) {
        (void)one_put(&one, (struct one_batch){.count = 3,
                                               .timestamp = 5000 - i * 100,
                                               .value_bytes = 100});
    }
    assert_int_equal(log_find_time(one.log, 0, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, -1);
    log_set_visible_end(one.log, 30);
    assert_int_equal(log_find_max_timestamp(one.log, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, 2);
    assert_int_equal(one_raise_start(&one, 4), ERR_NONE);
    assert_int_equal(log_find_time(one.log, 0, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, 4);
    assert_int_equal(log_find_time(one.log, 5002, &found, NULL), ERR_NONE);
    assert_int_equal(found.offset, -1);
    one_close(&one);
    one_fini(&one);
}

/* After a restart indexes come from files; handles come and go. */
static void
log_reads_alike_after_a_restart_and_when_files_were_closed(void **state)
{
    struct one_log one;

    fill(&one, 7, 60);
    one_close(&one);
    one_open(&one, true);
    one_show(&one);
    for (int i = 0; i < 4; i++) {
        struct log_found found;

        assert_int_equal(one_count(&one, 0, 1500), 180);
        assert_int_equal(one_count(&one, 77, 1500), 105);
        assert_int_equal(log_find_time(one.log, 3000, &found, NULL), ERR_NONE);
        assert_int_equal(found.offset, 60);
        (void)log_retain(one.log, 0);
        if (i % 2 == 1) {
            (void)log_retain(one.log, 0); /* twice untouched: closed */
        }
        simclock_run_for_ms(&one.clock, 100);
    }
    one_close(&one);
    one_fini(&one);
}

/* More than the ring of index entries holds, and far more than a block. */
static void log_reads_by_a_long_index(void **state)
{
    struct one_log one;

    one_init(&one, 8);
    one.config.index_interval_bytes = 1;
    one.config.flush_commit = false;
    one_open(&one, false);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(
            one_append(&one, (struct one_batch){.count = 1, .timestamp = i})
                ->err,
            ERR_NONE);
    }
    one_show(&one);
    for (int64_t o = 0; o < 3000; o += 13) {
        struct log_range range;
        struct log_found found;

        assert_int_equal(log_read(one.log, o, 1, true, &range), ERR_NONE);
        assert_int_equal(range.position, (uint64_t)o * range.bytes);
        log_range_unpin(&range);
        assert_int_equal(log_find_time(one.log, o, &found, NULL), ERR_NONE);
        assert_int_equal(found.offset, o);
    }
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_reads_from_every_offset),
        cmocka_unit_test(log_read_obeys_its_limits),
        cmocka_unit_test(log_read_ends_at_the_visible_end),
        cmocka_unit_test(log_counts_what_is_readable),
        cmocka_unit_test(log_finds_times),
        cmocka_unit_test(log_finds_only_what_is_visible_and_not_deleted),
        cmocka_unit_test(
            log_reads_alike_after_a_restart_and_when_files_were_closed),
        cmocka_unit_test(log_reads_by_a_long_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
