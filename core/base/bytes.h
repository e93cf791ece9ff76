/* bytes.h - big-endian numbers in memory, at any alignment. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/base.h"
#include <string.h>

/* Two bytes at `at`, unsigned. */
static inline uint16_t bytes_get_u16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return __builtin_bswap16(v);
}

/* Four bytes, unsigned. */
static inline uint32_t bytes_get_u32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return __builtin_bswap32(v);
}

/* Eight bytes, unsigned. */
static inline uint64_t bytes_get_u64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return __builtin_bswap64(v);
}

/* Two bytes, two's complement. */
static inline int16_t bytes_get_i16(const void *at)
{
    return (int16_t)bytes_get_u16(at);
}

/* Four bytes, two's complement. */
static inline int32_t bytes_get_i32(const void *at)
{
    return (int32_t)bytes_get_u32(at);
}

/* Eight bytes, two's complement. */
static inline int64_t bytes_get_i64(const void *at)
{
    return (int64_t)bytes_get_u64(at);
}

/* Writes two bytes to `at`. */
static inline void bytes_put_u16(void *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, sizeof(v));
}

/* Four bytes. */
static inline void bytes_put_u32(void *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof(v));
}

/* Eight bytes. */
static inline void bytes_put_u64(void *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, sizeof(v));
}

/* Two bytes, two's complement. */
static inline void bytes_put_i16(void *at, int16_t v)
{
    bytes_put_u16(at, (uint16_t)v);
}

/* Four bytes, two's complement. */
static inline void bytes_put_i32(void *at, int32_t v)
{
    bytes_put_u32(at, (uint32_t)v);
}

/* Eight bytes, two's complement. */
static inline void bytes_put_i64(void *at, int64_t v)
{
    bytes_put_u64(at, (uint64_t)v);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "bytes.h swaps: it is written for little-endian machines");

#endif
