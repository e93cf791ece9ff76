/* epochs_core_test.c - KIP-101's questions. */
#include "base/mem.h"
#include "lib/fixture.h"
#include "log/epochs_core.h"

static struct epochs three(void)
{
    struct epochs e = {0};

    assert_true(epochs_assign(&e, 1, 0));
    assert_true(epochs_assign(&e, 3, 10));
    assert_true(epochs_assign(&e, 4, 25));
    return e;
}

static void epochs_assign_takes_only_what_goes_up(void **state)
{
    struct epochs e = three();

    assert_false(epochs_assign(&e, 4, 30));
    assert_false(epochs_assign(&e, 2, 30));
    assert_false(epochs_assign(&e, -1, 30));
    assert_int_equal(epochs_last(&e), 4);
    epochs_fini(&e);
}

/* It was to begin there, and was cut before it did. */
static void epochs_assign_forgets_what_did_not_begin(void **state)
{
    struct epochs e = three();

    assert_true(epochs_assign(&e, 3, 25));
    assert_int_equal(epochs_last(&e), 3);
    assert_int_equal(e.count, 2);
    assert_true(epochs_assign(&e, 8, 30));
    assert_true(epochs_assign(&e, 7, 30));
    assert_int_equal(epochs_of(&e, 30), 7);
    assert_int_equal(e.count, 3);
    epochs_fini(&e);
}

static void epochs_for_never_go_back(void **state)
{
    struct epochs e = three();
    struct epochs none = {0};

    assert_int_equal(epochs_for(&e, 30, 4), 4);
    assert_int_equal(epochs_for(&e, 30, 5), 5);
    assert_int_equal(epochs_for(&e, 30, 2), 4);
    assert_int_equal(epochs_for(&e, 25, 3), 3); /* 4 has not begun */
    assert_int_equal(epochs_for(&e, 24, 4), 3);
    assert_int_equal(epochs_for(&none, 24, 4), 4);
    epochs_fini(&e);
}

static void epochs_judge_what_a_crash_left(void **state)
{
    static const struct {
        int64_t offset;
        int32_t epoch;
        enum epochs_verdict verdict;
    } table[] = {
        {5, 1, EPOCHS_FITS},   {5, -1, EPOCHS_FITS},  {10, 3, EPOCHS_FITS},
        {99, 4, EPOCHS_FITS},  {99, -1, EPOCHS_FITS}, {99, 5, EPOCHS_NEW},
        {25, 5, EPOCHS_NEW},   {25, 3, EPOCHS_NEW},   {25, 2, EPOCHS_WRONG},
        {26, 3, EPOCHS_WRONG}, {9, 3, EPOCHS_WRONG},  {9, 0, EPOCHS_WRONG},
        {9, 9, EPOCHS_WRONG},  {24, 4, EPOCHS_WRONG}, {99, INT32_MIN + 4, 2},
    };
    struct epochs e = three();
    struct epochs none = {0};

    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        assert_int_equal(epochs_judge(&e, table[i].offset, table[i].epoch),
                         table[i].verdict);
    }
    assert_true(epochs_cut_start(&e, 12));
    assert_int_equal(epochs_judge(&e, 11, 77), EPOCHS_FITS);
    assert_int_equal(epochs_judge(&none, 11, 0), EPOCHS_NEW);
    assert_int_equal(epochs_judge(&none, 11, -1), EPOCHS_FITS);
    assert_int_equal(epochs_judge(&none, 11, -5), EPOCHS_WRONG);
    epochs_fini(&e);
}

/* An epoch in which nothing was written leaves no trace. */
static void epochs_assign_replaces_what_is_empty(void **state)
{
    struct epochs e = three();

    assert_true(epochs_assign(&e, 7, 25));
    assert_int_equal(e.count, 3);
    assert_int_equal(epochs_of(&e, 25), 7);
    epochs_fini(&e);
}

