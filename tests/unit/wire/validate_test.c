/* validate_test.c - each rule of a produced batch, broken once. */
#include "lib/fixture.h"
#include "wire/validate.h"

enum { NOW = 1000000 };

struct fixture {
    struct arena arena;
    struct batch_options options;
    struct validate_rules rules;
    struct validate_result result;
    uint8_t *batch;
    size_t bytes;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    f.options = BATCH_OPTIONS;
    f.rules = (struct validate_rules){
        .produce_version = 11,
        .batch_bytes_max = 10000,
        .payload_bytes_max = 100000,
        .now_ms = NOW,
        .before_ms_max = INT64_MAX,
        .after_ms_max = 500,
        .codec = VALIDATE_CODEC_PRODUCER,
        .level = COMPRESS_LEVEL_DEFAULT,
    };
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&((struct fixture *)*state)->arena);
    return 0;
}

static const struct batch_record plain[] = {
    {.timestamp = NOW - 10, .key = {"a", 1}, .value = {"1", 1}},
    {.timestamp = NOW + 20, .key = {"b", 1}, .value = {"2", 1}},
};

static void build(struct fixture *f, const struct batch_record *records,
                  size_t count)
{
    struct batch_builder b;
    struct str out = STR_NULL;

    batch_builder_init(&b, &f->arena, &f->options, 0);
    for (size_t i = 0; i < count; i++) {
        batch_builder_add(&b, &records[i]);
    }
    assert_int_equal(batch_builder_finish(&b, &out), ERR_NONE);
    f->batch = (uint8_t *)out.ptr;
    f->bytes = out.len;
}

static enum err validate(struct fixture *f)
{
    return validate_batch(f->batch, f->bytes, &f->rules, &f->arena, &f->result);
}

static void assert_refused(struct fixture *f, enum err err)
{
    assert_int_equal(validate(f), err);
    assert_non_null(f->result.text);
}

static void assert_sealed(struct fixture *f)
{
    struct batch_header h;

    assert_int_equal(
        batch_parse(f->result.batch, (size_t)f->result.header.bytes, &h),
        ERR_NONE);
    assert_int_equal(h.attributes, f->result.header.attributes);
    assert_int_equal(h.crc, f->result.header.crc);
    assert_int_equal(h.max_timestamp, f->result.header.max_timestamp);
    assert_int_equal(h.record_count, f->result.header.record_count);
}

static void a_good_batch_stays_as_it_is(void **state)
{
    struct fixture *f = *state;

    for (int16_t codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        uint8_t before[200];

        f->options.attributes = codec;
        build(f, plain, 2);
        memcpy(before, f->batch, f->bytes);
        assert_int_equal(validate(f), ERR_NONE);
        assert_ptr_equal(f->result.batch, f->batch);
        assert_memory_equal(f->batch, before, f->bytes);
        assert_int_equal(f->result.header.max_timestamp, NOW + 20);
        assert_int_equal(f->result.header.record_count, 2);
        assert_sealed(f);
    }
}

static void a_wrong_max_timestamp_is_put_right(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    bytes_put_i64(f->batch + BATCH_MAX_TIMESTAMP_AT, 5);
    batch_seal(f->batch);
    assert_int_equal(validate(f), ERR_NONE);
    assert_int_equal(f->result.header.max_timestamp, NOW + 20);
    assert_sealed(f);
}

static void append_time_is_set_in_place(void **state)
{
    struct fixture *f = *state;

    f->rules.log_append_time = true;
    f->rules.after_ms_max = 0; /* does not matter then */
    build(f, plain, 2);
    assert_int_equal(validate(f), ERR_NONE);
    assert_ptr_equal(f->result.batch, f->batch);
    assert_int_equal(f->result.header.max_timestamp, NOW);
    assert_int_equal(f->result.header.attributes, BATCH_LOG_APPEND_TIME);
    assert_sealed(f);
}

static void nothing_two_batches_and_old_formats_are_invalid(void **state)
{
    struct fixture *f = *state;
    uint8_t *two;

    build(f, plain, 2);
    f->bytes = 0;
    assert_refused(f, ERR_INVALID_RECORD);

    build(f, plain, 2);
    two = arena_alloc(&f->arena, f->bytes * 2);
    memcpy(two, f->batch, f->bytes);
    memcpy(two + f->bytes, f->batch, f->bytes);
    f->batch = two;
    f->bytes *= 2;
    assert_refused(f, ERR_INVALID_RECORD);

    for (uint8_t magic = 0; magic < 5; magic++) {
        build(f, plain, 2);
        f->batch[BATCH_MAGIC_AT] = magic;
        assert_int_equal(validate(f),
                         magic == 2 ? ERR_NONE : ERR_INVALID_RECORD);
    }
}

