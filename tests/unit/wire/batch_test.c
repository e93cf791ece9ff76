/* batch_test.c - reading, changing and building record batches. */
#include "lib/fixture.h"
#include "wire/batch.h"

struct fixture {
    struct arena arena;
    struct batch_builder builder;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&((struct fixture *)*state)->arena);
    return 0;
}

static const struct record_header headers[] = {{{"h1", 2}, {"v1", 2}},
                                               {{"", 0}, {NULL, 0}}};

/* Three records: all set; nulls; later and without delta 1. */
static uint8_t *build(struct fixture *f, int16_t attributes)
{
    struct batch_options options = BATCH_OPTIONS;
    struct str out = STR_NULL;

    options.base_offset = 100;
    options.leader_epoch = 7;
    options.attributes = attributes;
    options.producer_id = 4000;
    options.producer_epoch = 2;
    options.base_sequence = INT32_MAX - 1;
    batch_builder_init(&f->builder, &f->arena, &options, 0);
    batch_builder_add(&f->builder, &(struct batch_record){
                                       .timestamp = 1000,
                                       .key = STR_LIT("key"),
                                       .value = STR_LIT("value"),
                                       .headers = headers,
                                       .headers_count = 2,
                                   });
    batch_builder_add(&f->builder, &(struct batch_record){.timestamp = 1500});
    batch_builder_add_at(&f->builder, 3,
                         &(struct batch_record){
                             .timestamp = 900,
                             .value = STR_LIT(""),
                         });
    assert_int_equal(batch_builder_finish(&f->builder, &out), ERR_NONE);
    return (uint8_t *)out.ptr;
}

static void what_was_built_is_read(void **state)
{
    struct fixture *f = *state;
    const uint8_t *batch = build(f, 0);
    struct batch_header h;

    assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
    assert_int_equal(h.bytes, batch_bytes(batch));
    assert_int_equal(h.base_offset, 100);
    assert_int_equal(batch_last_offset(&h), 103);
    assert_int_equal(h.leader_epoch, 7);
    assert_int_equal(h.attributes, 0);
    assert_int_equal(h.base_timestamp, 1000);
    assert_int_equal(h.max_timestamp, 1500);
    assert_int_equal(h.producer_id, 4000);
    assert_int_equal(h.producer_epoch, 2);
    assert_int_equal(h.base_sequence, INT32_MAX - 1);
    assert_int_equal(batch_last_sequence(&h), 1);
    assert_int_equal(h.record_count, 3);
}

static void check_records(const struct batch_header *h, struct str payload)
{
    struct record_iter iter;
    struct record record;
    struct record_header header;
    struct reader r;

    record_iter_init(&iter, h, payload);
    assert_true(record_iter_next(&iter, &record));
    assert_true(str_eq(record.key, STR_LIT("key")));
    assert_true(str_eq(record.value, STR_LIT("value")));
    assert_int_equal(record_timestamp(h, &record), 1000);
    assert_int_equal(record.headers_count, 2);
    reader_init(&r, record.headers.ptr, record.headers.len);
    for (int i = 0; i < 2; i++) {
        assert_true(record_header_next(&r, &header));
        assert_true(str_eq(header.key, headers[i].key));
        assert_true(str_eq(header.value, headers[i].value));
    }
    assert_int_equal(reader_finish(&r), ERR_NONE);
    assert_true(record_iter_next(&iter, &record));
    assert_null(record.key.ptr);
    assert_null(record.value.ptr);
    assert_int_equal(record.offset_delta, 1);
    assert_int_equal(record_timestamp(h, &record), 1500);
    assert_true(record_iter_next(&iter, &record));
    assert_int_equal(record.offset_delta, 3);
    assert_int_equal(record_timestamp(h, &record), 900);
    assert_non_null(record.value.ptr);
    assert_false(record_iter_next(&iter, &record));
    assert_int_equal(record_iter_finish(&iter), ERR_NONE);
}

static void records_are_walked_over_under_every_codec(void **state)
{
    struct fixture *f = *state;

    for (int16_t codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        const uint8_t *batch = build(f, codec);
        struct batch_header h;
        struct str payload;

        assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
        assert_int_equal(batch_payload(batch, &h, 1000, &f->arena, &payload),
                         ERR_NONE);
        check_records(&h, payload);
        assert_int_equal(batch_payload(batch, &h, 10, &f->arena, &payload),
                         ERR_TOO_LARGE);
    }
}

static void a_batch_that_ends_early_is_torn(void **state)
{
    struct fixture *f = *state;
    const uint8_t *batch = build(f, 0);
    struct batch_header h;

    for (size_t bytes = 0; bytes < batch_bytes(batch); bytes++) {
        assert_int_equal(batch_header_parse(batch, bytes, &h), ERR_TORN);
    }
}

