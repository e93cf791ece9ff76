/* compress.h - the five codecs of record batches behind one function each way.
 *
 * The only file that knows zlib, snappy, lz4 and zstd. Output is bounded: what
 * would unpack to more than the caller allows is refused while it unpacks.
 * Snappy is read with and without the framing of Java's library and written
 * with it; zstd and gzip may consist of several frames and need not state
 * their size. Keeps no state; any thread.
 * Source: protocol guide, "Compression"; KIP-110, KIP-390. */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include "base/arena.h"
#include "base/err.h"

enum codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4,
};

enum { COMPRESS_LEVEL_DEFAULT = INT32_MIN };

/* Unpacks into memory that lives as long as the arena's.
 *
 * codec: as a batch's attributes have it. bytes_max: of the output.
 * Errors: ERR_UNSUPPORTED (no such codec), ERR_CORRUPT (does not unpack, or
 *         ends early), ERR_TOO_LARGE (over bytes_max), ERR_BUSY (the arena's
 *         budget has no room for it now). */
MUST_USE enum err compress_decode(int codec, struct str in, size_t bytes_max,
                                  struct arena *arena, struct str *out);

/* Packs into memory from the arena. level: the codec's own scale, or
 * COMPRESS_LEVEL_DEFAULT; snappy has none.
 * Errors: ERR_UNSUPPORTED (no such codec), ERR_TOO_LARGE (in is too long for
 *         the codec), ERR_INVALID (no such level). */
MUST_USE enum err compress_encode(int codec, int level, struct str in,
                                  struct arena *arena, struct str *out);

/* "none", "gzip", "snappy", "lz4", "zstd". */
const char *compress_name(int codec);
/* By that name; false when there is none. */
MUST_USE bool compress_find(struct str name, int *codec);

#endif
