/* wall_core_test.c - whom retention believes about the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cluster/wall_core.h"

static const int64_t MINUTE = 60000;
static const int64_t HOUR = 3600000;
static const int64_t START = 1800000000000;

/* What the clock says after so long, by both clocks. */
static int64_t look(struct wall_core *core, int64_t wall_ms, int64_t now_ms)
{
    return wall_core_look(core, wall_ms, now_ms);
}

static void a_clock_that_runs_is_believed(void **state)
{
    struct wall_core core;

    wall_core_init(&core, 0, START, 500);
    assert_int_equal(look(&core, START + HOUR, 500 + HOUR), START + HOUR);
    assert_int_equal(look(&core, START + 30 * HOUR, 500 + 30 * HOUR),
                     START + 30 * HOUR);
}

static void a_clock_that_goes_back_is_believed_at_once(void **state)
{
    struct wall_core core;

    wall_core_init(&core, 0, START, 0);
    assert_int_equal(look(&core, START - 48 * HOUR, MINUTE), START - 48 * HOUR);
}

static void a_jump_of_less_than_an_hour_is_believed(void **state)
{
    struct wall_core core;

    wall_core_init(&core, 0, START, 0);
    assert_int_equal(look(&core, START + 59 * MINUTE, 0), START + 59 * MINUTE);
}

static void a_jump_ahead_counts_after_ten_minutes_of_it(void **state)
{
    struct wall_core core;
    int64_t ahead = START + 1000 * HOUR;

    wall_core_init(&core, 0, START, 0);
    assert_int_equal(look(&core, ahead, MINUTE), START + MINUTE);
    assert_int_equal(look(&core, ahead + 9 * MINUTE, 10 * MINUTE),
                     START + 10 * MINUTE);
    assert_int_equal(look(&core, ahead + 10 * MINUTE, 11 * MINUTE),
                     ahead + 10 * MINUTE);
}

static void a_jump_that_is_taken_back_was_never_believed(void **state)
{
    struct wall_core core;
    int64_t ahead = START + 1000 * HOUR;

    wall_core_init(&core, 0, START, 0);
    assert_int_equal(look(&core, ahead, MINUTE), START + MINUTE);
    assert_int_equal(look(&core, START + 5 * MINUTE, 5 * MINUTE),
                     START + 5 * MINUTE);
    /* The ten minutes begin anew. */
    assert_int_equal(look(&core, ahead, 20 * MINUTE), START + 20 * MINUTE);
}

static void what_was_kept_protects_across_a_restart(void **state)
{
    struct wall_core core;

    wall_core_init(&core, START, START + 90 * 24 * HOUR, 0);
    assert_int_equal(look(&core, START + 90 * 24 * HOUR, 0), START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_runs_is_believed),
        cmocka_unit_test(a_clock_that_goes_back_is_believed_at_once),
        cmocka_unit_test(a_jump_of_less_than_an_hour_is_believed),
        cmocka_unit_test(a_jump_ahead_counts_after_ten_minutes_of_it),
        cmocka_unit_test(a_jump_that_is_taken_back_was_never_believed),
        cmocka_unit_test(what_was_kept_protects_across_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