static void every_changed_byte_under_the_checksum_is_seen(void **state)
{
    struct fixture *f = *state;
    uint8_t *batch = build(f, 0);
    size_t bytes = batch_bytes(batch);
    struct batch_header h;

    for (size_t i = BATCH_CRC_AT; i < bytes; i++) {
        batch[i] ^= 0x40;
        assert_int_equal(batch_parse(batch, bytes, &h), ERR_CORRUPT);
        batch[i] ^= 0x40;
    }
    assert_int_equal(batch_parse(batch, bytes, &h), ERR_NONE);
}

static void impossible_headers_are_corrupt(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        int32_t value;
        enum err err;
    } cases[] = {
        {8, 48, ERR_CORRUPT},        {8, -1, ERR_CORRUPT},
        {8, INT32_MAX, ERR_CORRUPT}, {23, -1, ERR_CORRUPT},
        {57, -1, ERR_CORRUPT},       {0, -1, ERR_CORRUPT},
        {0, INT32_MAX, ERR_CORRUPT},
    };
    struct batch_header h;
    uint8_t *batch;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        batch = build(f, 0);
        bytes_put_i32(batch + cases[i].at, cases[i].value);
        if (cases[i].value == INT32_MAX && cases[i].at == 0) {
            bytes_put_i32(batch + 4, -1);
        }
        assert_int_equal(batch_header_parse(batch, 1000, &h), cases[i].err);
    }
    batch = build(f, 0);
    batch[BATCH_MAGIC_AT] = 1;
    assert_int_equal(batch_header_parse(batch, 1000, &h), ERR_UNSUPPORTED);
    batch[BATCH_MAGIC_AT] = 3;
    assert_int_equal(batch_header_parse(batch, 1000, &h), ERR_CORRUPT);
}

static void offset_and_epoch_are_set_outside_the_checksum(void **state)
{
    struct fixture *f = *state;
    uint8_t *batch = build(f, 0);
    struct batch_header h;

    batch_set_base_offset(batch, 123456789012);
    batch_set_leader_epoch(batch, 42);
    assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
    assert_true(h.base_offset == 123456789012);
    assert_int_equal(h.leader_epoch, 42);
}

static void append_time_renews_the_checksum(void **state)
{
    struct fixture *f = *state;
    uint8_t *batch = build(f, 0);
    struct batch_header h;
    struct record_iter iter;
    struct record record;
    struct str payload;

    batch_set_timestamps(batch, true, 99999);
    assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
    assert_int_equal(h.attributes, BATCH_LOG_APPEND_TIME);
    assert_int_equal(h.max_timestamp, 99999);
    assert_int_equal(batch_payload(batch, &h, 1000, &f->arena, &payload),
                     ERR_NONE);
    record_iter_init(&iter, &h, payload);
    while (record_iter_next(&iter, &record)) {
        assert_int_equal(record_timestamp(&h, &record), 99999);
    }
    batch_set_timestamps(batch, false, 1500);
    assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
    assert_int_equal(h.attributes, 0);
}

static void a_record_that_lies_about_its_size_is_seen(void **state)
{
    struct batch_header h = {.record_count = 1};
    static const struct str bad[] = {
        {"", 0},
        {"\x0c\x00\x00\x00\x01\x01", 6},         /* ends early */
        {"\x01", 1},                             /* length -1 */
        {"\x0e\x00\x00\x00\x01\x01\x00\x00", 8}, /* a byte too many */
        {"\x0c\x00\x00\x00\x03\x01\x00", 7},     /* key of -2 bytes */
        {"\x0c\x00\x00\x00\x10\x01\x00", 7},     /* key beyond the record */
        {"\x0c\x00\x00\x00\x01\x01\x02", 7}, /* headers that are not there */
        {"\x0c\x00\x00\x00\x01\x01\x01", 7}, /* -1 headers */
        {"\x10\x00\x00\x00\x01\x01\x02\x01\x01", 9}, /* header without key */
        {"\x0c\x00\x00\x00\x01\x01\x00x", 8},        /* something behind it */
    };
    struct record_iter iter;
    struct record record;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        record_iter_init(&iter, &h, bad[i]);
        while (record_iter_next(&iter, &record)) {
        }
        assert_int_equal(record_iter_finish(&iter), ERR_CORRUPT);
    }
    record_iter_init(&iter, &h, STR_LIT("\x0c\x00\x00\x00\x01\x01\x00"));
    assert_true(record_iter_next(&iter, &record));
    assert_int_equal(record_iter_finish(&iter), ERR_NONE);
}

