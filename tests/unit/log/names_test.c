/* names_test.c */
#include "lib/fixture.h"
#include "log/names.h"

static void names_path_has_twenty_digits(void **state)
{
    char path[NAMES_PATH_BYTES];

    names_path(path, "/d/t-0", 42, NAMES_LOG);
    assert_string_equal(path, "/d/t-0/00000000000000000042.log");
    names_path(path, "/d", INT64_MAX, NAMES_INDEX);
    assert_string_equal(path, "/d/09223372036854775807.index");
}

static void
names_parse_takes_what_names_path_gives_and_nothing_else(void **state)
{
    static const char *const wrong[] = {
        "",
        "0.log",
        "0000000000000000004.log",
        "000000000000000000042.log",
        "00000000000000000042.lo",
        "00000000000000000042.log.deleted",
        "0000000000000000004x.log",
        "-0000000000000000042.log",
        "99999999999999999999.log",
        "09223372036854775808.log",
    };
    int64_t base = -1;

    assert_true(names_parse("00000000000000000042.log", NAMES_LOG, &base));
    assert_int_equal(base, 42);
    assert_true(names_parse("09223372036854775807.log", NAMES_LOG, &base));
    assert_true(base == INT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(names_parse(wrong[i], NAMES_LOG, &base));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_path_has_twenty_digits),
        cmocka_unit_test(
            names_parse_takes_what_names_path_gives_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
