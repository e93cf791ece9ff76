/* record_test.c - a record is read alike whether others follow it or not. */
#include "lib/fixture.h"
#include "wire/batch.h"
#include "wire/record.h"

enum { ROUNDS = 20000, RECORD_BYTES_MAX = 20000, TAIL_BYTES = 64 };

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Sizes around those at which a varint grows. */
static size_t random_size(uint32_t *seed)
{
    static const size_t sizes[] = {0, 1, 63, 64, 100, 8191, 8192, 9000};

    return sizes[next_random(seed) % ARRAY_COUNT(sizes)];
}

/* The bytes of one record, without its batch's header. */
static struct str random_record(struct arena *arena, uint32_t *seed)
{
    static const uint8_t text[RECORD_BYTES_MAX];
    static const struct record_header header = {{"h", 1}, {"v", 1}};
    struct batch_options options = {.base_sequence = -1};
    struct batch_record record = {.timestamp = 1000};
    struct batch_builder b;
    struct str batch = STR_NULL;

    if (next_random(seed) % 4 != 0) {
        record.key = str_sub(text, random_size(seed));
    }
    if (next_random(seed) % 8 != 0) {
        record.value = str_sub(text, random_size(seed));
    }
    if (next_random(seed) % 4 == 0) {
        record.headers = &header;
        record.headers_count = 1;
    }
    batch_builder_init(&b, arena, &options, 0);
    batch_builder_add_at(&b, (int32_t)(next_random(seed) % 3000000), &record);
    assert_int_equal(batch_builder_finish(&b, &batch), ERR_NONE);
    return str_sub(batch.ptr + BATCH_HEADER_BYTES,
                   batch.len - BATCH_HEADER_BYTES);
}

static bool read_one(struct str bytes, struct record *out, size_t *used)
{
    struct batch_header h = {.record_count = 1};
    struct record_iter iter;
    bool good;

    record_iter_init(&iter, &h, bytes);
    good = record_iter_next(&iter, out);
    *used = bytes.len - reader_left(&iter.reader);
    return good;
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_int_equal(a->attributes, b->attributes);
    assert_int_equal(a->timestamp_delta, b->timestamp_delta);
    assert_int_equal(a->offset_delta, b->offset_delta);
    assert_ptr_equal(a->key.ptr, b->key.ptr);
    assert_int_equal(a->key.len, b->key.len);
    assert_ptr_equal(a->value.ptr, b->value.ptr);
    assert_int_equal(a->value.len, b->value.len);
    assert_int_equal(a->headers_count, b->headers_count);
    assert_int_equal(a->headers.len, b->headers.len);
}

/* Alone a record is read by the cursor; with bytes behind it, the short way is
 * tried first. Some of the records are damaged in one byte of their framing. */
static void a_record_reads_alike_alone_and_among_others(void **state)
{
    static char bytes[2 * RECORD_BYTES_MAX + TAIL_BYTES];
    uint32_t seed = 1;
    int good = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct arena arena = {0};
        struct str record = random_record(&arena, &seed);
        struct record alone = {0};
        struct record among = {0};
        size_t used_alone;
        size_t used_among;
        bool is_good;

        memcpy(bytes, record.ptr, record.len);
        memset(bytes + record.len, 0, TAIL_BYTES);
        if (i % 2 == 0) {
            bytes[next_random(&seed) % MIN(record.len, (size_t)16)] ^=
                (char)(1 << next_random(&seed) % 8);
        }
        is_good = read_one(str_sub(bytes, record.len), &alone, &used_alone);
        if (is_good) {
            assert_true(read_one(str_sub(bytes, record.len + TAIL_BYTES),
                                 &among, &used_among));
            assert_same(&alone, &among);
            assert_int_equal(used_alone, used_among);
            good++;
        } else if (i % 2 != 0) {
            fail_msg("record %d could not be read", i);
        }
        arena_reset(&arena);
    }
    assert_true(good > ROUNDS / 2);
}

/* What a short way must not take: parts that reach beyond their record. */
static void parts_that_do_not_fill_their_record_are_refused(void **state)
{
    /* length, attributes, times, offset, key, value, headers */
    static const uint8_t records[][TAIL_BYTES] = {
        {14, 0, 0, 0, 1, 10, 'a', 'b', 0}, /* the value ends behind it */
        {14, 0, 0, 0, 14, 'a', 'b', 0},    /* the key ends behind it */
        {16, 0, 0, 0, 1, 2, 'a', 0, 0},    /* a byte is left over */
        {14, 0, 0, 0, 1, 3, 0, 0},         /* a length of -2 */
        {14, 0, 0, 0, 1, 2, 'a', 1},       /* a count of -1 headers */
        {13, 0, 0, 0, 1, 2, 'a', 0},       /* a record of negative length */
        {0, 0, 0, 0, 1, 2, 'a', 0},        /* a record of no bytes */
    };
    struct record record;
    size_t used;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(records); i++) {
        assert_false(
            read_one(str_sub(records[i], TAIL_BYTES), &record, &used));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_alike_alone_and_among_others),
        cmocka_unit_test(parts_that_do_not_fill_their_record_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