static void an_unknown_codec_is_unsupported(void **state)
{
    struct fixture *f = *state;
    uint8_t *batch = build(f, 0);
    struct batch_header h;
    struct str payload;

    assert_int_equal(batch_parse(batch, batch_bytes(batch), &h), ERR_NONE);
    h.attributes = 5;
    assert_int_equal(batch_payload(batch, &h, 1000, &f->arena, &payload),
                     ERR_UNSUPPORTED);
    h.attributes = CODEC_LZ4;
    assert_int_equal(batch_payload(batch, &h, 1000, &f->arena, &payload),
                     ERR_CORRUPT);
}

static void sequences_wrap_to_zero(void **state)
{
    struct batch_header none = {.base_sequence = -1, .last_offset_delta = 5};

    assert_int_equal(batch_sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(batch_sequence_add(INT32_MAX - 1, 1), INT32_MAX);
    assert_int_equal(batch_sequence_add(0, 5), 5);
    assert_int_equal(batch_last_sequence(&none), -1);
}

static void a_control_batch_holds_one_marker(void **state)
{
    struct fixture *f = *state;
    struct batch_options options = BATCH_OPTIONS;
    struct control_marker marker = {CONTROL_COMMIT, 3, 1234};
    struct str batch, payload;
    struct batch_header h;
    struct record_iter iter;
    struct record record;

    options.producer_id = 9;
    options.attributes = CODEC_ZSTD;
    batch = batch_control(&f->arena, &options, &marker);
    assert_int_equal(batch_parse(batch.ptr, batch.len, &h), ERR_NONE);
    assert_int_equal(h.attributes, BATCH_CONTROL | BATCH_TRANSACTIONAL);
    assert_int_equal(h.record_count, 1);
    assert_int_equal(h.base_sequence, -1);
    assert_int_equal(batch_payload(batch.ptr, &h, 1000, &f->arena, &payload),
                     ERR_NONE);
    record_iter_init(&iter, &h, payload);
    assert_true(record_iter_next(&iter, &record));
    assert_true(str_eq(record.key, STR_LIT("\0\0\0\1")));
    assert_true(str_eq(record.value, STR_LIT("\0\0\0\0\0\3")));
    assert_int_equal(record_timestamp(&h, &record), 1234);
}

/* Extreme timestamps differ by more than an int64 holds; they must still come
 * back, because clients may send anything. */
static void timestamps_wrap_like_java_s(void **state)
{
    struct fixture *f = *state;
    struct batch_options options = BATCH_OPTIONS;
    struct str batch, payload;
    struct batch_header h;
    struct record_iter iter;
    struct record record;

    batch_builder_init(&f->builder, &f->arena, &options, 0);
    batch_builder_add(&f->builder,
                      &(struct batch_record){.timestamp = INT64_MIN});
    batch_builder_add(&f->builder,
                      &(struct batch_record){.timestamp = INT64_MAX});
    assert_int_equal(batch_builder_finish(&f->builder, &batch), ERR_NONE);
    assert_int_equal(batch_parse(batch.ptr, batch.len, &h), ERR_NONE);
    assert_int_equal(batch_payload(batch.ptr, &h, 1000, &f->arena, &payload),
                     ERR_NONE);
    record_iter_init(&iter, &h, payload);
    assert_true(record_iter_next(&iter, &record));
    assert_true(record_timestamp(&h, &record) == INT64_MIN);
    assert_true(record_iter_next(&iter, &record));
    assert_true(record_timestamp(&h, &record) == INT64_MAX);
}

static void a_builder_refuses_a_bad_codec_or_level(void **state)
{
    struct fixture *f = *state;
    struct batch_options options = BATCH_OPTIONS;
    struct str out;

    options.attributes = 6;
    batch_builder_init(&f->builder, &f->arena, &options, 0);
    batch_builder_add(&f->builder, &(struct batch_record){0});
    assert_int_equal(batch_builder_finish(&f->builder, &out), ERR_UNSUPPORTED);

    options.attributes = CODEC_ZSTD;
    options.level = 99;
    batch_builder_init(&f->builder, &f->arena, &options, 0);
    batch_builder_add(&f->builder, &(struct batch_record){0});
    assert_int_equal(batch_builder_finish(&f->builder, &out), ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_built_is_read),
        TEST(records_are_walked_over_under_every_codec),
        TEST(a_batch_that_ends_early_is_torn),
        TEST(every_changed_byte_under_the_checksum_is_seen),
        TEST(impossible_headers_are_corrupt),
        TEST(offset_and_epoch_are_set_outside_the_checksum),
        TEST(append_time_renews_the_checksum),
        TEST(a_record_that_lies_about_its_size_is_seen),
        TEST(an_unknown_codec_is_unsupported),
        TEST(sequences_wrap_to_zero),
        TEST(a_control_batch_holds_one_marker),
        TEST(timestamps_wrap_like_java_s),
        TEST(a_builder_refuses_a_bad_codec_or_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
