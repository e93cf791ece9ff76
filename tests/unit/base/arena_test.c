/* The arena: pieces, alignment, hooks, one end for all. */
#include "base/arena.h"

#include "lib/fixture.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena arena = {0};
    uint8_t *before = NULL;

    for (size_t bytes = 0; bytes < 3000; bytes += 7) {
        uint8_t *piece = arena_alloc(&arena, bytes);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(piece[i], 0);
        }
        memset(piece, 0xaa, bytes);
        arena_raw(&arena, bytes % 5);
        assert_true(bytes <= 7 || piece != before);
        before = piece;
    }
    arena_reset(&arena);
}

static void a_piece_larger_than_any_block_fits(void **state)
{
    struct arena arena = {0};
    char *small = arena_alloc(&arena, 10);
    char *large = arena_alloc(&arena, 1 << 20);

    memset(small, 1, 10);
    memset(large, 2, 1 << 20);
    assert_int_equal(small[9], 1);
    assert_int_equal(arena_used_bytes(&arena), 10 + (1 << 20));
    arena_reset(&arena);
    assert_int_equal(arena_used_bytes(&arena), 0);
}

static void text_is_copied_with_a_nul_and_null_stays_null(void **state)
{
    struct arena arena = {0};
    struct str text = arena_str(&arena, str_sub("abcdef", 3));

    assert_string_equal(text.ptr, "abc");
    assert_int_equal(text.len, 3);
    assert_true(str_is_null(arena_str(&arena, STR_NULL)));
    text = arena_str(&arena, STR_LIT(""));
    assert_false(str_is_null(text));
    text = arena_printf(&arena, "%s-%d", "orders", 3);
    assert_string_equal(text.ptr, "orders-3");
    assert_int_equal(text.len, 8);
    arena_reset(&arena);
}

static void what_an_arena_holds_is_charged_to_its_budget(void **state)
{
    struct budget budget;
    struct arena arena = {.budget = &budget};

    budget_init(&budget, 4096);
    arena_alloc(&arena, 10);
    assert_true(atomic_load(&budget.used_bytes) >= 10);
    arena_alloc(&arena, 1 << 20); /* more than there is: in use all the same */
    assert_true(atomic_load(&budget.used_bytes) >= 1 << 20);
    assert_false(budget_take(&budget, 1));
    arena_reset(&arena);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    arena_alloc(&arena, 10);
    assert_true(atomic_load(&budget.used_bytes) >= 10);
    arena_reset(&arena);
    assert_true(budget_take(&budget, 4096));
}

struct hook {
    struct arena_cleanup cleanup;
    char name;
    char *log;
};

static void lent_memory_is_used_first_and_forgotten_by_a_reset(void **state)
{
    static _Alignas(max_align_t) uint8_t lent[64];
    struct budget budget;
    struct arena arena = {.budget = &budget};
    uint8_t *piece;

    (void)state;
    budget_init(&budget, 1 << 20);
    memset(lent, 0xff, sizeof(lent));
    arena_lend(&arena, lent, sizeof(lent));
    piece = arena_alloc(&arena, 40);
    assert_ptr_equal(piece, lent);
    assert_int_equal(piece[0] | piece[39], 0);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    piece = arena_alloc(&arena, 40);
    assert_false(piece >= lent && piece < lent + sizeof(lent));
    assert_true(atomic_load(&budget.used_bytes) > 0);
    arena_reset(&arena);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    piece = arena_raw(&arena, 1);
    assert_false(piece >= lent && piece < lent + sizeof(lent));
    arena_reset(&arena);
}

static void hook_run(struct arena_cleanup *cleanup)
{
    struct hook *hook = container_of(cleanup, struct hook, cleanup);

    hook->log[strlen(hook->log)] = hook->name;
}

static void hooks_run_at_reset_newest_first_and_once(void **state)
{
    struct arena arena = {0};
    char log[8] = "";

    for (char name = 'a'; name <= 'c'; name++) {
        struct hook *hook = ARENA_NEW(&arena, struct hook);

        *hook = (struct hook){{hook_run, NULL}, name, log};
        arena_on_reset(&arena, &hook->cleanup);
    }
    arena_reset(&arena);
    assert_string_equal(log, "cba");
    arena_reset(&arena);
    assert_string_equal(log, "cba");
}

static void overflow(void *arg)
{
    arena_array(arg, SIZE_MAX / 2, 3);
}

static void an_array_whose_size_overflows_is_a_bug(void **state)
{
    struct arena arena = {0};

    assert_non_null(arena_array(&arena, 3, 8));
    assert_int_equal(arena_used_bytes(&arena), 24);
    assert_true(fixture_aborts(overflow, &arena));
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_piece_larger_than_any_block_fits),
        cmocka_unit_test(what_an_arena_holds_is_charged_to_its_budget),
        cmocka_unit_test(lent_memory_is_used_first_and_forgotten_by_a_reset),
        cmocka_unit_test(text_is_copied_with_a_nul_and_null_stays_null),
        cmocka_unit_test(hooks_run_at_reset_newest_first_and_once),
        cmocka_unit_test(an_array_whose_size_overflows_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
