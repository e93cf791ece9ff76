/* entry_core_test.c - entries to a batch and back. */
#include "quorum/entry_core.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include "wire/batch.h"

static const char voters[24] = "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1";

static struct str build(struct arena *arena, uint64_t first, int32_t term)
{
    struct entry entries[] = {
        {term, ENTRY_CHANGE, {voters, sizeof(voters)}},
        {term, ENTRY_COMMAND, {"hello", 5}},
        {term, ENTRY_COMMAND, {NULL, 0}},
        {term, ENTRY_BARRIER, {"\0\0\0\0\0\0\0\0", 8}},
    };
    struct entry_run run = {first, entries, ARRAY_COUNT(entries)};
    struct str batch = STR_NULL;

    assert_int_equal(entry_batch_build(&run, 1000, arena, &batch), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        assert_true(entries[i].payload.ptr >= batch.ptr &&
                    entries[i].payload.ptr + entries[i].payload.len <=
                        batch.ptr + batch.len);
    }
    return batch;
}

static enum err parse(struct str batch, struct entry_run *run,
                      struct arena *arena)
{
    size_t took = 0;
    struct why why;
    enum err err = entry_batch_parse(batch, arena, run, &took, &why);

    if (err == ERR_NONE) {
        assert_int_equal(took, batch.len);
    }
    return err;
}

static void entries_come_back(void **state)
{
    struct arena arena = {0};
    struct entry_run run;

    assert_int_equal(parse(build(&arena, 41, 7), &run, &arena), ERR_NONE);
    assert_int_equal(run.first, 41);
    assert_int_equal(run.count, 4);
    assert_int_equal(run.entries[0].type, ENTRY_CHANGE);
    assert_int_equal(run.entries[1].term, 7);
    assert_memory_equal(run.entries[1].payload.ptr, "hello", 5);
    assert_int_equal(run.entries[2].payload.len, 0);
    assert_int_equal(run.entries[3].type, ENTRY_BARRIER);
    arena_reset(&arena);
}

/* Base offset and leader epoch lie outside of the CRC: the keys find it. */
static void a_flipped_bit_anywhere_is_found(void **state)
{
    struct arena arena = {0};
    struct str batch = build(&arena, 41, 7);
    struct entry_run run;

    for (size_t bit = 0; bit < batch.len * 8; bit++) {
        char *copy = mem_dup(batch.ptr, batch.len);

        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(parse(str_sub(copy, batch.len), &run, &arena),
                             ERR_NONE);
        mem_free(copy);
    }
    arena_reset(&arena);
}

static void half_a_batch_is_torn(void **state)
{
    struct arena arena = {0};
    struct str batch = build(&arena, 41, 7);
    struct entry_run run;

    for (size_t bytes = 0; bytes < batch.len; bytes++) {
        char *copy = mem_alloc(bytes);

        memcpy(copy, batch.ptr, bytes);
        assert_int_equal(parse(str_sub(copy, bytes), &run, &arena), ERR_TORN);
        mem_free(copy);
    }
    arena_reset(&arena);
}

/* A batch that is whole, but not one of ours. */
static void a_producers_batch_is_no_entry(void **state)
{
    struct arena arena = {0};
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct entry_run run;
    struct str batch = STR_NULL;

    options.base_offset = 1;
    options.leader_epoch = 1;
    batch_builder_init(&builder, &arena, &options, 100);
    batch_builder_add(&builder, &(struct batch_record){
                                    .value = STR_LIT("a value, and no key"),
                                });
    assert_int_equal(batch_builder_finish(&builder, &batch), ERR_NONE);
    assert_int_equal(parse(batch, &run, &arena), ERR_DAMAGED);
    arena_reset(&arena);
}

/* Lies with a right CRC: type, membership, index, term. */
static void a_sealed_lie_is_found(void **state)
{
    static const struct {
        size_t at; /* in the key of the first record, or its value */
        uint8_t byte;
    } cases[] = {{0, 2}, {1, 9}, {9, 40}, {13, 8}, {14 + 1, 9}, {14 + 1, 0}};
    struct arena arena = {0};

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str batch = build(&arena, 41, 7);
        char *at = (char *)(uintptr_t)batch.ptr;
        char *key = memmem(at, batch.len, "\1\3\0\0\0\0\0\0\0\51", 10);
        struct entry_run run;

        assert_non_null(key);
        /* Behind the key, one byte of length, comes the value. */
        key[cases[i].at] = (char)cases[i].byte;
        batch_seal(at);
        assert_int_equal(parse(batch, &run, &arena), ERR_DAMAGED);
    }
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(half_a_batch_is_torn),
        cmocka_unit_test(a_producers_batch_is_no_entry),
        cmocka_unit_test(a_sealed_lie_is_found),
    };

    return cmocka_run_group_tests_name("quorum/entry_core", tests, NULL, NULL);
}
