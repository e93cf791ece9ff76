/* Tables and JSON; places in a topic; the strategy "range". */
#include "cli/assign.h"
#include "cli/place.h"
#include "cli/print.h"

#include "lib/fixture.h"
#include <stdlib.h>
#include <string.h>

static char *printed;
static size_t printed_bytes;
static FILE *out;

static int setup(void **state)
{
    out = open_memstream(&printed, &printed_bytes);
    return out == NULL;
}

static int teardown(void **state)
{
    fclose(out);
    free(printed);
    return 0;
}

static const char *text(void)
{
    fflush(out);
    return printed;
}

static void columns_are_as_wide_as_they_must_be(void **state)
{
    struct arena arena = {0};
    struct print_table table = {
        .arena = &arena, .titles = {"NAME", "COUNT", "MORE"}, .columns = 3};
    struct str first[] = {STR_LIT("a-long-name"), STR_LIT("7"), STR_LIT("x")};
    struct str second[] = {STR_LIT("\xc3\xa4"), STR_LIT("1,234,567"),
                           STR_LIT("12")};

    print_table_add(&table, first);
    print_table_add(&table, second);
    print_table_out(&table, out);
    assert_string_equal(text(), "NAME             COUNT  MORE\n"
                                "a-long-name          7  x\n"
                                "\xc3\xa4            1,234,567  12\n");
    arena_reset(&arena);
}

static void a_table_without_rows_is_its_titles(void **state)
{
    struct arena arena = {0};
    struct print_table table = {
        .arena = &arena, .titles = {"A", "B"}, .columns = 2};

    print_table_out(&table, out);
    assert_string_equal(text(), "A  B\n");
    arena_reset(&arena);
}

static void json_escapes_what_it_must_and_never_breaks(void **state)
{
    print_json_text(out, STR_LIT("a\"b\\c\n\t\x01\x7f\xc3\xa4"));
    print_json_text(out, STR_NULL);
    print_json_text(out, STR_LIT("\xff\xc0\x80\xed\xa0\x80"));
    assert_string_equal(text(), "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\xc3\xa4\""
                                "null\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
                                "\\ufffd\"");
}

static void bytes_that_are_no_text_become_base64(void **state)
{
    print_json_bytes(out, "key", STR_LIT("k"));
    print_json_bytes(out, "a", STR_LIT("\xff"));
    print_json_bytes(out, "b", STR_LIT("\xff\xfe"));
    print_json_bytes(out, "c", STR_LIT("\xff\xfe\x00"));
    print_json_bytes(out, "d", STR_NULL);
    assert_string_equal(text(), "\"key\":\"k\"\"a_base64\":\"/w==\""
                                "\"b_base64\":\"//4=\"\"c_base64\":\"//4A\""
                                "\"d\":null");
}

static void numbers_are_grouped(void **state)
{
    struct arena arena = {0};

    assert_string_equal(print_number(&arena, 0).ptr, "0");
    assert_string_equal(print_number(&arena, 999).ptr, "999");
    assert_string_equal(print_number(&arena, 1000).ptr, "1,000");
    assert_string_equal(print_number(&arena, 1234567).ptr, "1,234,567");
    assert_string_equal(print_number(&arena, -123456).ptr, "-123,456");
    arena_reset(&arena);
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    assert_true(print_is_utf8(STR_LIT("")));
    assert_true(
        print_is_utf8(STR_LIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x8a")));
    assert_false(print_is_utf8(STR_LIT("\xc3")));
    assert_false(print_is_utf8(STR_LIT("\xc0\xaf")));
    assert_false(print_is_utf8(STR_LIT("\xe0\x80\xaf")));
    assert_false(print_is_utf8(STR_LIT("\xed\xa0\x80")));
    assert_false(print_is_utf8(STR_LIT("\xf4\x90\x80\x80")));
    assert_false(print_is_utf8(STR_LIT("\x80")));
}

static int64_t place(const char *text_of_place, bool *is_offset)
{
    struct place found;
    struct why why = {{0}};

    if (place_parse(text_of_place, 1000000000, &found, &why)) {
        return INT64_MIN;
    }
    *is_offset = found.is_offset;
    return found.number;
}

static void a_place_is_an_offset_a_word_a_duration_or_a_time(void **state)
{
    bool is_offset;

    assert_int_equal(place("12", &is_offset), 12);
    assert_true(is_offset);
    assert_int_equal(place("first", &is_offset), PLACE_FIRST);
    assert_false(is_offset);
    assert_int_equal(place("end", &is_offset), PLACE_END);
    assert_int_equal(place("10s", &is_offset), 1000000000 - 10000);
    assert_int_equal(place("99d", &is_offset), 0);
    assert_int_equal(place("1970-01-02", &is_offset), 86400000);
    assert_int_equal(place("1970-01-01T00:00:01Z", &is_offset), 1000);
    assert_false(is_offset);
    assert_int_equal(place("-1", &is_offset), INT64_MIN);
    assert_int_equal(place("soon", &is_offset), INT64_MIN);
    assert_int_equal(place("1970-13-01", &is_offset), INT64_MIN);
}

static void range_gives_stretches_and_the_first_ones_get_more(void **state)
{
    int32_t first;
    int32_t count;
    int32_t next = 0;

    for (int32_t i = 0; i < 3; i++) {
        assign_stretch(7, 3, i, &first, &count);
        assert_int_equal(first, next);
        assert_int_equal(count, i == 0 ? 3 : 2);
        next += count;
    }
    assert_int_equal(next, 7);
    assign_stretch(1, 2, 1, &first, &count);
    assert_int_equal(count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_are_as_wide_as_they_must_be),
        TEST(a_table_without_rows_is_its_titles),
        TEST(json_escapes_what_it_must_and_never_breaks),
        TEST(bytes_that_are_no_text_become_base64),
        TEST(numbers_are_grouped),
        TEST(utf8_is_told_from_what_only_looks_like_it),
        TEST(a_place_is_an_offset_a_word_a_duration_or_a_time),
        TEST(range_gives_stretches_and_the_first_ones_get_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
