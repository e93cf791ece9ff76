/* replicas.c - a table of rows that readers walk while it changes.
 *
 * Open addressing over topic ids, which are random: their first bytes are the
 * hash. A row is put into an empty place by one store, and taken out by putting
 * a grave there, so who looks sees the row or does not. A table that is half
 * full is replaced by one without graves. Rows and tables that are out go when
 * every loop has been through a turn. */
#include "cluster/replicas.h"

#include "base/mem.h"
#include "base/must.h"

#include <stdatomic.h>
#include <string.h>

enum { REPLICAS_CAPACITY_MIN = 8 };

struct replicas_row {
    struct uuid topic_id;
    int32_t count;
    struct replica *all[];
};

struct replicas_table {
    size_t capacity; /* a power of two */
    size_t filled;   /* rows and graves */
    size_t count;    /* rows */
    struct replicas_row *_Atomic rows[];
};

struct replicas {
    struct env *env;
    struct replicas_table *_Atomic table;
    uint32_t retiring;
    void (*closed)(void *arg); /* NULL: open */
    void *closed_arg;
};

/* What is out of the table, until every loop has let go. */
struct replicas_retired {
    struct env_fence fence;
    struct replicas *replicas;
    void *memory;
};

static struct replicas_row replicas_grave;

static size_t replicas_hash(struct uuid topic_id)
{
    size_t hash;

    memcpy(&hash, topic_id.bytes, sizeof(hash));
    return hash;
}

static struct replicas_table *replicas_new_table(size_t count)
{
    size_t capacity = REPLICAS_CAPACITY_MIN;
    struct replicas_table *table;

    while (capacity < count * 4) {
        capacity *= 2;
    }
    table = mem_zalloc(sizeof(*table) + capacity * sizeof(table->rows[0]));
    table->capacity = capacity;
    return table;
}

static struct replicas_table *replicas_table(const struct replicas *replicas)
{
    return atomic_load_explicit(&replicas->table, memory_order_acquire);
}

static struct replicas_row *replicas_row(const struct replicas_table *table,
                                         size_t at)
{
    return atomic_load_explicit(&table->rows[at], memory_order_acquire);
}

/* Into the first place that was never used. */
static void replicas_put(struct replicas_table *table, struct replicas_row *row)
{
    size_t at = replicas_hash(row->topic_id) & (table->capacity - 1);

    while (replicas_row(table, at) != NULL) {
        at = (at + 1) & (table->capacity - 1);
    }
    atomic_store_explicit(&table->rows[at], row, memory_order_release);
    table->filled++;
    table->count++;
}

/* The row of a topic and its place; NULL when it is not there. Each place is
 * read once: it may change at any moment. */
static struct replicas_row *
replicas_find_row(const struct replicas_table *table, struct uuid topic_id,
                  size_t *at)
{
    *at = replicas_hash(topic_id) & (table->capacity - 1);
    for (;;) {
        struct replicas_row *row = replicas_row(table, *at);

        if (row == NULL ||
            (row != &replicas_grave && uuid_eq(row->topic_id, topic_id))) {
            return row;
        }
        *at = (*at + 1) & (table->capacity - 1);
    }
}

struct replicas *replicas_open(struct env *control_env)
{
    struct replicas *replicas = MEM_NEW(struct replicas);

    replicas->env = control_env;
    atomic_store(&replicas->table, replicas_new_table(0));
    return replicas;
}

static void replicas_retire_done(struct env_fence *fence)
{
    struct replicas_retired *retired =
        container_of(fence, struct replicas_retired, fence);
    struct replicas *replicas = retired->replicas;

    mem_free(retired->memory);
    mem_free(retired);
    if (--replicas->retiring == 0 && replicas->closed != NULL) {
        void (*closed)(void *) = replicas->closed;
        void *arg = replicas->closed_arg;

        mem_free(replicas);
        closed(arg);
    }
}

static void replicas_retire(struct replicas *replicas, void *memory)
{
    struct replicas_retired *retired = MEM_NEW(struct replicas_retired);

    retired->fence.done = replicas_retire_done;
    retired->replicas = replicas;
    retired->memory = memory;
    replicas->retiring++;
    env_fence(replicas->env, &retired->fence);
}

/* The last table goes as all others do. */
void replicas_close(struct replicas *replicas, void (*done)(void *arg),
                    void *arg)
{
    must(replicas_table(replicas)->count == 0);
    replicas->closed = done;
    replicas->closed_arg = arg;
    replicas_retire(replicas, replicas_table(replicas));
}

/* A table with room for one more. */
static struct replicas_table *replicas_make_room(struct replicas *replicas)
{
    struct replicas_table *old = replicas_table(replicas);
    struct replicas_table *new;

    if ((old->filled + 1) * 2 <= old->capacity) {
        return old;
    }
    new = replicas_new_table(old->count + 1);
    for (size_t i = 0; i < old->capacity; i++) {
        struct replicas_row *row = replicas_row(old, i);

        if (row != NULL && row != &replicas_grave) {
            replicas_put(new, row);
        }
    }
    atomic_store_explicit(&replicas->table, new, memory_order_release);
    replicas_retire(replicas, old);
    return new;
}

void replicas_publish(struct replicas *replicas, struct uuid topic_id,
                      struct replica *const *all, int32_t count)
{
    struct replicas_table *table = replicas_make_room(replicas);
    size_t bytes = (size_t)count * sizeof(struct replica *);
    struct replicas_row *row = mem_zalloc(sizeof(*row) + bytes);
    size_t at;
    struct replicas_row *before = replicas_find_row(table, topic_id, &at);

    row->topic_id = topic_id;
    row->count = count;
    memcpy(row->all, all, bytes);
    if (before == NULL) {
        replicas_put(table, row);
        return;
    }
    atomic_store_explicit(&table->rows[at], row, memory_order_release);
    replicas_retire(replicas, before);
}

int32_t replicas_withdraw(struct replicas *replicas, struct uuid topic_id,
                          struct replica ***all)
{
    struct replicas_table *table = replicas_table(replicas);
    size_t at;
    struct replicas_row *row = replicas_find_row(table, topic_id, &at);
    int32_t count;

    *all = NULL;
    if (row == NULL) {
        return 0;
    }
    count = row->count;
    *all = mem_zalloc((size_t)count * sizeof(**all));
    memcpy(*all, row->all, (size_t)count * sizeof(**all));
    atomic_store_explicit(&table->rows[at], &replicas_grave,
                          memory_order_release);
    table->count--;
    replicas_retire(replicas, row);
    return count;
}

bool replicas_has(const struct replicas *replicas, struct uuid topic_id)
{
    size_t at;

    return replicas_find_row(replicas_table(replicas), topic_id, &at) != NULL;
}

struct replica *replicas_find(const struct replicas *replicas,
                              struct uuid topic_id, int32_t partition)
{
    size_t at;
    const struct replicas_row *row =
        replicas_find_row(replicas_table(replicas), topic_id, &at);

    if (row == NULL || partition < 0 || partition >= row->count) {
        return NULL;
    }
    return row->all[partition];
}
