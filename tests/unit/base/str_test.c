/* Borrowed text, and numbers in memory. */
#include "base/str.h"
#include "base/bytes.h"
#include "base/mem.h"

#include "lib/fixture.h"

static void null_and_empty_are_equal_to_themselves_only(void **state)
{
    assert_true(str_eq(STR_NULL, STR_NULL));
    assert_true(str_eq(STR_LIT(""), str_of("")));
    assert_false(str_eq(STR_NULL, STR_LIT("")));
    assert_true(str_eq(STR_LIT("ab"), str_sub("abc", 2)));
    assert_false(str_eq(STR_LIT("ab"), STR_LIT("ac")));
    assert_true(str_is_null(str_of(NULL)));
}

static void order_is_bytewise_and_a_prefix_comes_first(void **state)
{
    assert_true(str_cmp(STR_LIT("a"), STR_LIT("b")) < 0);
    assert_true(str_cmp(STR_LIT("ab"), STR_LIT("a")) > 0);
    assert_true(str_cmp(STR_LIT(""), STR_LIT("a")) < 0);
    assert_int_equal(str_cmp(STR_LIT("ab"), STR_LIT("ab")), 0);
    assert_true(str_cmp(STR_LIT("a"), STR_LIT("\xc3")) < 0);
}

static void a_copy_ends_with_a_nul_and_says_when_it_is_cut(void **state)
{
    char text[4];
    char *copy = str_dup(str_sub("abcdef", 3));

    assert_string_equal(copy, "abc");
    mem_free(copy);
    assert_null(str_dup(STR_NULL));
    assert_true(str_copy(STR_LIT("abc"), text, sizeof(text)));
    assert_string_equal(text, "abc");
    assert_false(str_copy(STR_LIT("wxyz"), text, sizeof(text)));
    assert_string_equal(text, "wxy");
    assert_false(str_copy(STR_LIT(""), text, 0));
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {"1 ", false, 0},
        {" 1", false, 0},
        {"1x", false, 0},
        {"--1", false, 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t value = 0;

        assert_int_equal(str_to_i64(str_of(cases[i].text), &value),
                         cases[i].ok);
        assert_true(value == cases[i].value);
    }
    assert_false(str_to_i64(STR_NULL, &(int64_t){0}));
}

static void distance_counts_edits_up_to_the_limit(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned limit, distance;
    } cases[] = {
        {"flush", "flush", 5, 0},
        {"flsh", "flush", 5, 1},
        {"flushh", "flush", 5, 1},
        {"kitten", "sitting", 5, 3},
        {"kitten", "sitting", 2, 2},
        {"", "abc", 5, 3},
        {"abc", "", 3, 3},
        {"abcdefgh", "a", 3, 3},
        {"a", "b", 0, 0},
        {"ab", "ba", 9, 2},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(str_distance(str_of(cases[i].a), str_of(cases[i].b),
                                      cases[i].limit),
                         cases[i].distance);
    }
}

static void numbers_in_memory_are_big_endian_at_any_alignment(void **state)
{
    uint8_t at[16] = {0};

    bytes_put_u64(at + 1, 0x0102030405060708);
    assert_memory_equal(at, "\0\1\2\3\4\5\6\7\10", 9);
    assert_true(bytes_get_u64(at + 1) == 0x0102030405060708);
    assert_int_equal(bytes_get_u32(at + 3), 0x03040506);
    assert_int_equal(bytes_get_u16(at + 5), 0x0506);
    bytes_put_i64(at + 3, -2);
    assert_true(bytes_get_i64(at + 3) == -2);
    bytes_put_i32(at, INT32_MIN);
    assert_int_equal(bytes_get_i32(at), INT32_MIN);
    bytes_put_i16(at, -1);
    assert_int_equal(bytes_get_i16(at), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_and_empty_are_equal_to_themselves_only),
        cmocka_unit_test(order_is_bytewise_and_a_prefix_comes_first),
        cmocka_unit_test(a_copy_ends_with_a_nul_and_says_when_it_is_cut),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(distance_counts_edits_up_to_the_limit),
        cmocka_unit_test(numbers_in_memory_are_big_endian_at_any_alignment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
