/* map.h - a hash map from bytes to a pointer.
 *
 * Open addressing with a keyed hash (SipHash-1-3, its key drawn at start by
 * map_seed(): clients choose names). Keys are copied; values are the caller's.
 * The null key is the empty one. Not shared between threads. Zero is a valid
 * empty map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot;

struct map {
    struct map_slot *slots; /* private from here on */
    size_t count;
    size_t capacity;
    size_t filled; /* with the graves of removed ones */
};

/* Draws the key of the hash; once, before the first map. Tests may leave it. */
void map_seed(uint64_t k0, uint64_t k1);
/* The keyed hash itself, for tables of another shape. Little-endian. */
uint64_t map_hash(struct str key);
void *map_find(const struct map *map, struct str key);
/* Replaces; gives the value that was there, or NULL. value: not NULL. */
void *map_put(struct map *map, struct str key, void *value);
/* Gives the value that was there, or NULL. */
void *map_remove(struct map *map, struct str key);
size_t map_count(const struct map *map);
/* Walks in no order: start with *at = 0; false at the end. The current entry
 * may be removed, nothing may be put. */
MUST_USE bool map_next(const struct map *map, size_t *at, struct str *key,
                       void **value);
void map_fini(struct map *map);

#endif