static void epochs_of_finds_who_wrote(void **state)
{
    struct epochs e = three();

    assert_int_equal(epochs_of(&e, 0), 1);
    assert_int_equal(epochs_of(&e, 9), 1);
    assert_int_equal(epochs_of(&e, 10), 3);
    assert_int_equal(epochs_of(&e, 1000), 4);
    assert_int_equal(epochs_of(&e, -1), -1);
    epochs_fini(&e);
}

static void epochs_end_answers_as_kafka_does(void **state)
{
    static const struct {
        int32_t asked;
        int32_t found;
        int64_t end;
    } table[] = {
        {4, 4, 40}, {3, 3, 25},  {2, 1, 10},   {1, 1, 10},
        {0, 0, 0},  {5, -1, -1}, {-1, -1, -1},
    };
    struct epochs e = three();
    struct epochs none = {0};
    int32_t found;
    int64_t end;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        epochs_end(&e, table[i].asked, 40, &found, &end);
        assert_int_equal(found, table[i].found);
        assert_int_equal(end, table[i].end);
    }
    epochs_end(&none, 0, 40, &found, &end);
    assert_int_equal(found, -1);
    epochs_fini(&e);
}

static void epochs_cut_at_both_ends(void **state)
{
    struct epochs e = three();

    assert_false(epochs_cut_end(&e, 26));
    assert_true(epochs_cut_end(&e, 25));
    assert_int_equal(epochs_last(&e), 3);
    assert_true(epochs_cut_start(&e, 5));
    assert_int_equal(e.count, 2);
    assert_int_equal(e.entries[0].start_offset, 5);
    assert_false(epochs_cut_start(&e, 5));
    assert_true(epochs_cut_start(&e, 12));
    assert_int_equal(e.count, 1);
    assert_int_equal(epochs_of(&e, 12), 3);
    epochs_fini(&e);
}

static void epochs_text_is_kafkas(void **state)
{
    struct epochs e = three();
    struct epochs back = {0};
    size_t bytes = 0;
    char *text = epochs_encode(&e, &bytes);

    assert_int_equal(bytes, strlen("0\n3\n1 0\n3 10\n4 25\n"));
    assert_memory_equal(text, "0\n3\n1 0\n3 10\n4 25\n", bytes);
    assert_int_equal(epochs_decode(&back, str_sub(text, bytes)), ERR_NONE);
    assert_int_equal(back.count, 3);
    assert_int_equal(epochs_of(&back, 11), 3);
    mem_free(text);
    epochs_fini(&e);
    epochs_fini(&back);
}

static void epochs_decode_refuses_what_is_no_such_text(void **state)
{
    static const char *const wrong[] = {
        "",
        "1\n0\n",
        "0\n",
        "0\n-1\n",
        "0\n1\n",
        "0\n1\n1\n",
        "0\n1\n1 x\n",
        "0\n2\n2 0\n1 5\n",
        "0\n1\n1 -5\n",
        "0\n2\n1 5\n2 4\n",
        "0\n0\nmore\n",
        "0\n1\n1 0",
    };
    struct epochs e = three();

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(epochs_decode(&e, str_of(wrong[i])), ERR_CORRUPT);
        assert_int_equal(e.count, 3);
    }
    epochs_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_assign_takes_only_what_goes_up),
        cmocka_unit_test(epochs_assign_replaces_what_is_empty),
        cmocka_unit_test(epochs_assign_forgets_what_did_not_begin),
        cmocka_unit_test(epochs_for_never_go_back),
        cmocka_unit_test(epochs_judge_what_a_crash_left),
        cmocka_unit_test(epochs_of_finds_who_wrote),
        cmocka_unit_test(epochs_end_answers_as_kafka_does),
        cmocka_unit_test(epochs_cut_at_both_ends),
        cmocka_unit_test(epochs_text_is_kafkas),
        cmocka_unit_test(epochs_decode_refuses_what_is_no_such_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
