/* map.c - open addressing, linear probing, SipHash-1-3.
 *
 * A slot is empty (no key), a grave (key is map_grave) or filled. A removed
 * entry leaves a grave, so that a walk may go on; graves go when the table is
 * made anew, which happens before it is three quarters full of both.
 *
 * One round in, three rounds out is what hash tables that face strangers use;
 * the secret key is what counts.
 *
 * Invariants:
 * 1. capacity is 0 or a power of two; a quarter of the slots is empty, so that
 *    every search ends.
 * 2. An entry lies between the slot of its hash and the next empty one.
 * 3. count is the filled slots, filled those and the graves.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF". */
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

enum { MAP_CAPACITY_MIN = 16 };

struct map_slot {
    char *key; /* owned, from mem_; NULL: empty; map_grave: a grave */
    size_t key_bytes;
    uint64_t hash;
    void *value; /* the caller's; not NULL in a filled slot */
};

static char map_grave[1];
static uint64_t map_k0 = 0x5469646d61726b21;
static uint64_t map_k1 = 0x6869676877617465;

void map_seed(uint64_t k0, uint64_t k1)
{
    map_k0 = k0;
    map_k1 = k1;
}

static inline uint64_t map_rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void map_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = map_rotate(v[1], 13) ^ v[0];
    v[3] = map_rotate(v[3], 16) ^ v[2];
    v[0] = map_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = map_rotate(v[1], 17) ^ v[2];
    v[3] = map_rotate(v[3], 21) ^ v[0];
    v[2] = map_rotate(v[2], 32);
}

static inline void map_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    map_round(v);
    v[0] ^= word;
}

uint64_t map_hash(struct str key)
{
    uint64_t v[4] = {
        map_k0 ^ 0x736f6d6570736575,
        map_k1 ^ 0x646f72616e646f6d,
        map_k0 ^ 0x6c7967656e657261,
        map_k1 ^ 0x7465646279746573,
    };
    uint64_t word;
    size_t at = 0;

    for (; key.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, key.ptr + at, sizeof(word));
        map_absorb(v, word);
    }
    word = 0;
    if (at < key.len) {
        memcpy(&word, key.ptr + at, key.len - at);
    }
    map_absorb(v, word | (uint64_t)key.len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        map_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool map_slot_is_filled(const struct map_slot *slot)
{
    return slot->key != NULL && slot->key != map_grave;
}

/* The slot that holds the key, or NULL. */
static struct map_slot *map_slot_find(const struct map *map, struct str key,
                                      uint64_t hash)
{
    size_t mask = map->capacity - 1;

    if (map->capacity == 0) {
        return NULL;
    }
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct map_slot *slot = &map->slots[at];

        if (slot->key == NULL) {
            return NULL;
        }
        if (slot->hash == hash && slot->key != map_grave &&
            slot->key_bytes == key.len &&
            (key.len == 0 || memcmp(slot->key, key.ptr, key.len) == 0)) {
            return slot;
        }
    }
}

/* Into the first slot that holds no entry; there is one. */
static void map_slot_put(struct map *map, struct map_slot entry)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)entry.hash & mask;

    must(map->count < map->capacity); /* invariant 1 */
    while (map_slot_is_filled(&map->slots[at])) {
        at = (at + 1) & mask;
    }
    if (map->slots[at].key == NULL) {
        map->filled++;
    }
    map->slots[at] = entry;
    map->count++;
}

/* Makes the table anew, without graves, at most half full. */
static void map_rehash(struct map *map)
{
    struct map old = *map;
    size_t capacity = MAP_CAPACITY_MIN;

    while (capacity / 2 < old.count + 1) {
        capacity *= 2;
    }
    *map = (struct map){
        .slots = mem_zalloc(capacity * sizeof(*map->slots)),
        .capacity = capacity,
    };
    for (size_t i = 0; i < old.capacity; i++) {
        if (map_slot_is_filled(&old.slots[i])) {
            map_slot_put(map, old.slots[i]);
        }
    }
    mem_free(old.slots);
}

void *map_find(const struct map *map, struct str key)
{
    struct map_slot *slot = map_slot_find(map, key, map_hash(key));

    return slot == NULL ? NULL : slot->value;
}

void *map_put(struct map *map, struct str key, void *value)
{
    uint64_t hash = map_hash(key);
    struct map_slot *slot = map_slot_find(map, key, hash);

    must(value != NULL);
    if (slot != NULL) {
        void *old = slot->value;

        slot->value = value;
        return old;
    }
    if ((map->filled + 1) * 4 > map->capacity * 3) {
        map_rehash(map);
    }
    map_slot_put(map, (struct map_slot){
                          .key = mem_dup(key.ptr, key.len),
                          .key_bytes = key.len,
                          .hash = hash,
                          .value = value,
                      });
    return NULL;
}

void *map_remove(struct map *map, struct str key)
{
    struct map_slot *slot = map_slot_find(map, key, map_hash(key));
    void *value;

    if (slot == NULL) {
        return NULL;
    }
    must(map->count > 0 && map->count <= map->filled); /* invariant 3 */
    value = slot->value;
    mem_free(slot->key);
    *slot = (struct map_slot){.key = map_grave};
    map->count--;
    return value;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

bool map_next(const struct map *map, size_t *at, struct str *key, void **value)
{
    while (*at < map->capacity) {
        const struct map_slot *slot = &map->slots[(*at)++];

        if (map_slot_is_filled(slot)) {
            *key = (struct str){slot->key, slot->key_bytes};
            *value = slot->value;
            return true;
        }
    }
    return false;
}

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++) {
        if (map_slot_is_filled(&map->slots[i])) {
            mem_free(map->slots[i].key);
        }
    }
    mem_free(map->slots);
    *map = (struct map){0};
}