static void sizes_and_checksums_that_do_not_match_are_corrupt(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    for (size_t bytes = f->bytes - 1; bytes > 0; bytes--) {
        f->bytes = bytes;
        assert_refused(f, ERR_CORRUPT_MESSAGE);
    }
    build(f, plain, 2);
    bytes_put_i32(f->batch + 8, 3);
    assert_refused(f, ERR_CORRUPT_MESSAGE);

    build(f, plain, 2);
    f->batch[70] ^= 1;
    assert_refused(f, ERR_CORRUPT_MESSAGE);
}

static void a_batch_over_the_limit_is_too_large(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    f->rules.batch_bytes_max = (int32_t)f->bytes;
    assert_int_equal(validate(f), ERR_NONE);
    f->rules.batch_bytes_max--;
    assert_refused(f, ERR_MESSAGE_TOO_LARGE);
}

static void zstd_needs_version_7(void **state)
{
    struct fixture *f = *state;

    f->options.attributes = CODEC_ZSTD;
    f->rules.produce_version = 7;
    build(f, plain, 2);
    assert_int_equal(validate(f), ERR_NONE);
    f->rules.produce_version = 6;
    assert_refused(f, ERR_UNSUPPORTED_COMPRESSION_TYPE);
}

static void an_unknown_codec_is_unsupported(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    bytes_put_i16(f->batch + BATCH_ATTRIBUTES_AT, 6);
    batch_seal(f->batch);
    assert_refused(f, ERR_UNSUPPORTED_COMPRESSION_TYPE);
}

static void a_bomb_is_too_large(void **state)
{
    struct fixture *f = *state;
    static char zeroes[200000];
    struct batch_record record = {.timestamp = NOW,
                                  .value = {zeroes, sizeof(zeroes)}};

    for (int16_t codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        f->options.attributes = codec;
        build(f, &record, 1);
        f->rules.batch_bytes_max = 1 << 20;
        assert_refused(f, ERR_MESSAGE_TOO_LARGE);
    }
}

static void what_does_not_unpack_is_invalid(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    bytes_put_i16(f->batch + BATCH_ATTRIBUTES_AT, CODEC_LZ4);
    batch_seal(f->batch);
    assert_refused(f, ERR_INVALID_RECORD);
}

static void the_header_of_a_producer_is_checked(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        int32_t value;
    } cases[] = {
        {4, 5},                                     /* base offset */
        {57, 3},                                    /* more records */
        {57, 0},                                    /* none */
        {57, -2},                                   /* fewer than none */
        {23, 7},                                    /* last offset delta */
        {23, -1},                                   /* the same */
        {BATCH_ATTRIBUTES_AT, BATCH_CONTROL << 16}, /* and clears 25, 26: */
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        build(f, plain, 2);
        bytes_put_i32(f->batch + cases[i].at, cases[i].value);
        batch_seal(f->batch);
        assert_refused(f, ERR_INVALID_RECORD);
    }
    f->options.producer_id = 5;
    f->options.producer_epoch = 0;
    build(f, plain, 2);
    assert_refused(f, ERR_INVALID_RECORD);
    f->options.base_sequence = 0;
    build(f, plain, 2);
    assert_int_equal(validate(f), ERR_NONE);
}

static void a_compacted_topic_names_the_records_without_key(void **state)
{
    struct fixture *f = *state;
    const struct batch_record records[] = {
        {.timestamp = NOW, .key = STR_LIT("a")},
        {.timestamp = NOW},
        {.timestamp = NOW, .key = STR_LIT("")},
        {.timestamp = NOW},
    };

    build(f, records, 4);
    assert_int_equal(validate(f), ERR_NONE);
    f->rules.needs_keys = true;
    assert_refused(f, ERR_INVALID_RECORD);
    assert_int_equal(f->result.errors_count, 2);
    assert_int_equal(f->result.errors[0].index, 1);
    assert_int_equal(f->result.errors[1].index, 3);
    assert_non_null(f->result.errors[1].text);
}

