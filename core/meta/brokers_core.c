/* brokers_core.c - copied whole at each change. */
#include "meta/brokers_core.h"

#include "base/mem.h"
#include "base/must.h"

static struct broker brokers_copy(struct arena *arena,
                                  const struct broker *from)
{
    struct broker_listener *listeners =
        arena_array(arena, (size_t)from->listeners_count, sizeof(*listeners));
    struct broker broker = *from;

    broker.rack = arena_str(arena, from->rack);
    for (int32_t i = 0; i < from->listeners_count; i++) {
        listeners[i].name = arena_str(arena, from->listeners[i].name);
        listeners[i].host = arena_str(arena, from->listeners[i].host);
        listeners[i].port = from->listeners[i].port;
    }
    broker.listeners = listeners;
    return broker;
}

struct brokers *brokers_with(const struct brokers *list,
                             const struct broker *broker)
{
    struct brokers *copy = MEM_NEW(struct brokers);
    int32_t old_count = list == NULL ? 0 : list->count;
    bool placed = false;

    atomic_init(&copy->refs, 1);
    copy->items =
        arena_array(&copy->arena, (size_t)old_count + 1, sizeof(*copy->items));
    for (int32_t i = 0; i < old_count; i++) {
        const struct broker *old = &list->items[i];

        if (!placed && old->id >= broker->id) {
            copy->items[copy->count++] = brokers_copy(&copy->arena, broker);
            placed = true;
        }
        if (old->id != broker->id) {
            copy->items[copy->count++] = brokers_copy(&copy->arena, old);
        }
    }
    if (!placed) {
        copy->items[copy->count++] = brokers_copy(&copy->arena, broker);
    }
    return copy;
}

struct brokers *brokers_ref(struct brokers *list)
{
    uint32_t before =
        atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);

    must(before > 0);
    return list;
}

void brokers_unref(struct brokers *list)
{
    if (list != NULL &&
        atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) == 1) {
        arena_reset(&list->arena);
        mem_free(list);
    }
}

const struct broker *brokers_find(const struct brokers *list, int32_t id)
{
    for (int32_t i = 0; list != NULL && i < list->count; i++) {
        if (list->items[i].id == id) {
            return &list->items[i];
        }
    }
    return NULL;
}
