/* murmur2.c - the hash by which Kafka's clients spread keys over partitions. */
#include "base/murmur2.h"

uint32_t murmur2(struct str key)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *at = (const uint8_t *)key.ptr;
    size_t left = key.len;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.len;

    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 |
                     (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;

        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (left > 0) {
        for (size_t i = 0; i < left; i++) {
            h ^= (uint32_t)at[i] << (8 * i);
        }
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return h;
}
