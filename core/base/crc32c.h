/* crc32c.h - CRC-32C (Castagnoli), as record batches carry it.
 *
 * Three interleaved streams of the SSE4.2 instruction where the machine has it,
 * chosen at the first call; tables elsewhere. Any thread. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/base.h"

/* crc: 0, or what an earlier call gave for the bytes before these. */
uint32_t crc32c(uint32_t crc, const void *ptr, size_t bytes);
/* The same by tables, on every machine: what crc32c() falls back to. */
uint32_t crc32c_tables(uint32_t crc, const void *ptr, size_t bytes);

#endif
