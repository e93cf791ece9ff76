/* replicas.c - a table that is replaced, never changed.
 *
 * Open addressing over topic ids, which are random: their first bytes are the
 * hash. Each slot points to a row of replicas, shared between tables. */
#include "cluster/replicas.h"

#include "base/mem.h"
#include "base/must.h"

#include <stdatomic.h>
#include <string.h>

struct replicas_row {
    struct uuid topic_id;
    int32_t count;
    struct replica *all[];
};

struct replicas_table {
    size_t capacity; /* a power of two */
    size_t count;
    struct replicas_row *rows[];
};

struct replicas {
    struct env *env;
    struct replicas_table *_Atomic table;
};

/* What an old table leaves behind, until every loop has let go. */
struct replicas_retired {
    struct env_fence fence;
    struct replicas_table *table;
    struct replicas_row *row; /* NULL: none went */
};

static size_t replicas_hash(struct uuid topic_id)
{
    size_t hash;

    memcpy(&hash, topic_id.bytes, sizeof(hash));
    return hash;
}

static struct replicas_table *replicas_new_table(size_t count)
{
    size_t capacity = 8;
    struct replicas_table *table;

    while (capacity < count * 2) {
        capacity *= 2;
    }
    table = mem_zalloc(sizeof(*table) + capacity * sizeof(table->rows[0]));
    table->capacity = capacity;
    return table;
}

static void replicas_put(struct replicas_table *table, struct replicas_row *row)
{
    size_t at = replicas_hash(row->topic_id) & (table->capacity - 1);

    while (table->rows[at] != NULL) {
        at = (at + 1) & (table->capacity - 1);
    }
    table->rows[at] = row;
    table->count++;
}

static struct replicas_row *replicas_find_row(const struct replicas *replicas,
                                              struct uuid topic_id)
{
    const struct replicas_table *table =
        atomic_load_explicit(&replicas->table, memory_order_acquire);
    size_t at = replicas_hash(topic_id) & (table->capacity - 1);

    while (table->rows[at] != NULL &&
           !uuid_eq(table->rows[at]->topic_id, topic_id)) {
        at = (at + 1) & (table->capacity - 1);
    }
    return table->rows[at];
}

struct replicas *replicas_open(struct env *control_env)
{
    struct replicas *replicas = MEM_NEW(struct replicas);

    replicas->env = control_env;
    atomic_store(&replicas->table, replicas_new_table(0));
    return replicas;
}

void replicas_close(struct replicas *replicas)
{
    struct replicas_table *table = atomic_load(&replicas->table);

    must(table->count == 0);
    mem_free(table);
    mem_free(replicas);
}

static void replicas_retire_done(struct env_fence *fence)
{
    struct replicas_retired *retired =
        container_of(fence, struct replicas_retired, fence);

    mem_free(retired->table);
    mem_free(retired->row);
    mem_free(retired);
}

/* Publishes the table without `without` (may be NULL) and with `with` (may be
 * NULL). */
static void replicas_swap(struct replicas *replicas,
                          struct replicas_row *without,
                          struct replicas_row *with)
{
    struct replicas_table *old = atomic_load(&replicas->table);
    struct replicas_table *new = replicas_new_table(old->count + 1);
    struct replicas_retired *retired = MEM_NEW(struct replicas_retired);

    for (size_t i = 0; i < old->capacity; i++) {
        if (old->rows[i] != NULL && old->rows[i] != without) {
            replicas_put(new, old->rows[i]);
        }
    }
    if (with != NULL) {
        replicas_put(new, with);
    }
    atomic_store_explicit(&replicas->table, new, memory_order_release);
    retired->fence.done = replicas_retire_done;
    retired->table = old;
    retired->row = without;
    env_fence(replicas->env, &retired->fence);
}

void replicas_publish(struct replicas *replicas, struct uuid topic_id,
                      struct replica *const *all, int32_t count)
{
    size_t bytes = (size_t)count * sizeof(struct replica *);
    struct replicas_row *row = mem_zalloc(sizeof(*row) + bytes);

    must(replicas_find_row(replicas, topic_id) == NULL);
    row->topic_id = topic_id;
    row->count = count;
    memcpy(row->all, all, bytes);
    replicas_swap(replicas, NULL, row);
}

int32_t replicas_withdraw(struct replicas *replicas, struct uuid topic_id,
                          struct replica ***all)
{
    struct replicas_row *row = replicas_find_row(replicas, topic_id);
    int32_t count;

    *all = NULL;
    if (row == NULL) {
        return 0;
    }
    count = row->count;
    *all = mem_zalloc((size_t)count * sizeof(**all));
    memcpy(*all, row->all, (size_t)count * sizeof(**all));
    replicas_swap(replicas, row, NULL);
    return count;
}

struct replica *replicas_find(const struct replicas *replicas,
                              struct uuid topic_id, int32_t partition)
{
    const struct replicas_row *row = replicas_find_row(replicas, topic_id);

    if (row == NULL || partition < 0 || partition >= row->count) {
        return NULL;
    }
    return row->all[partition];
}

bool replicas_next_topic(const struct replicas *replicas, size_t *at,
                         struct uuid *topic_id)
{
    const struct replicas_table *table = atomic_load(&replicas->table);

    while (*at < table->capacity) {
        const struct replicas_row *row = table->rows[(*at)++];

        if (row != NULL) {
            *topic_id = row->topic_id;
            return true;
        }
    }
    return false;
}
