/* tail_test.c - the newest entries, terms and memberships in memory. */
#include "quorum/tail.h"
#include "base/mem.h"
#include "lib/fixture.h"

static void put(struct tail *tail, int32_t term, enum entry_type type,
                const char *payload)
{
    struct tail_block *block = tail_block_new();
    struct entry entry = {term, type,
                          arena_str(&block->arena, str_of(payload))};

    tail_put(tail, &entry, block);
    tail_block_unref(block);
}

static void finds(const struct tail *tail, uint64_t index, const char *payload)
{
    struct entry entry;

    assert_true(tail_find(tail, index, &entry));
    assert_true(str_eq(entry.payload, str_of(payload)));
}

static void entries_are_found_until_they_are_cut(void **state)
{
    struct tail tail;
    struct entry entry;

    tail_init(&tail, 5);
    put(&tail, 1, ENTRY_COMMAND, "five");
    put(&tail, 1, ENTRY_COMMAND, "six");
    put(&tail, 2, ENTRY_COMMAND, "seven");
    finds(&tail, 5, "five");
    finds(&tail, 7, "seven");
    assert_int_equal(tail_term_of(&tail, 6), 1);
    assert_int_equal(tail_term_of(&tail, 7), 2);
    assert_int_equal(tail_term_of(&tail, 8), 0);
    assert_int_equal(tail_term_of(&tail, 4), 0);
    tail_cut(&tail, 6);
    assert_int_equal(tail.last, 5);
    assert_false(tail_find(&tail, 6, &entry));
    put(&tail, 3, ENTRY_COMMAND, "new six");
    finds(&tail, 6, "new six");
    assert_int_equal(tail_term_of(&tail, 6), 3);
    assert_int_equal(tail.run_count, 2);
    tail_fini(&tail);
}

static void payloads_are_forgotten_and_terms_are_not(void **state)
{
    struct tail tail;
    struct entry entry;

    tail_init(&tail, 1);
    for (int i = 0; i < 1000; i++) {
        put(&tail, 1 + i / 100, ENTRY_COMMAND, "0123456789");
    }
    assert_int_equal(tail.cached_bytes, 10000);
    tail_forget(&tail, 990, 5000);
    assert_int_equal(tail.cached, 501);
    tail_forget(&tail, 990, 0);
    assert_int_equal(tail.cached, 991);
    assert_false(tail_find(&tail, 990, &entry));
    finds(&tail, 991, "0123456789");
    assert_int_equal(tail_term_of(&tail, 100), 1);
    assert_int_equal(tail_term_of(&tail, 101), 2);
    assert_int_equal(tail_term_of(&tail, 1000), 10);
    tail_forget(&tail, 5000, 0);
    assert_int_equal(tail.cached_bytes, 0);
    put(&tail, 11, ENTRY_COMMAND, "next");
    assert_int_equal(tail.capacity, 64); /* the burst's memory is given up */
    finds(&tail, 1001, "next");
    tail_fini(&tail);
}

static void a_cut_below_the_cached_ones_leaves_nothing_cached(void **state)
{
    struct tail tail;

    tail_init(&tail, 1);
    put(&tail, 1, ENTRY_COMMAND, "one");
    put(&tail, 1, ENTRY_COMMAND, "two");
    put(&tail, 1, ENTRY_COMMAND, "three");
    tail_forget(&tail, 2, 0);
    tail_cut(&tail, 2);
    assert_int_equal(tail.cached, 2);
    assert_int_equal(tail.cached_bytes, 0);
    put(&tail, 2, ENTRY_COMMAND, "other two");
    finds(&tail, 2, "other two");
    tail_fini(&tail);
}

static void the_head_goes_and_its_terms_with_it(void **state)
{
    struct tail tail;

    tail_init(&tail, 1);
    for (int term = 1; term <= 4; term++) {
        put(&tail, term, ENTRY_COMMAND, "a");
        put(&tail, term, ENTRY_COMMAND, "b");
    }
    tail_cut_head(&tail, 4);
    assert_int_equal(tail.first, 4);
    assert_int_equal(tail_term_of(&tail, 3), 0);
    assert_int_equal(tail_term_of(&tail, 4), 2);
    assert_int_equal(tail_term_of(&tail, 5), 3);
    assert_int_equal(tail.run_count, 3);
    finds(&tail, 4, "b");
    tail_cut_head(&tail, 9);
    assert_int_equal(tail.last, 8);
    assert_int_equal(tail.run_count, 0);
    put(&tail, 4, ENTRY_COMMAND, "nine");
    assert_int_equal(tail_term_of(&tail, 9), 4);
    tail_fini(&tail);
}

static void runs_of_a_checkpoint_stand_for_entries(void **state)
{
    static const struct stable_run runs[] = {{1, 1}, {4, 2}, {8, 5}};
    struct tail tail;

    tail_init(&tail, 5); /* the log was cut after the checkpoint */
    tail_put_runs(&tail, runs, 3, 9);
    assert_int_equal(tail.last, 9);
    assert_int_equal(tail_term_of(&tail, 5), 2);
    assert_int_equal(tail_term_of(&tail, 7), 2);
    assert_int_equal(tail_term_of(&tail, 9), 5);
    put(&tail, 5, ENTRY_COMMAND, "ten");
    finds(&tail, 10, "ten");
    assert_int_equal(tail.run_count, 2);
    tail_fini(&tail);
}

static void memberships_are_kept_until_a_checkpoint_holds_them(void **state)
{
    struct tail tail;

    tail_init(&tail, 1);
    put(&tail, 1, ENTRY_CHANGE, "A");
    put(&tail, 1, ENTRY_COMMAND, "x");
    put(&tail, 1, ENTRY_CHANGE, "B");
    put(&tail, 1, ENTRY_CHANGE, "C");
    assert_int_equal(tail_change_at(&tail, 2)->index, 1);
    assert_int_equal(tail_change_at(&tail, 3)->index, 3);
    assert_int_equal(tail_change_above(&tail, 1)->index, 3);
    assert_null(tail_change_above(&tail, 4));
    tail_cut(&tail, 4);
    assert_int_equal(tail_change_at(&tail, 9)->index, 3);
    tail_forget(&tail, 3, 0);
    assert_memory_equal(tail_change_at(&tail, 9)->voters, "B", 1);
    tail_forget_changes(&tail, 2);
    assert_null(tail_change_at(&tail, 2));
    assert_int_equal(tail_change_at(&tail, 3)->index, 3);
    tail_fini(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_until_they_are_cut),
        cmocka_unit_test(payloads_are_forgotten_and_terms_are_not),
        cmocka_unit_test(a_cut_below_the_cached_ones_leaves_nothing_cached),
        cmocka_unit_test(the_head_goes_and_its_terms_with_it),
        cmocka_unit_test(runs_of_a_checkpoint_stand_for_entries),
        cmocka_unit_test(memberships_are_kept_until_a_checkpoint_holds_them),
    };

    return cmocka_run_group_tests_name("quorum/tail", tests, NULL, NULL);
}
