/* compress_test.c - the codecs there and back, foreign framings, bombs. */
#include "lib/fixture.h"
#include "wire/compress.h"
#include "base/bytes.h"

enum { TEXT_BYTES = 300000, NO_LIMIT = 1 << 30 };

struct fixture {
    struct arena arena;
    char text[TEXT_BYTES];
};

static int setup(void **state)
{
    static struct fixture f;
    uint64_t seed = 7;

    f.arena = (struct arena){0};
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        f.text[i] = (char)('a' + fixture_random(&seed) % 5);
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&((struct fixture *)*state)->arena);
    return 0;
}

static void every_codec_gives_back_what_it_was_given(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, TEXT_BYTES};

    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            struct str in = str_sub(f->text, sizes[i]), packed, out;

            assert_int_equal(compress_encode(codec, COMPRESS_LEVEL_DEFAULT, in,
                                             &f->arena, &packed),
                             ERR_NONE);
            assert_int_equal(
                compress_decode(codec, packed, sizes[i], &f->arena, &out),
                ERR_NONE);
            assert_true(str_eq(in, out));
            if (sizes[i] == TEXT_BYTES && codec != CODEC_NONE) {
                assert_true(packed.len < in.len * 3 / 4);
            }
        }
    }
}

static void levels_are_the_codec_s_own(void **state)
{
    struct fixture *f = *state;
    struct str in = str_sub(f->text, TEXT_BYTES), packed, out;
    static const struct {
        int codec;
        int level;
        enum err err;
    } cases[] = {
        {CODEC_GZIP, 1, ERR_NONE},     {CODEC_GZIP, 9, ERR_NONE},
        {CODEC_GZIP, 10, ERR_INVALID}, {CODEC_LZ4, 9, ERR_NONE},
        {CODEC_LZ4, 17, ERR_NONE},     {CODEC_ZSTD, -5, ERR_NONE},
        {CODEC_ZSTD, 19, ERR_NONE},    {CODEC_ZSTD, 23, ERR_INVALID},
        {CODEC_SNAPPY, 3, ERR_NONE},   {5, 1, ERR_UNSUPPORTED},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(compress_encode(cases[i].codec, cases[i].level, in,
                                         &f->arena, &packed),
                         cases[i].err);
        if (cases[i].err == ERR_NONE) {
            assert_int_equal(compress_decode(cases[i].codec, packed, NO_LIMIT,
                                             &f->arena, &out),
                             ERR_NONE);
            assert_true(str_eq(in, out));
        }
    }
}

static void one_byte_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct str in = str_sub(f->text, 50000), packed, out;

    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        assert_int_equal(compress_encode(codec, COMPRESS_LEVEL_DEFAULT, in,
                                         &f->arena, &packed),
                         ERR_NONE);
        assert_int_equal(
            compress_decode(codec, packed, in.len - 1, &f->arena, &out),
            ERR_TOO_LARGE);
        assert_int_equal(
            compress_decode(codec, packed, in.len, &f->arena, &out), ERR_NONE);
    }
}

/* 64 MiB of zeroes pack to very little. What unpacking them gives, with at most
 * so many bytes of them and so many in the budget, and what it takes at most.
 */
static void unpack_a_bomb(size_t limit, uint64_t budget_bytes, enum err err,
                          uint64_t used_max)
{
    size_t bytes = (size_t)64 << 20;
    struct arena big = {0};
    struct str in = str_sub(arena_alloc(&big, bytes), bytes), packed, out;

    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct budget budget;
        struct arena arena = {.budget = &budget};

        budget_init(&budget, budget_bytes);
        assert_int_equal(
            compress_encode(codec, COMPRESS_LEVEL_DEFAULT, in, &big, &packed),
            ERR_NONE);
        assert_int_equal(compress_decode(codec, packed, limit, &arena, &out),
                         err);
        assert_true(budget.used_bytes <= used_max);
        arena_reset(&arena);
        assert_int_equal(budget.used_bytes, 0);
    }
    arena_reset(&big);
}

static void a_bomb_costs_no_more_than_the_limit(void **state)
{
    unpack_a_bomb(1 << 20, UINT64_MAX, ERR_TOO_LARGE, (1 << 20) + 4096);
}

static void what_the_budget_has_no_room_for_is_busy(void **state)
{
    unpack_a_bomb(64 << 20, 16 << 20, ERR_BUSY, 17 << 20);
}

