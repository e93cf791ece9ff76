/* block.c - pooled frame memory, in powers of two.
 *
 * 1. block_new(): the budget is asked, then the pool, then the system.
 * 2. Who reads into a block, and each request whose frame lies in it, has a
 *    reference.
 * 3. The last block_unref() gives the bytes back to the budget and the block to
 *    the pool, or to the system when the pool has enough of them.
 * 4. A second after the last use the timer empties the pool.
 *
 * The budget counts what is handed out, not what the pool keeps: the pool has a
 * bound of its own.
 *
 * Invariants:
 * 1. A block in the pool has no reference and the size of its class.
 * 2. free_bytes is the sum of the pool's blocks, at most BLOCK_POOL_BYTES_MAX.
 * 3. The timer runs while something is in the pool. */
#include "net/block.h"

#include "base/mem.h"
#include "base/must.h"

/* Memory of a cell while it is in the pool. */
struct block_cell {
    struct block_cell *next;
};

/* The size class of a capacity; BLOCK_CLASSES when it is not pooled. */
static unsigned block_class(uint32_t capacity)
{
    uint64_t bytes = BLOCK_BYTES_MIN;
    unsigned class = 0;

    while (class < BLOCK_CLASSES && bytes < capacity) {
        bytes *= 2;
        class ++;
    }
    return class;
}

/* All of it back to the system. */
static void block_pool_trim(struct block_pool *pool)
{
    for (unsigned i = 0; i < BLOCK_CLASSES; i++) {
        while (pool->free[i] != NULL) {
            struct block *block = pool->free[i];

            pool->free[i] = block->next;
            pool->free_bytes -= block->capacity;
            mem_free(block);
        }
    }
    must(pool->free_bytes == 0); /* invariant 2 */
    while (pool->cells != NULL) {
        struct block_cell *cell = pool->cells;

        pool->cells = cell->next;
        mem_free(cell);
    }
    pool->cell_count = 0;
}

/* A pool that was used since the last look is looked at once more: an idle
 * process has no timer and no spare memory. */
static void block_pool_trim_due(struct env_timer *timer)
{
    struct block_pool *pool = container_of(timer, struct block_pool, trim);

    if (pool->touched) {
        pool->touched = false;
        env_timer_set(pool->env, &pool->trim, BLOCK_POOL_IDLE_MS);
        return;
    }
    pool->is_timed = false;
    block_pool_trim(pool);
    mem_trim();
}

/* Something was put into the pool. */
static void block_pool_touch(struct block_pool *pool)
{
    pool->touched = true;
    if (!pool->is_timed) {
        pool->is_timed = true;
        env_timer_set(pool->env, &pool->trim, BLOCK_POOL_IDLE_MS);
    }
}

void block_pool_init(struct block_pool *pool, struct env *env,
                     struct budget *budget, void (*given)(void *arg),
                     void *given_arg)
{
    *pool = (struct block_pool){.env = env,
                                .budget = budget,
                                .trim = {.fire = block_pool_trim_due},
                                .given = given,
                                .given_arg = given_arg};
}

void block_pool_fini(struct block_pool *pool)
{
    env_timer_stop(pool->env, &pool->trim);
    block_pool_trim(pool);
}

struct block *block_new(struct block_pool *pool, uint32_t capacity)
{
    unsigned class = block_class(capacity);
    struct block *block;

    if (class < BLOCK_CLASSES) {
        capacity = (uint32_t)BLOCK_BYTES_MIN << class;
    }
    if (class == 0 ? !budget_take(pool->budget, capacity)
                   : !budget_take_large(pool->budget, capacity)) {
        return NULL;
    }
    if (class < BLOCK_CLASSES && pool->free[class] != NULL) {
        block = pool->free[class];
        must(block->refs == 0 && block->capacity == capacity);
        pool->free[class] = block->next;
        pool->free_bytes -= capacity;
    } else {
        block = mem_alloc(sizeof(*block) + capacity);
    }
    block->refs = 1;
    block->capacity = capacity;
    block->filled = 0;
    block->pool = pool;
    block->next = NULL;
    return block;
}

void block_ref(struct block *block)
{
    must(block->refs > 0);
    block->refs++;
}

/* Back into the pool, or to the system when the pool has enough. */
static void block_give_back(struct block *block)
{
    struct block_pool *pool = block->pool;
    unsigned class = block_class(block->capacity);

    budget_give(pool->budget, block->capacity);
    if (class == BLOCK_CLASSES ||
        pool->free_bytes + block->capacity > BLOCK_POOL_BYTES_MAX) {
        mem_free(block);
        return;
    }
    block->next = pool->free[class];
    pool->free[class] = block;
    pool->free_bytes += block->capacity;
    block_pool_touch(pool);
}

void block_unref(struct block *block)
{
    struct block_pool *pool;

    if (block == NULL) {
        return;
    }
    must(block->refs > 0);
    if (--block->refs > 0) {
        return;
    }
    pool = block->pool;
    block_give_back(block);
    pool->given(pool->given_arg);
}

void *block_cell_take(struct block_pool *pool)
{
    struct block_cell *cell = pool->cells;

    if (cell == NULL) {
        return mem_alloc(BLOCK_CELL_BYTES);
    }
    pool->cells = cell->next;
    pool->cell_count--;
    return cell;
}

void block_cell_give(struct block_pool *pool, void *memory)
{
    struct block_cell *cell = memory;

    if (pool->cell_count == BLOCK_CELLS_MAX) {
        mem_free(cell);
        return;
    }
    cell->next = pool->cells;
    pool->cells = cell;
    pool->cell_count++;
    block_pool_touch(pool);
}
