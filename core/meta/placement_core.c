/* placement_core.c - racks in a circle, in each rack brokers in a circle.
 *
 * A partition's replicas are taken rack by rack, beginning one rack further
 * than the partition before, and in each rack one broker further. Where both
 * circles would meet again too early, the inner one makes a step more: else in
 * two racks of two only every other broker would ever lead. Once round all
 * racks, a replica more from a rack is the next broker of its circle; a rack
 * that is used up is passed over. */
#include "meta/placement_core.h"

#include "base/must.h"
#include <stdlib.h>

struct placement_rack {
    struct str name;
    int32_t *ids; /* sorted */
    int32_t count;
    int32_t used; /* by the partition that is being placed */
};

struct placement {
    struct placement_rack *racks; /* sorted by name; no name comes first */
    int32_t count;
};

static int placement_cmp(const void *a, const void *b)
{
    const struct broker *const *left = a;
    const struct broker *const *right = b;
    int order = str_cmp((*left)->rack, (*right)->rack);

    return order != 0
               ? order
               : ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

static struct placement placement_racks(const struct brokers *brokers,
                                        struct arena *arena)
{
    size_t count = (size_t)brokers->count;
    const struct broker **sorted =
        arena_array(arena, count, sizeof(struct broker *));
    int32_t *ids = arena_array(arena, count, sizeof(*ids));
    struct placement p = {
        .racks = arena_array(arena, count, sizeof(*p.racks)),
    };

    for (size_t i = 0; i < count; i++) {
        sorted[i] = &brokers->items[i];
    }
    qsort(sorted, count, sizeof(struct broker *), placement_cmp);
    for (size_t i = 0; i < count; i++) {
        struct placement_rack *rack = &p.racks[MAX(p.count - 1, 0)];

        if (i == 0 || str_cmp(rack->name, sorted[i]->rack) != 0) {
            rack = &p.racks[p.count++];
            rack->name = sorted[i]->rack;
            rack->ids = &ids[i];
        }
        ids[i] = sorted[i]->id;
        rack->count++;
    }
    return p;
}

/* How often the inner circle has made its step more. Circles whose lengths
 * share no factor need none: every broker gets its turn at every place. */
static uint64_t placement_extra(uint64_t turn, uint64_t racks, uint64_t brokers)
{
    uint64_t a = racks;
    uint64_t b = brokers;

    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a == 1 ? 0 : turn / (racks / a * brokers);
}

/* The brokers of one partition; turn: which one of all that ever were. */
static void placement_stripe(struct placement *p, uint64_t turn,
                             int16_t replicas, int32_t *out)
{
    uint64_t racks = (uint64_t)p->count;
    int16_t placed = 0;

    for (int32_t i = 0; i < p->count; i++) {
        p->racks[i].used = 0;
    }
    for (uint64_t i = turn; placed < replicas; i++) {
        struct placement_rack *rack = &p->racks[i % racks];
        uint64_t brokers = (uint64_t)rack->count;
        uint64_t first = turn + placement_extra(turn, racks, brokers);

        if (rack->used < rack->count) {
            out[placed++] = rack->ids[(first + (uint64_t)rack->used) % brokers];
            rack->used++;
        }
    }
}

enum err placement_make(const struct brokers *brokers, int32_t partitions,
                        int16_t replicas, uint64_t start, int32_t *out,
                        struct why *why)
{
    int32_t count = brokers == NULL ? 0 : brokers->count;
    struct arena arena = {0};
    struct placement p;

    if (partitions < 1) {
        return why_set(why, ERR_INVALID_PARTITIONS,
                       "a topic cannot have %d partitions", (int)partitions);
    }
    if (replicas < 1 || replicas > count) {
        return why_set(why, ERR_INVALID_REPLICATION_FACTOR,
                       "a replication factor of %d is not possible: there %s "
                       "%d broker%s",
                       (int)replicas, count == 1 ? "is" : "are", (int)count,
                       count == 1 ? "" : "s");
    }
    /* 32 bits, so that no circle wraps around in the middle. */
    start = (uint32_t)start ^ (uint32_t)(start >> 32);
    p = placement_racks(brokers, &arena);
    must(p.count > 0); /* there is a broker, and each is in a rack */
    for (int32_t i = 0; i < partitions; i++) {
        placement_stripe(&p, start + (uint64_t)i, replicas,
                         out + (size_t)i * (size_t)replicas);
    }
    arena_reset(&arena);
    return ERR_NONE;
}

int16_t placement_default_replicas(int32_t brokers_count)
{
    return (int16_t)MAX(1, MIN(3, brokers_count));
}

int16_t placement_default_min_insync(int16_t replicas)
{
    return (int16_t)(replicas / 2 + 1);
}