static void timestamps_out_of_range_are_named(void **state)
{
    struct fixture *f = *state;
    const struct batch_record records[] = {
        {.timestamp = NOW - 100}, {.timestamp = NOW - 101},
        {.timestamp = NOW + 500}, {.timestamp = NOW + 501},
        {.timestamp = INT64_MAX}, {.timestamp = -1},
        {.timestamp = INT64_MIN},
    };
    static const int32_t bad[] = {1, 3, 4, 6};

    f->rules.before_ms_max = 100;
    build(f, records, ARRAY_COUNT(records));
    assert_refused(f, ERR_INVALID_TIMESTAMP);
    assert_int_equal(f->result.errors_count, ARRAY_COUNT(bad));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(f->result.errors[i].index, bad[i]);
    }
    f->rules.before_ms_max = INT64_MAX;
    build(f, records, 2);
    assert_int_equal(validate(f), ERR_NONE);
}

/* Only where timestamps are the client's own is the bit put right in silence;
 * that is what Kafka does. */
static void a_producer_cannot_claim_append_time(void **state)
{
    struct fixture *f = *state;

    f->options.attributes = BATCH_LOG_APPEND_TIME;
    f->rules.log_append_time = true;
    build(f, plain, 2);
    assert_refused(f, ERR_INVALID_TIMESTAMP);

    f->rules.log_append_time = false;
    build(f, plain, 2);
    assert_int_equal(validate(f), ERR_NONE);
    assert_int_equal(f->result.header.attributes, 0);
    assert_sealed(f);
}

static void bad_records_are_listed_up_to_a_limit(void **state)
{
    struct fixture *f = *state;
    static struct batch_record many[VALIDATE_ERRORS_MAX + 50];

    f->rules.needs_keys = true;
    f->rules.batch_bytes_max = INT32_MAX;
    build(f, many, ARRAY_COUNT(many));
    assert_refused(f, ERR_INVALID_RECORD);
    assert_int_equal(f->result.errors_count, VALIDATE_ERRORS_MAX);
    assert_int_equal(f->result.errors[VALIDATE_ERRORS_MAX - 1].index,
                     VALIDATE_ERRORS_MAX - 1);
}

static void a_record_that_cannot_be_read_is_invalid(void **state)
{
    struct fixture *f = *state;

    build(f, plain, 2);
    f->batch[BATCH_HEADER_BYTES] = 4; /* shorter than the first record is */
    batch_seal(f->batch);
    assert_refused(f, ERR_INVALID_RECORD);

    build(f, plain, 2);
    f->batch[BATCH_HEADER_BYTES + 1] = CODEC_LZ4; /* the record's attributes */
    batch_seal(f->batch);
    assert_refused(f, ERR_INVALID_RECORD);
    assert_int_equal(f->result.errors_count, 1);
}

/* The records of a result must be those of plain[]. */
static void assert_plain(struct fixture *f)
{
    struct record_iter iter;
    struct record record;
    struct str payload;

    assert_int_equal(batch_payload(f->result.batch, &f->result.header, 1000,
                                   &f->arena, &payload),
                     ERR_NONE);
    record_iter_init(&iter, &f->result.header, payload);
    for (int i = 0; i < 2; i++) {
        assert_true(record_iter_next(&iter, &record));
        assert_int_equal(record.offset_delta, i);
        assert_true(str_eq(record.key, plain[i].key));
        assert_true(str_eq(record.value, plain[i].value));
        assert_int_equal(record_timestamp(&f->result.header, &record),
                         f->rules.log_append_time ? NOW : plain[i].timestamp);
    }
    assert_int_equal(record_iter_finish(&iter), ERR_NONE);
}

static void another_codec_of_the_topic_repacks(void **state)
{
    struct fixture *f = *state;

    f->options.producer_id = 77;
    f->options.producer_epoch = 3;
    f->options.base_sequence = 12;
    for (int append_time = 0; append_time < 2; append_time++) {
        f->rules.log_append_time = append_time != 0;
        for (int16_t from = CODEC_NONE; from <= CODEC_ZSTD; from++) {
            for (int to = CODEC_NONE; to <= CODEC_ZSTD; to++) {
                f->options.attributes = (int16_t)(from | BATCH_TRANSACTIONAL);
                f->rules.codec = to;
                build(f, plain, 2);
                assert_int_equal(validate(f), ERR_NONE);
                assert_sealed(f);
                assert_int_equal(f->result.header.attributes,
                                 to | BATCH_TRANSACTIONAL |
                                     (append_time ? BATCH_LOG_APPEND_TIME : 0));
                assert_int_equal(f->result.header.producer_id, 77);
                assert_int_equal(f->result.header.producer_epoch, 3);
                assert_int_equal(f->result.header.base_sequence, 12);
                assert_plain(f);
            }
        }
    }
}

