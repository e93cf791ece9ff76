/* recover_core_test.c - what recovery decides, as a transcript: segments and
 * the flushed point in, plans out. */
#include "lib/fixture.h"
#include "log/recover_core.h"
#include <stdio.h>
#include <string.h>

static const struct recover_segment segments[] = {
    {0, 1000}, {100, 1000}, {200, 600}};

/* "base index read sure" of each, in one text. */
static void plans(struct recover_point point, bool clean, char text[200])
{
    static const char *const names[] = {"trust", "check", "rebuild"};
    size_t at = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < 3; i++) {
        struct recover_plan plan;

        recover_plan(segments, 3, i, &point, clean, &plan);
        at += (size_t)snprintf(text + at, 200 - at, "%lld %s %s sure %llu\n",
                               (long long)segments[i].base, names[plan.index],
                               plan.read ? "read" : "-",
                               (unsigned long long)plan.sure);
    }
}

static void recover_reads_from_the_point_on(void **state)
{
    char text[200];

    plans((struct recover_point){150, 100, 500}, false, text);
    assert_string_equal(text, "0 trust - sure 1000\n"
                              "100 check read sure 500\n"
                              "200 rebuild read sure 0\n");
}

static void recover_reads_nothing_after_a_clean_stop(void **state)
{
    char text[200];

    plans((struct recover_point){250, 200, 600}, true, text);
    assert_string_equal(text, "0 trust - sure 1000\n"
                              "100 trust - sure 1000\n"
                              "200 trust - sure 600\n");
}

/* The marker says clean, the file says otherwise: the file is believed. */
static void recover_does_not_trust_a_marker_alone(void **state)
{
    char text[200];

    plans((struct recover_point){250, 200, 500}, true, text);
    assert_string_equal(text, "0 trust - sure 1000\n"
                              "100 trust - sure 1000\n"
                              "200 check read sure 500\n");
}

static void recover_reads_all_without_a_point(void **state)
{
    char text[200];

    plans((struct recover_point){-1, 0, 0}, true, text);
    assert_string_equal(text, "0 rebuild read sure 0\n"
                              "100 rebuild read sure 0\n"
                              "200 rebuild read sure 0\n");
}

/* The segment of the point is gone: the log's end must be looked for. */
static void recover_looks_for_the_end_below_a_missing_segment(void **state)
{
    char text[200];

    plans((struct recover_point){350, 300, 500}, false, text);
    assert_string_equal(text, "0 trust - sure 1000\n"
                              "100 trust - sure 1000\n"
                              "200 trust read sure 600\n");
}

static void recover_judges_by_the_point(void **state)
{
    struct recover_plan plan = {.sure = 500};
    struct recover_batch good = {100, true, 110, 112};
    struct recover_batch bad_below = {499, false, 0, 0};
    struct recover_batch bad_above = {500, false, 0, 0};
    struct recover_batch back = {600, true, 105, 106};

    assert_int_equal(recover_judge(&segments[1], &plan, 110, &good),
                     RECOVER_GOOD);
    assert_int_equal(recover_judge(&segments[1], &plan, 108, &good),
                     RECOVER_GOOD); /* a hole */
    assert_int_equal(recover_judge(&segments[1], &plan, 110, &bad_below),
                     RECOVER_DAMAGE);
    assert_int_equal(recover_judge(&segments[1], &plan, 110, &bad_above),
                     RECOVER_CUT);
    assert_int_equal(recover_judge(&segments[1], &plan, 110, &back),
                     RECOVER_CUT);
}

static void
recover_wants_segments_to_follow_each_other_above_the_point(void **state)
{
    struct recover_point point = {150, 100, 500};
    struct recover_point none = {-1, 0, 0};

    assert_true(recover_follows(segments, 1, &point, 77));
    assert_true(recover_follows(segments, 2, &point, 200));
    assert_false(recover_follows(segments, 2, &point, 199));
    assert_false(recover_follows(segments, 1, &none, 99));
}

static void recover_index_must_fit_its_segment(void **state)
{
    assert_true(recover_index_fits(5000, true, 1, 4999));
    assert_false(recover_index_fits(5000, true, 1, 5000));
    assert_false(recover_index_fits(5000, false, 0, 0));
    assert_true(recover_index_fits(0, false, 0, 0));
    assert_true(recover_index_fits(5000, true, 0, 0));
    assert_false(recover_index_fits(UINT64_C(1) << 30, true, 0, 0));
    assert_false(recover_index_fits(UINT64_C(1) << 30, true, 9, 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recover_reads_from_the_point_on),
        cmocka_unit_test(recover_reads_nothing_after_a_clean_stop),
        cmocka_unit_test(recover_does_not_trust_a_marker_alone),
        cmocka_unit_test(recover_reads_all_without_a_point),
        cmocka_unit_test(recover_looks_for_the_end_below_a_missing_segment),
        cmocka_unit_test(recover_judges_by_the_point),
        cmocka_unit_test(
            recover_wants_segments_to_follow_each_other_above_the_point),
        cmocka_unit_test(recover_index_must_fit_its_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