static void a_stream_that_ends_early_or_is_damaged_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct str in = str_sub(f->text, 5000), packed, out;

    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        assert_int_equal(compress_encode(codec, COMPRESS_LEVEL_DEFAULT, in,
                                         &f->arena, &packed),
                         ERR_NONE);
        packed.len -= 3;
        assert_int_equal(
            compress_decode(codec, packed, NO_LIMIT, &f->arena, &out),
            ERR_CORRUPT);
        assert_int_equal(compress_decode(codec, STR_LIT("no such thing"),
                                         NO_LIMIT, &f->arena, &out),
                         ERR_CORRUPT);
    }
    assert_int_equal(compress_decode(7, packed, NO_LIMIT, &f->arena, &out),
                     ERR_UNSUPPORTED);
    assert_int_equal(compress_decode(-1, packed, NO_LIMIT, &f->arena, &out),
                     ERR_UNSUPPORTED);
}

/* librdkafka and others write one raw block, without Java's framing. */
static void snappy_without_framing_is_read(void **state)
{
    struct fixture *f = *state;
    struct str out;

    assert_int_equal(compress_decode(CODEC_SNAPPY, STR_LIT("\x05\x10hello"),
                                     NO_LIMIT, &f->arena, &out),
                     ERR_NONE);
    assert_true(str_eq(out, STR_LIT("hello")));
}

static void snappy_blocks_that_lie_about_their_length_are_corrupt(void **state)
{
    struct fixture *f = *state;
    struct str out;

    assert_int_equal(
        compress_decode(CODEC_SNAPPY,
                        STR_LIT("\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\x09\x05"),
                        NO_LIMIT, &f->arena, &out),
        ERR_CORRUPT);
    assert_int_equal(compress_decode(CODEC_SNAPPY,
                                     STR_LIT("\xff\xff\xff\xff\x07\x10hello"),
                                     NO_LIMIT, &f->arena, &out),
                     ERR_CORRUPT);
}

/* Streaming encoders of zstd do not know the size; some write several frames.
 * Both parts below are "abc" as the zstd tool writes it from a pipe. */
static void zstd_without_a_size_and_in_several_frames_is_read(void **state)
{
    struct fixture *f = *state;
    static const char frames[] = "\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00"
                                 "abc"
                                 "\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00"
                                 "abc";
    struct str out;

    assert_int_equal(compress_decode(CODEC_ZSTD,
                                     str_sub(frames, sizeof(frames) - 1),
                                     NO_LIMIT, &f->arena, &out),
                     ERR_NONE);
    assert_true(str_eq(out, STR_LIT("abcabc")));
}

static void gzip_of_several_members_is_read(void **state)
{
    struct fixture *f = *state;
    struct str one, out;
    uint8_t *two;

    assert_int_equal(
        compress_encode(CODEC_GZIP, 1, STR_LIT("abc"), &f->arena, &one),
        ERR_NONE);
    two = arena_alloc(&f->arena, one.len * 2);
    memcpy(two, one.ptr, one.len);
    memcpy(two + one.len, one.ptr, one.len);
    assert_int_equal(compress_decode(CODEC_GZIP, str_sub(two, one.len * 2),
                                     NO_LIMIT, &f->arena, &out),
                     ERR_NONE);
    assert_true(str_eq(out, STR_LIT("abcabc")));
}

/* Java's reader refuses dependent blocks; its framing of snappy is fixed. */
static void what_java_reads_is_written(void **state)
{
    struct fixture *f = *state;
    struct str in = str_sub(f->text, TEXT_BYTES), out;

    assert_int_equal(
        compress_encode(CODEC_LZ4, COMPRESS_LEVEL_DEFAULT, in, &f->arena, &out),
        ERR_NONE);
    assert_memory_equal(out.ptr, "\x04\x22\x4d\x18\x60\x40", 6);
    assert_int_equal(compress_encode(CODEC_SNAPPY, COMPRESS_LEVEL_DEFAULT, in,
                                     &f->arena, &out),
                     ERR_NONE);
    assert_memory_equal(out.ptr, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
}

static void codecs_are_found_by_name(void **state)
{
    int codec = -1;

    for (int i = CODEC_NONE; i <= CODEC_ZSTD; i++) {
        assert_true(compress_find(str_of(compress_name(i)), &codec));
        assert_int_equal(codec, i);
    }
    assert_false(compress_find(STR_LIT("producer"), &codec));
    assert_string_equal(compress_name(9), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_codec_gives_back_what_it_was_given),
        TEST(levels_are_the_codec_s_own),
        TEST(one_byte_over_the_limit_is_refused),
        TEST(a_bomb_costs_no_more_than_the_limit),
        TEST(what_the_budget_has_no_room_for_is_busy),
        TEST(a_stream_that_ends_early_or_is_damaged_is_corrupt),
        TEST(snappy_without_framing_is_read),
        TEST(snappy_blocks_that_lie_about_their_length_are_corrupt),
        TEST(zstd_without_a_size_and_in_several_frames_is_read),
        TEST(gzip_of_several_members_is_read),
        TEST(what_java_reads_is_written),
        TEST(codecs_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
