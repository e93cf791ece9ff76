/* reader_test.c - sticky errors, bounds, every primitive encoding. */
#include "lib/fixture.h"
#include "wire/reader.h"

static struct reader over(const void *ptr, size_t bytes)
{
    struct reader r;

    reader_init(&r, ptr, bytes);
    return r;
}

#define OVER(literal) over("" literal, sizeof(literal) - 1)

static void numbers_are_big_endian(void **state)
{
    struct reader r = OVER("\x80\x01\x02\xff\xfe\x00\x00\x00\x01"
                           "\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff");

    assert_int_equal(reader_i8(&r), -128);
    assert_int_equal(reader_i16(&r), 0x0102);
    assert_int_equal(reader_u16(&r), 0xfffe);
    assert_int_equal(reader_i32(&r), 1);
    assert_true(reader_i64(&r) == INT64_MAX);
    assert_int_equal(reader_i16(&r), -1);
    assert_int_equal(reader_finish(&r), ERR_NONE);
}

static void after_a_failure_every_read_gives_zero(void **state)
{
    struct reader r = OVER("\x01\x02\x03");

    assert_int_equal(reader_i32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(reader_i8(&r), 0);
    assert_int_equal(reader_uvarint(&r), 0);
    assert_null(reader_str(&r, true).ptr);
    assert_int_equal(reader_finish(&r), ERR_MALFORMED);
}

static void bytes_left_over_are_malformed(void **state)
{
    struct reader r = OVER("\x01\x02");

    reader_i8(&r);
    assert_false(r.failed);
    assert_int_equal(reader_finish(&r), ERR_MALFORMED);
}

static void varints_have_at_most_32_and_64_bits(void **state)
{
    struct reader r = OVER("\xff\xff\xff\xff\x0f");
    assert_true(reader_uvarint(&r) == UINT32_MAX);
    assert_int_equal(reader_finish(&r), ERR_NONE);

    r = OVER("\xff\xff\xff\xff\x1f");
    reader_uvarint(&r);
    assert_true(r.failed);

    r = OVER("\x80\x80\x80\x80\x80\x00");
    reader_uvarint(&r);
    assert_true(r.failed);

    r = OVER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    assert_true(reader_uvarlong(&r) == UINT64_MAX);
    assert_int_equal(reader_finish(&r), ERR_NONE);

    r = OVER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03");
    reader_uvarlong(&r);
    assert_true(r.failed);

    r = OVER("\x80");
    reader_uvarint(&r);
    assert_true(r.failed);
}

static void varints_of_records_are_zigzag(void **state)
{
    struct reader r = OVER("\x00\x01\x02\xff\xff\xff\xff\x0f\x03");

    assert_int_equal(reader_varint(&r), 0);
    assert_int_equal(reader_varint(&r), -1);
    assert_int_equal(reader_varint(&r), 1);
    assert_int_equal(reader_varint(&r), INT32_MIN);
    assert_true(reader_varlong(&r) == -2);
    assert_int_equal(reader_finish(&r), ERR_NONE);
}

static void texts_are_slices_and_null_differs_from_empty(void **state)
{
    static const char bytes[] = "\x00\x02hi\x00\x00\xff\xff\x03yo\x01\x00";
    struct reader r = over(bytes, sizeof(bytes) - 1);

    assert_ptr_equal(reader_str(&r, false).ptr, bytes + 2);
    assert_non_null(reader_str(&r, false).ptr);
    assert_null(reader_str_nullable(&r, false).ptr);
    assert_true(str_eq(reader_str(&r, true), STR_LIT("yo")));
    assert_true(str_eq(reader_str(&r, true), STR_LIT("")));
    assert_null(reader_str_nullable(&r, true).ptr);
    assert_int_equal(reader_finish(&r), ERR_NONE);
}

static void null_where_none_is_allowed_is_malformed(void **state)
{
    struct reader r = OVER("\xff\xff");
    reader_str(&r, false);
    assert_true(r.failed);

    r = OVER("\x00");
    reader_str(&r, true);
    assert_true(r.failed);

    r = OVER("\xff\xff\xff\xff");
    reader_bytes(&r, false);
    assert_true(r.failed);

    r = OVER("\x00");
    reader_records(&r, true, false);
    assert_true(r.failed);
}

static void a_length_beyond_the_end_is_malformed(void **state)
{
    struct reader r = OVER("\x00\x05hell");
    reader_str(&r, false);
    assert_true(r.failed);

    r = OVER("\x7f\xff\xff\xff!");
    reader_bytes(&r, false);
    assert_true(r.failed);

    r = OVER("\xff\xff\xff\xff\x0f!");
    reader_bytes(&r, true);
    assert_true(r.failed);
}

static void a_text_has_at_most_32767_bytes(void **state)
{
    static uint8_t bytes[40000] = {0x81, 0x80, 0x02}; /* 32768 + 1 */
    struct reader r = over(bytes, sizeof(bytes));

    reader_str(&r, true);
    assert_true(r.failed);
}

static const struct reader_array numbers = {.element_bytes_min = 4,
                                            .element_size = 4};

static void a_count_is_held_against_the_bytes_left(void **state)
{
    struct arena arena = {0};
    struct reader r = OVER("\x7f\xff\xff\xff\x00\x00\x00\x01");
    int32_t count = 7;

    assert_null(reader_array(&r, &arena, numbers, &count));
    assert_int_equal(count, 0);
    assert_true(r.failed);
    assert_int_equal(arena_used_bytes(&arena), 0);

    r = OVER("\x00\x00\x00\x01\x00\x00\x00\x01");
    assert_non_null(reader_array(&r, &arena, numbers, &count));
    assert_int_equal(count, 1);
    arena_reset(&arena);
}

static void an_array_can_be_null_where_it_may(void **state)
{
    struct arena arena = {0};
    struct reader_array nullable = numbers;
    struct reader r = OVER("\xff\xff\xff\xff");
    int32_t count = 7;

    assert_null(reader_array(&r, &arena, numbers, &count));
    assert_true(r.failed);

    nullable.nullable = true;
    r = OVER("\xff\xff\xff\xff");
    assert_null(reader_array(&r, &arena, nullable, &count));
    assert_int_equal(count, -1);
    assert_false(r.failed);
    arena_reset(&arena);
}

static void arrays_stop_at_the_limit_of_the_arena(void **state)
{
    struct arena arena = {0};
    struct reader_array wide = {.element_bytes_min = 1, .element_size = 200};
    struct reader r = OVER("\x00\x00\x00\x06......");
    int32_t count;

    r.arena_bytes_max = 1000;
    assert_null(reader_array(&r, &arena, wide, &count));
    assert_true(r.failed);
    arena_reset(&arena);
}

static void unknown_tags_are_skipped(void **state)
{
    struct reader r = OVER("\x02\x00\x03\x61\x62\x63\x07\x00\x2a");

    reader_tags_skip(&r);
    assert_int_equal(reader_i8(&r), 42);
    assert_int_equal(reader_finish(&r), ERR_NONE);

    r = OVER("\xff\xff\xff\xff\x0f");
    reader_tags_skip(&r);
    assert_true(r.failed);

    r = OVER("\x01\x00\x05\x61");
    reader_tags_skip(&r);
    assert_true(r.failed);
}

static void a_tag_that_is_half_read_is_malformed(void **state)
{
    struct reader r = OVER("\x09\x03\x61\x62\x63\x2a");
    struct reader_tag tag = reader_tag_open(&r);

    assert_int_equal(tag.tag, 9);
    reader_i8(&r);
    reader_tag_close(&r, &tag);
    assert_true(r.failed);

    r = OVER("\x09\x03\x61\x62\x63\x2a");
    tag = reader_tag_open(&r);
    assert_int_equal(reader_i32(&r), 0); /* cannot look beyond the tag */
    reader_tag_close(&r, &tag);
    assert_true(r.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(after_a_failure_every_read_gives_zero),
        cmocka_unit_test(bytes_left_over_are_malformed),
        cmocka_unit_test(varints_have_at_most_32_and_64_bits),
        cmocka_unit_test(varints_of_records_are_zigzag),
        cmocka_unit_test(texts_are_slices_and_null_differs_from_empty),
        cmocka_unit_test(null_where_none_is_allowed_is_malformed),
        cmocka_unit_test(a_length_beyond_the_end_is_malformed),
        cmocka_unit_test(a_text_has_at_most_32767_bytes),
        cmocka_unit_test(a_count_is_held_against_the_bytes_left),
        cmocka_unit_test(an_array_can_be_null_where_it_may),
        cmocka_unit_test(arrays_stop_at_the_limit_of_the_arena),
        cmocka_unit_test(unknown_tags_are_skipped),
        cmocka_unit_test(a_tag_that_is_half_read_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
