/* checked_test.c - stretches that join, and too many of them. */
#include "lib/fixture.h"
#include "log/checked.h"

static void checked_joins_what_touches(void **state)
{
    struct checked c;

    checked_init(&c);
    checked_add(&c, 10, 20);
    checked_add(&c, 30, 40);
    assert_true(checked_has(&c, 10, 20));
    assert_true(checked_has(&c, 12, 13));
    assert_false(checked_has(&c, 15, 31));
    checked_add(&c, 20, 30);
    assert_true(checked_has(&c, 10, 40));
    assert_int_equal(c.count, 1);
    checked_add(&c, 0, 5);
    checked_add(&c, 50, 60);
    assert_int_equal(c.count, 3);
    checked_add(&c, 3, 55);
    assert_true(checked_has(&c, 0, 60));
    assert_int_equal(c.count, 1);
    checked_fini(&c);
}

/* Against a plain array of bytes: never more than what was added. */
static void checked_never_says_yes_to_what_was_not_added(void **state)
{
    struct checked c;
    bool plain[1000] = {false};
    uint64_t random = 3;

    checked_init(&c);
    for (int i = 0; i < 3000; i++) {
        uint64_t from = fixture_random(&random) % 990;
        uint64_t to = from + fixture_random(&random) % 9;
        bool all = true;

        if (i % 3 == 0) {
            checked_add(&c, from, to);
            for (uint64_t at = from; at < to; at++) {
                plain[at] = true;
            }
        }
        for (uint64_t at = from; at < to; at++) {
            all = all && plain[at];
        }
        if (checked_has(&c, from, to)) {
            assert_true(all);
        }
        assert_true(c.count <= CHECKED_STRETCHES);
    }
    checked_fini(&c);
}

static void checked_forgets_the_shortest(void **state)
{
    struct checked c;

    checked_init(&c);
    for (uint64_t i = 0; i < CHECKED_STRETCHES; i++) {
        checked_add(&c, i * 100, i * 100 + 10 + i);
    }
    checked_add(&c, 99999, 99999 + 50);
    assert_false(checked_has(&c, 0, 10));
    assert_true(checked_has(&c, 100, 111));
    assert_true(checked_has(&c, 99999, 99999 + 50));
    checked_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checked_joins_what_touches),
        cmocka_unit_test(checked_never_says_yes_to_what_was_not_added),
        cmocka_unit_test(checked_forgets_the_shortest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
