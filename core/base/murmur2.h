/* murmur2.h - the hash by which Kafka's clients spread keys over partitions. */
#ifndef BASE_MURMUR2_H
#define BASE_MURMUR2_H

#include "base/str.h"

/* MurmurHash2, 32 bits, with the seed and the little-endian reading of Kafka's
 * Java client. */
uint32_t murmur2(struct str key);

/* The partition of a key among count: what the default partitioner of Kafka's
 * clients gives. count: above 0. */
static inline int32_t murmur2_partition(struct str key, int32_t count)
{
    return (int32_t)(murmur2(key) & 0x7fffffff) % count;
}

#endif
