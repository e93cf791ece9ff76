/* writer_test.c - growth, lengths, tags, splices, frames. */
#include "lib/fixture.h"
#include "wire/writer.h"

struct fixture {
    struct arena arena;
    struct writer w;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    writer_init(&f.w, &f.arena, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&((struct fixture *)*state)->arena);
    return 0;
}

static void assert_output(struct writer *w, const char *bytes, size_t count)
{
    assert_int_equal(writer_output(w).len, count);
    assert_memory_equal(writer_output(w).ptr, bytes, count);
}

#define ASSERT_OUTPUT(w, literal)                                              \
    assert_output(w, "" literal, sizeof(literal) - 1)

static void the_block_grows_and_keeps_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct reader r;

    for (int32_t i = 0; i < 10000; i++) {
        writer_i32(&f->w, i);
    }
    reader_init(&r, f->w.start, writer_output(&f->w).len);
    for (int32_t i = 0; i < 10000; i++) {
        assert_int_equal(reader_i32(&r), i);
    }
    assert_int_equal(reader_finish(&r), ERR_NONE);
}

static void varints_come_back(void **state)
{
    struct fixture *f = *state;
    static const int64_t values[] = {0,   1,   -1,        63,       64,
                                     -64, -65, INT32_MAX, INT32_MIN};
    struct reader r;

    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        writer_varint(&f->w, (int32_t)values[i]);
        writer_varlong(&f->w, values[i] * 4294967296);
        writer_uvarint(&f->w, (uint32_t)values[i]);
        writer_uvarlong(&f->w, (uint64_t)values[i]);
    }
    reader_init(&r, f->w.start, writer_output(&f->w).len);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        assert_int_equal(reader_varint(&r), values[i]);
        assert_true(reader_varlong(&r) == values[i] * 4294967296);
        assert_true(reader_uvarint(&r) == (uint32_t)values[i]);
        assert_true(reader_uvarlong(&r) == (uint64_t)values[i]);
    }
    assert_int_equal(reader_finish(&r), ERR_NONE);
}

static void null_is_written_as_empty_where_there_is_no_null(void **state)
{
    struct fixture *f = *state;

    writer_str(&f->w, false, false, STR_NULL);
    writer_str(&f->w, false, true, STR_NULL);
    writer_str(&f->w, true, false, STR_NULL);
    writer_str(&f->w, true, true, STR_NULL);
    writer_bytes(&f->w, false, false, STR_NULL);
    writer_bytes(&f->w, true, true, STR_NULL);
    assert_int_equal(writer_count(&f->w, true, false, -1), 0);
    assert_int_equal(writer_count(&f->w, true, true, -1), 0);
    ASSERT_OUTPUT(&f->w, "\0\0\xff\xff\x01\0\0\0\0\0\0\x01\0");
}

static void a_text_that_is_too_long_fails(void **state)
{
    struct fixture *f = *state;
    static char text[32768];

    writer_frame_open(&f->w);
    writer_str(&f->w, false, false, str_sub(text, 32767));
    assert_false(f->w.failed);
    writer_str(&f->w, true, false, str_sub(text, 32768));
    assert_true(f->w.failed);
    assert_int_equal(writer_frame_close(&f->w), ERR_TOO_LARGE);
}

static void the_size_of_a_tag_is_as_short_as_it_can_be(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[300];
    size_t at;

    memset(bytes, 'x', sizeof(bytes));
    at = writer_tag_open(&f->w, 3);
    writer_raw(&f->w, bytes, 127);
    writer_tag_close(&f->w, at);
    at = writer_tag_open(&f->w, 4);
    writer_raw(&f->w, bytes, 300);
    writer_tag_close(&f->w, at);
    assert_int_equal(writer_output(&f->w).len, 2 + 127 + 3 + 300);
    assert_memory_equal(f->w.start, "\x03\x7f", 2);
    assert_memory_equal(f->w.start + 129, "\x04\xac\x02x", 4);
}

static void records_can_be_left_out_and_are_counted(void **state)
{
    struct fixture *f = *state;
    int file = 0;
    struct wire_records far = {.bytes = 100000, .splice = &file};
    struct wire_records near = {.bytes = 2, .ptr = (const uint8_t *)"ab"};
    struct wire_records null = {.bytes = -1};
    struct wire_records empty = {.splice = &file};

    writer_frame_open(&f->w);
    writer_records(&f->w, false, true, &far);
    writer_records(&f->w, true, true, &near);
    writer_records(&f->w, true, true, &null);
    writer_records(&f->w, true, true, &empty);
    assert_int_equal(writer_frame_close(&f->w), ERR_NONE);
    assert_int_equal(writer_total(&f->w), 4 + 4 + 100000 + 3 + 1 + 1);
    assert_int_equal(bytes_get_i32(f->w.start), writer_total(&f->w) - 4);
    assert_non_null(f->w.splices);
    assert_int_equal(f->w.splices->position, 8);
    assert_int_equal(f->w.splices->bytes, 100000);
    assert_ptr_equal(f->w.splices->what, &file);
    assert_null(f->w.splices->next);
}

static void splices_keep_their_order(void **state)
{
    struct fixture *f = *state;
    int what[2];

    writer_splice(&f->w, 5, &what[0]);
    writer_i8(&f->w, 1);
    writer_splice(&f->w, 6, &what[1]);
    assert_ptr_equal(f->w.splices->what, &what[0]);
    assert_int_equal(f->w.splices->position, 0);
    assert_ptr_equal(f->w.splices->next->what, &what[1]);
    assert_int_equal(f->w.splices->next->position, 1);
}

static void a_frame_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    int what;

    writer_frame_open(&f->w);
    writer_splice(&f->w, INT32_MAX, &what);
    writer_splice(&f->w, 1, &what);
    assert_int_equal(writer_frame_close(&f->w), ERR_TOO_LARGE);
}

static void a_nullable_struct_has_a_marker(void **state)
{
    struct fixture *f = *state;

    assert_false(writer_struct(&f->w, NULL));
    assert_true(writer_struct(&f->w, f));
    ASSERT_OUTPUT(&f->w, "\xff\x01");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_block_grows_and_keeps_what_it_holds),
        TEST(varints_come_back),
        TEST(null_is_written_as_empty_where_there_is_no_null),
        TEST(a_text_that_is_too_long_fails),
        TEST(the_size_of_a_tag_is_as_short_as_it_can_be),
        TEST(records_can_be_left_out_and_are_counted),
        TEST(splices_keep_their_order),
        TEST(a_frame_over_the_limit_is_refused),
        TEST(a_nullable_struct_has_a_marker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
