/* block.h - the memory that frames are read into.
 *
 * A block is counted: the connection that reads into it and every request whose
 * frame lies in it hold one reference. Blocks come from a pool of their loop,
 * so a busy connection reads into memory that is still in the cache, and an
 * idle one holds none. Bytes handed out are charged to the budget of the
 * process. One loop only. */
#ifndef NET_BLOCK_H
#define NET_BLOCK_H

#include "base/budget.h"
#include "run/env.h"

enum {
    BLOCK_BYTES_MIN = 64 * 1024,
    BLOCK_CLASSES = 7,               /* pooled: 64 KiB to 4 MiB */
    BLOCK_POOL_BYTES_MAX = 16 << 20, /* kept by one loop, while it is busy */
    BLOCK_POOL_IDLE_MS = 1000,       /* then given back to the system */
    BLOCK_CELL_BYTES = 3072,
    BLOCK_CELLS_MAX = 512, /* kept by one loop, while it is busy */
};

struct block {
    uint32_t refs;           /* 0 only in the pool */
    uint32_t capacity;       /* of bytes */
    uint32_t filled;         /* the reader's */
    struct block_pool *pool; /* of its loop */
    struct block *next;      /* private: in the pool */
    uint8_t bytes[];
};

struct block_cell;

struct block_pool {
    struct env *env; /* private from here on */
    struct budget *budget;
    struct block *free[BLOCK_CLASSES];
    uint64_t free_bytes;
    struct block_cell *cells;
    uint32_t cell_count;
    bool touched; /* since the timer was set */
    bool is_timed;
    struct env_timer trim;
    void (*given)(void *arg);
    void *given_arg;
};

/* given: called after bytes went back to the budget: whoever was refused may
 * try again. */
void block_pool_init(struct block_pool *pool, struct env *env,
                     struct budget *budget, void (*given)(void *arg),
                     void *given_arg);
/* All blocks and cells must have been given back. */
void block_pool_fini(struct block_pool *pool);
/* At least capacity bytes, one reference; NULL when the budget refuses. Its
 * last quarter is for blocks of the smallest size: frames that large clients
 * leave half sent do not shut out the small ones. */
struct block *block_new(struct block_pool *pool, uint32_t capacity);
/* One reference more. */
void block_ref(struct block *block);
/* One less; the last one gives it back. block: NULL is accepted. */
void block_unref(struct block *block);

/* Memory of BLOCK_CELL_BYTES for something small and short-lived; what of it is
 * charged is the caller's affair. */
void *block_cell_take(struct block_pool *pool);
/* Back into the pool. */
void block_cell_give(struct block_pool *pool, void *cell);

#endif
