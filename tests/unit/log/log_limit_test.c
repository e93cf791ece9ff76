/* log_limit_test.c - how much of a segment one answer gets. */
#include "unit/log/one_log.h"

enum { BATCHES = 400, LARGE_BYTES = 6000 };

static uint32_t read_bytes(struct one_log *one, int64_t offset,
                           uint32_t max_bytes, bool whole_first)
{
    struct log_range range;

    assert_int_equal(log_read(one->log, offset, max_bytes, whole_first, &range),
                     ERR_NONE);
    log_range_unpin(&range);
    return range.bytes;
}

/* Appends batches of one record; gives the size of each. */
static uint32_t fill(struct one_log *one, size_t value_bytes)
{
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(
            one_put(one,
                    (struct one_batch){.count = 1, .value_bytes = value_bytes}),
            i);
    }
    one_show(one);
    return read_bytes(one, 0, 1, true);
}

/* Every limit, for readers at the start, in the file of the index, in its
 * memory. */
static void log_read_leaves_out_a_large_batch_that_is_cut_off(void **state)
{
    static const int64_t offsets[] = {0, 1, 2, 77, 300, BATCHES - 8};
    struct one_log one;
    uint32_t each;

    (void)state;
    one_init(&one, 1);
    one_open(&one, false);
    each = fill(&one, LARGE_BYTES);
    assert_true(each > LARGE_BYTES);
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        for (uint32_t n = 2; n < 6; n++) {
            uint32_t max = n * each;

            assert_int_equal(read_bytes(&one, offsets[i], max, true), max);
            assert_int_equal(read_bytes(&one, offsets[i], max - 1, true),
                             max - each);
            assert_int_equal(read_bytes(&one, offsets[i], max + each / 2, true),
                             max);
        }
        assert_int_equal(read_bytes(&one, offsets[i], each - 1, true), each);
        assert_int_equal(read_bytes(&one, offsets[i], each - 1, false),
                         each - 1);
    }
    one_close(&one);
    one_fini(&one);
}

static void log_read_may_cut_off_a_small_batch(void **state)
{
    struct one_log one;
    uint32_t each;

    (void)state;
    one_init(&one, 2);
    one_open(&one, false);
    each = fill(&one, 100);
    for (uint32_t max = 2 * each; max < 100 * each; max += 333) {
        uint32_t bytes = read_bytes(&one, 5, max, true);

        assert_true(bytes <= max && bytes > max - each);
    }
    one_close(&one);
    one_fini(&one);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_read_leaves_out_a_large_batch_that_is_cut_off),
        cmocka_unit_test(log_read_may_cut_off_a_small_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
