/* The memory that frames are read into. */
#include "net/block.h"

#include "lib/fixture.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include <string.h>

enum { KIB = 1024 };

struct pool {
    struct simclock clock;
    struct simenv *sim;
    struct budget budget;
    struct block_pool pool;
    int given;
};

static void pool_given(void *arg)
{
    ((struct pool *)arg)->given++;
}

static void pool_open(struct pool *p, uint64_t budget_bytes)
{
    *p = (struct pool){.given = 0};
    simclock_init(&p->clock, 1);
    p->sim = simenv_open(&p->clock, NULL);
    budget_init(&p->budget, budget_bytes);
    block_pool_init(&p->pool, simenv_env(p->sim), &p->budget, pool_given, p);
}

static void pool_close(struct pool *p)
{
    block_pool_fini(&p->pool);
    assert_int_equal(atomic_load(&p->budget.used_bytes), 0);
    simenv_close(p->sim);
    simclock_fini(&p->clock);
}

static void a_block_is_as_large_as_wanted_or_larger(void **state)
{
    static const uint32_t wanted[] = {1,          64 * KIB,   64 * KIB + 1,
                                      4096 * KIB, 4097 * KIB, 9000 * KIB};
    struct pool p;

    pool_open(&p, UINT64_C(1) << 30);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        struct block *block = block_new(&p.pool, wanted[i]);

        assert_true(block->capacity >= wanted[i]);
        assert_int_equal(block->filled, 0);
        assert_int_equal(atomic_load(&p.budget.used_bytes), block->capacity);
        block_unref(block);
    }
    assert_int_equal(p.given, (int)ARRAY_COUNT(wanted));
    pool_close(&p);
}

static void the_last_reference_gives_a_block_back(void **state)
{
    struct pool p;
    struct block *block;

    pool_open(&p, 1 << 20);
    block = block_new(&p.pool, 100);
    block_ref(block);
    block_unref(block);
    assert_int_equal(p.given, 0);
    assert_int_equal(atomic_load(&p.budget.used_bytes), 64 * KIB);
    block_unref(block);
    assert_int_equal(p.given, 1);
    assert_int_equal(atomic_load(&p.budget.used_bytes), 0);
    block_unref(NULL);
    assert_ptr_equal(block_new(&p.pool, 100), block); /* it is warm still */
    block_unref(block);
    pool_close(&p);
}

static void a_budget_that_is_used_up_refuses(void **state)
{
    struct pool p;
    struct block *first, *second;

    pool_open(&p, 128 * KIB);
    first = block_new(&p.pool, 64 * KIB);
    second = block_new(&p.pool, 64 * KIB);
    assert_non_null(second);
    assert_null(block_new(&p.pool, 1));
    block_unref(first);
    first = block_new(&p.pool, 1);
    assert_non_null(first);
    block_unref(first);
    block_unref(second);
    pool_close(&p);
}

/* An idle process keeps no memory and sets no timer. */
static void a_pool_that_rests_is_emptied(void **state)
{
    struct pool p;

    pool_open(&p, 1 << 20);
    block_unref(block_new(&p.pool, 100));
    assert_int_equal(p.pool.free_bytes, 64 * KIB);
    simclock_run_for_ms(&p.clock, 500);
    assert_int_equal(p.pool.free_bytes, 64 * KIB);
    simclock_run_for_ms(&p.clock, 3 * BLOCK_POOL_IDLE_MS);
    assert_int_equal(p.pool.free_bytes, 0);
    assert_true(simenv_is_idle(p.sim));
    pool_close(&p);
}

static void a_cell_is_warm_until_the_pool_rests(void **state)
{
    struct pool p;
    void *first, *second;

    pool_open(&p, 1 << 20);
    first = block_cell_take(&p.pool);
    second = block_cell_take(&p.pool);
    memset(first, 1, BLOCK_CELL_BYTES);
    memset(second, 2, BLOCK_CELL_BYTES);
    block_cell_give(&p.pool, first);
    block_cell_give(&p.pool, second);
    assert_ptr_equal(block_cell_take(&p.pool), second);
    assert_ptr_equal(block_cell_take(&p.pool), first);
    block_cell_give(&p.pool, first);
    block_cell_give(&p.pool, second);
    simclock_run_for_ms(&p.clock, 3 * BLOCK_POOL_IDLE_MS);
    assert_int_equal(p.pool.cell_count, 0);
    assert_null(p.pool.cells);
    assert_true(simenv_is_idle(p.sim));
    pool_close(&p);
}

static void a_pool_keeps_no_more_cells_than_its_limit(void **state)
{
    static void *cells[BLOCK_CELLS_MAX + 10];
    struct pool p;

    pool_open(&p, 1 << 20);
    for (size_t i = 0; i < ARRAY_COUNT(cells); i++) {
        cells[i] = block_cell_take(&p.pool);
    }
    for (size_t i = 0; i < ARRAY_COUNT(cells); i++) {
        block_cell_give(&p.pool, cells[i]);
    }
    assert_int_equal(p.pool.cell_count, BLOCK_CELLS_MAX);
    pool_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_as_large_as_wanted_or_larger),
        cmocka_unit_test(the_last_reference_gives_a_block_back),
        cmocka_unit_test(a_budget_that_is_used_up_refuses),
        cmocka_unit_test(a_pool_that_rests_is_emptied),
        cmocka_unit_test(a_cell_is_warm_until_the_pool_rests),
        cmocka_unit_test(a_pool_keeps_no_more_cells_than_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
