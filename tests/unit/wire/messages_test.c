/* messages_test.c - every message of every version, filled at random.
 *
 * What is encoded and decoded again must be the same message, and hostile bytes
 * may only make a decoder fail. Each round has its own seed, which a failure
 * prints. */
#include "lib/fixture.h"
#include "lib/wire_value.h"

#include <stdio.h>

enum { ROUNDS = 40, MUTATIONS = 60 };

typedef void each(const struct wire_message *message, int version,
                  uint64_t seed);

static void for_each_message(each *run, uint64_t rounds)
{
    for (int i = 0; i < wire_messages_count; i++) {
        const struct wire_message *m = &wire_messages[i];

        for (int v = m->versions.first; v <= m->versions.last; v++) {
            for (uint64_t seed = 1; seed <= rounds; seed++) {
                run(m, v, seed * 1000003 + (uint64_t)i * 101 + (uint64_t)v);
            }
        }
    }
}

static struct str encode(const struct wire_message *message, int version,
                         const void *value, struct arena *arena)
{
    struct writer w;

    writer_init(&w, arena, 0);
    message->encode(&w, (int16_t)version, value);
    assert_false(w.failed);
    return writer_output(&w);
}

/* A message of the seed, encoded, and room to decode it into. */
struct sample {
    struct arena arena; /* of all of it */
    uint64_t state;     /* of the random numbers to come */
    void *in;
    void *out;
    struct str bytes;
};

static struct sample sample_of(const struct wire_message *message, int version,
                               uint64_t seed)
{
    struct sample s = {.state = seed};

    s.in = wire_value_fill(message, version, &s.state, &s.arena);
    s.out = arena_alloc(&s.arena, message->top->size);
    s.bytes = encode(message, version, s.in, &s.arena);
    return s;
}

static void check_round_trip(const struct wire_message *message, int version,
                             uint64_t seed)
{
    struct sample s = sample_of(message, version, seed);
    struct str before, after;
    struct reader r;

    reader_init(&r, s.bytes.ptr, s.bytes.len);
    message->decode(&r, &s.arena, (int16_t)version, s.out);
    before = wire_value_dump(message, version, s.in, &s.arena);
    after = wire_value_dump(message, version, s.out, &s.arena);
    if (reader_finish(&r) || !str_eq(before, after) ||
        !str_eq(s.bytes, encode(message, version, s.out, &s.arena))) {
        printf("%s version %d seed %llu\n  %.*s\n  %.*s\n", message->name,
               version, (unsigned long long)seed, STR_ARG(before),
               STR_ARG(after));
        fail();
    }
    arena_reset(&s.arena);
}

static void what_is_encoded_is_decoded(void **state)
{
    for_each_message(check_round_trip, ROUNDS);
}

/* Changes, cuts or repeats bytes. The bytes lie in a block of exactly their
 * size, so that a sanitizer sees a read beyond them. */
static void check_mutation(const struct wire_message *message, int version,
                           uint64_t seed)
{
    struct sample s = sample_of(message, version, seed);
    char *bytes = test_malloc(s.bytes.len + 1);
    size_t count = s.bytes.len;
    struct reader r;

    memcpy(bytes, s.bytes.ptr, s.bytes.len);
    for (uint64_t n = fixture_random(&s.state) % 4; n > 0 && count > 0; n--) {
        uint64_t what = fixture_random(&s.state);
        bytes[(what >> 8) % count] = (char)(what >> 40);
        if ((what & 15) == 0) {
            count = (what >> 16) % count;
        }
    }
    bytes = test_realloc(bytes, MAX(count, (size_t)1));
    reader_init(&r, bytes, count);
    message->decode(&r, &s.arena, (int16_t)version, s.out);
    if (!r.failed) {
        encode(message, version, s.out, &s.arena);
    }
    test_free(bytes);
    arena_reset(&s.arena);
}

static void hostile_bytes_only_make_a_decoder_fail(void **state)
{
    for_each_message(check_mutation, MUTATIONS);
}

static void check_truncation(const struct wire_message *message, int version,
                             uint64_t seed)
{
    struct sample s = sample_of(message, version, seed);

    for (size_t count = 0; count < MIN(s.bytes.len, (size_t)200); count++) {
        struct reader r;

        reader_init(&r, s.bytes.ptr, count);
        message->decode(&r, &s.arena, (int16_t)version, s.out);
        assert_true(r.failed);
    }
    arena_reset(&s.arena);
}

static void a_message_that_ends_early_is_refused(void **state)
{
    for_each_message(check_truncation, 2);
}

static void check_default(const struct wire_message *message, int version,
                          uint64_t seed)
{
    struct arena arena = {0};
    void *in = arena_alloc(&arena, message->top->size);
    void *out = arena_alloc(&arena, message->top->size);
    struct str bytes;
    struct reader r;

    message->init(in);
    bytes = encode(message, version, in, &arena);
    reader_init(&r, bytes.ptr, bytes.len);
    message->decode(&r, &arena, (int16_t)version, out);
    assert_int_equal(reader_finish(&r), ERR_NONE);
    memset(in, 0, message->top->size);
    encode(message, version, in, &arena);
    arena_reset(&arena);
}

static void a_message_of_defaults_or_zeroes_can_be_encoded(void **state)
{
    for_each_message(check_default, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(hostile_bytes_only_make_a_decoder_fail),
        cmocka_unit_test(a_message_that_ends_early_is_refused),
        cmocka_unit_test(a_message_of_defaults_or_zeroes_can_be_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