static void offset_deltas_that_do_not_count_up_are_renumbered(void **state)
{
    struct fixture *f = *state;

    for (int16_t codec = CODEC_NONE; codec <= CODEC_ZSTD; codec += 4) {
        struct batch_builder b;
        struct str out;

        f->options.attributes = codec;
        batch_builder_init(&b, &f->arena, &f->options, 0);
        batch_builder_add_at(&b, 4, &plain[0]);
        batch_builder_add_at(&b, 9, &plain[1]);
        assert_int_equal(batch_builder_finish(&b, &out), ERR_NONE);
        f->batch = (uint8_t *)out.ptr;
        f->bytes = out.len;
        bytes_put_i32(f->batch + 23, 1);
        batch_seal(f->batch);
        assert_int_equal(validate(f), ERR_NONE);
        assert_ptr_not_equal(f->result.batch, f->batch);
        assert_int_equal(f->result.header.attributes, codec);
        assert_sealed(f);
        assert_plain(f);
    }
}

static void a_batch_that_grows_over_the_limit_is_too_large(void **state)
{
    struct fixture *f = *state;
    static char zeroes[5000];
    struct batch_record record = {.timestamp = NOW,
                                  .value = {zeroes, sizeof(zeroes)}};

    f->options.attributes = CODEC_GZIP;
    f->rules.codec = CODEC_NONE;
    f->rules.batch_bytes_max = 1000;
    build(f, &record, 1);
    assert_refused(f, ERR_MESSAGE_TOO_LARGE);
}

/* What was unpacked is given back with the answer still to come. */
static void unpacking_takes_from_the_budget_and_gives_back(void **state)
{
    struct fixture *f = *state;
    size_t bytes = (size_t)40 << 20;
    struct arena big = {0};
    struct batch_record record = {.timestamp = NOW,
                                  .value = {arena_alloc(&big, bytes), bytes}};
    struct budget budget;

    f->options.attributes = CODEC_GZIP;
    f->rules.batch_bytes_max = 1 << 20;
    f->rules.payload_bytes_max = 100 << 20;
    build(f, &record, 1);
    arena_reset(&big);
    for (int has_room = 0; has_room < 2; has_room++) {
        struct arena arena = {.budget = &budget};

        budget_init(&budget, has_room ? 128 << 20 : 16 << 20);
        f->rules.codec = has_room ? CODEC_ZSTD : VALIDATE_CODEC_PRODUCER;
        assert_int_equal(
            validate_batch(f->batch, f->bytes, &f->rules, &arena, &f->result),
            has_room ? ERR_NONE : ERR_BUSY);
        assert_true(budget.used_bytes < 1 << 20);
        if (has_room) {
            assert_sealed(f);
        }
        arena_reset(&arena);
        assert_int_equal(budget.used_bytes, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_batch_stays_as_it_is),
        TEST(a_wrong_max_timestamp_is_put_right),
        TEST(append_time_is_set_in_place),
        TEST(nothing_two_batches_and_old_formats_are_invalid),
        TEST(sizes_and_checksums_that_do_not_match_are_corrupt),
        TEST(a_batch_over_the_limit_is_too_large),
        TEST(zstd_needs_version_7),
        TEST(an_unknown_codec_is_unsupported),
        TEST(a_bomb_is_too_large),
        TEST(unpacking_takes_from_the_budget_and_gives_back),
        TEST(what_does_not_unpack_is_invalid),
        TEST(the_header_of_a_producer_is_checked),
        TEST(a_compacted_topic_names_the_records_without_key),
        TEST(timestamps_out_of_range_are_named),
        TEST(a_producer_cannot_claim_append_time),
        TEST(bad_records_are_listed_up_to_a_limit),
        TEST(a_record_that_cannot_be_read_is_invalid),
        TEST(another_codec_of_the_topic_repacks),
        TEST(offset_deltas_that_do_not_count_up_are_renumbered),
        TEST(a_batch_that_grows_over_the_limit_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
