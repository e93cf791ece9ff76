/* compress.c - zlib, snappy, lz4 and zstd behind two functions.
 *
 * Unpacking:
 * 1. The output begins with a guess, a multiple of the input.
 * 2. It grows by doubling, in place, up to one byte more than the caller
 * allows; an output that reaches that byte is refused. So a few bytes that
 * unpack to gigabytes cost no more than the limit.
 * 3. Each step of growth is asked of the arena's budget.
 * 4. The bytes live as long as the arena, outside of it: an arena could not
 * give back what they have grown out of.
 *
 * zstd unpacks in one call into a block of the right size, or of a guess that
 * is tried again larger, because its streaming form would take a window of up
 * to 128 MiB. snappy says its size in front; a size that no input of that
 * length can have is refused before anything is taken.
 *
 * Java's framing of snappy, which others read and write, too:
 *
 *  0  8  0x82 "SNAPPY" 0      16  4  length of a block
 *  8  4  version, 1           20     the block, raw snappy of 32 KiB
 * 12  4  oldest reader, 1            and so on, to the end
 *
 * Failure modes: ERR_CORRUPT (the library says so, or bytes are left over),
 * ERR_TOO_LARGE (over the caller's limit), ERR_BUSY (over the budget).
 *
 * Invariants:
 * 1. used <= room <= room_max; room bytes are charged: a step of growth of more
 *    than a mebibyte only when the budget had room for it.
 * 2. What was charged is given back by output_release(), and only there. */
#define ZLIB_CONST

#include "wire/compress.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"

#include <limits.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    OUTPUT_BYTES_MIN = 4096,
    OUTPUT_BYTES_CHARGED = 1 << 20, /* at a time, whatever the budget says */
    GZIP_WINDOW_BITS = 15 + 16,     /* zlib: 16 more means the gzip format */
    GZIP_MEMORY_LEVEL = 8,
    LZ4_LEVEL_MAX = 12,
    ZSTD_GUESS_RATIO_MAX = 256,
    SNAPPY_RATIO_MAX = 24, /* 64 bytes from a copy of 3, with some room */
    SNAPPY_BLOCK_BYTES = 32768,
    SNAPPY_HEADER_BYTES = 16,
};

static const uint8_t snappy_header[SNAPPY_HEADER_BYTES] = {
    0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};

/* Unpacked bytes, freed with the arena; not in it, because it could not give
 * back what they have grown out of. */
struct output_memory {
    struct arena_cleanup cleanup;
    struct budget *budget; /* borrowed; NULL: none */
    uint64_t charged;      /* bytes of the budget */
    uint8_t *ptr;          /* from mem_ */
};

/* Where unpacked bytes go. */
struct output {
    struct output_memory *memory; /* in the arena */
    uint8_t *ptr;                 /* memory->ptr */
    size_t used;                  /* bytes that are written */
    size_t room;
    size_t room_max; /* one more than is allowed */
    bool is_refused; /* by the budget */
};

static void output_release(struct arena_cleanup *cleanup)
{
    struct output_memory *memory =
        container_of(cleanup, struct output_memory, cleanup);

    if (memory->budget != NULL) {
        budget_give(memory->budget, memory->charged);
    }
    mem_free(memory->ptr);
}

/* A little is charged, more has to be asked for. */
static bool output_charge(struct output_memory *memory, size_t bytes)
{
    if (memory->budget == NULL) {
        return true;
    }
    if (bytes > OUTPUT_BYTES_CHARGED) {
        if (!budget_take(memory->budget, bytes)) {
            return false;
        }
    } else {
        budget_charge(memory->budget, bytes);
    }
    memory->charged += bytes;
    return true;
}

static bool output_resize(struct output *o, size_t room)
{
    if (!output_charge(o->memory, room - o->room)) {
        o->is_refused = true;
        return false;
    }
    o->memory->ptr = mem_realloc(o->memory->ptr, room);
    o->ptr = o->memory->ptr;
    o->room = room;
    return true;
}

static bool output_init(struct output *o, struct arena *arena, size_t guess,
                        size_t bytes_max)
{
    struct output_memory *memory = ARENA_NEW(arena, struct output_memory);

    memory->budget = arena->budget;
    memory->cleanup.run = output_release;
    arena_on_reset(arena, &memory->cleanup);
    *o = (struct output){.memory = memory, .room_max = bytes_max + 1};
    return output_resize(
        o, MIN(MAX(guess, (size_t)OUTPUT_BYTES_MIN), o->room_max));
}

/* False when there is no more to give. */
static bool output_grow(struct output *o)
{
    if (o->room >= o->room_max) {
        return false;
    }
    return output_resize(o,
                         o->room > o->room_max / 2 ? o->room_max : o->room * 2);
}

static enum err output_finish(const struct output *o, struct str *out)
{
    must(o->used <= o->room && o->room <= o->room_max); /* invariant 1 */
    if (o->used >= o->room_max) {
        return ERR_TOO_LARGE;
    }
    *out = str_sub(o->ptr, o->used);
    return ERR_NONE;
}

/* One member after another until the input ends. */
static enum err gzip_inflate(z_stream *z, struct output *o)
{
    for (;;) {
        int result;

        if (o->used == o->room && !output_grow(o)) {
            return ERR_TOO_LARGE;
        }
        z->next_out = o->ptr + o->used;
        z->avail_out = (uInt)MIN(o->room - o->used, (size_t)UINT_MAX);
        result = inflate(z, Z_NO_FLUSH);
        o->used = (size_t)(z->next_out - o->ptr);
        if (result == Z_STREAM_END) {
            if (z->avail_in == 0) {
                return ERR_NONE;
            }
            result = inflateReset(z);
        }
        if (result != Z_OK || (z->avail_in == 0 && z->avail_out > 0)) {
            return ERR_CORRUPT;
        }
    }
}

static enum err gzip_decode(struct str in, struct output *o)
{
    z_stream z = {.next_in = (const Bytef *)in.ptr, .avail_in = (uInt)in.len};
    enum err err;

    if (in.len > UINT_MAX || inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK) {
        return ERR_CORRUPT;
    }
    err = gzip_inflate(&z, o);
    inflateEnd(&z);
    return err;
}

/* One frame after another until the input ends; hint 0 is the end of a frame.
 * */
static enum err lz4_decode_frames(LZ4F_dctx *context, struct str in,
                                  struct output *o)
{
    size_t hint = 1, at = 0;

    do {
        size_t taken = in.len - at, given;

        if (o->used == o->room && !output_grow(o)) {
            return ERR_TOO_LARGE;
        }
        given = o->room - o->used;
        hint = LZ4F_decompress(context, o->ptr + o->used, &given, in.ptr + at,
                               &taken, NULL);
        if (LZ4F_isError(hint)) {
            return ERR_CORRUPT;
        }
        at += taken;
        o->used += given;
        if (taken == 0 && given == 0 && o->used < o->room) {
            return ERR_CORRUPT;
        }
    } while (at < in.len || hint != 0);
    return ERR_NONE;
}

static enum err lz4_decode(struct str in, struct output *o)
{
    LZ4F_dctx *context;
    enum err err;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
        return ERR_CORRUPT;
    }
    err = lz4_decode_frames(context, in, o);
    LZ4F_freeDecompressionContext(context);
    return err;
}

/* All in one call; too small a block is tried again at twice the size. */
static enum err zstd_decode(struct str in, struct output *o)
{
    for (;;) {
        size_t got = ZSTD_decompress(o->ptr, o->room, in.ptr, in.len);

        if (!ZSTD_isError(got)) {
            o->used = got;
            return ERR_NONE;
        }
        if (ZSTD_getErrorCode(got) != ZSTD_error_dstSize_tooSmall) {
            return ERR_CORRUPT;
        }
        if (!output_grow(o)) {
            return ERR_TOO_LARGE;
        }
    }
}

/* What the first frame says of its size; it may be missing or a lie, so that it
 * counts only in some proportion to the input. */
static size_t zstd_guess(struct str in)
{
    unsigned long long size = ZSTD_getFrameContentSize(in.ptr, in.len);

    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) {
        return in.len * 8;
    }
    return MIN((size_t)size, in.len * ZSTD_GUESS_RATIO_MAX);
}

/* One raw block; grows the output as its own length says. */
static enum err snappy_decode_block(struct str in, struct output *o)
{
    size_t length;

    if (snappy_uncompressed_length(in.ptr, in.len, &length) != SNAPPY_OK ||
        length / SNAPPY_RATIO_MAX > in.len) {
        return ERR_CORRUPT;
    }
    while (o->room - o->used < length) {
        if (!output_grow(o)) {
            return ERR_TOO_LARGE;
        }
    }
    if (snappy_uncompress(in.ptr, in.len, (char *)o->ptr + o->used, &length) !=
        SNAPPY_OK) {
        return ERR_CORRUPT;
    }
    o->used += length;
    return ERR_NONE;
}

/* The blocks of Java's framing: a length, a raw block, and so on. */
static enum err snappy_decode_blocks(struct str in, struct output *o)
{
    size_t at = SNAPPY_HEADER_BYTES;
    enum err err = ERR_NONE;

    while (err == ERR_NONE && at < in.len) {
        uint32_t length;

        if (in.len - at < 4) {
            return ERR_CORRUPT;
        }
        length = bytes_get_u32(in.ptr + at);
        at += 4;
        if (length > in.len - at) {
            return ERR_CORRUPT;
        }
        err = snappy_decode_block(str_sub(in.ptr + at, length), o);
        at += length;
    }
    return err;
}

static enum err snappy_decode(struct str in, struct output *o)
{
    if (in.len >= SNAPPY_HEADER_BYTES &&
        memcmp(in.ptr, snappy_header, 8) == 0) {
        return snappy_decode_blocks(in, o);
    }
    return snappy_decode_block(in, o);
}

enum err compress_decode(int codec, struct str in, size_t bytes_max,
                         struct arena *arena, struct str *out)
{
    struct output o;
    enum err err;

    if (codec == CODEC_NONE) {
        *out = in;
        return in.len > bytes_max ? ERR_TOO_LARGE : ERR_NONE;
    }
    if (codec < CODEC_NONE || codec > CODEC_ZSTD) {
        return ERR_UNSUPPORTED;
    }
    bytes_max = MIN(bytes_max, (size_t)INT32_MAX);
    if (!output_init(&o, arena,
                     codec == CODEC_ZSTD ? zstd_guess(in) : in.len * 4,
                     bytes_max)) {
        return ERR_BUSY;
    }
    err = codec == CODEC_GZIP     ? gzip_decode(in, &o)
          : codec == CODEC_SNAPPY ? snappy_decode(in, &o)
          : codec == CODEC_LZ4    ? lz4_decode(in, &o)
                                  : zstd_decode(in, &o);
    if (o.is_refused) {
        return ERR_BUSY;
    }
    return err ? err : output_finish(&o, out);
}

/* Into a block of the size that zlib says is enough. */
static enum err gzip_encode(int level, struct str in, struct arena *arena,
                            struct str *out)
{
    z_stream z = {.next_in = (const Bytef *)in.ptr, .avail_in = (uInt)in.len};
    uLong room;
    uint8_t *ptr;
    int result;

    level = level == COMPRESS_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level;
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return ERR_INVALID;
    }
    room = deflateBound(&z, (uLong)in.len);
    ptr = arena_raw(arena, room);
    z.next_out = ptr;
    z.avail_out = (uInt)room;
    result = deflate(&z, Z_FINISH);
    *out = str_sub(ptr, z.total_out);
    deflateEnd(&z);
    return result == Z_STREAM_END ? ERR_NONE : ERR_TOO_LARGE;
}

/* Java's framing: what every client reads. */
static enum err snappy_encode(struct str in, struct arena *arena,
                              struct str *out)
{
    size_t blocks = in.len / SNAPPY_BLOCK_BYTES + 1;
    size_t block_max = snappy_max_compressed_length(SNAPPY_BLOCK_BYTES) + 4;
    uint8_t *ptr = arena_raw(arena, SNAPPY_HEADER_BYTES + blocks * block_max);
    size_t at = SNAPPY_HEADER_BYTES;

    memcpy(ptr, snappy_header, SNAPPY_HEADER_BYTES);
    for (size_t from = 0; from < in.len; from += SNAPPY_BLOCK_BYTES) {
        size_t given = block_max - 4;

        if (snappy_compress(in.ptr + from,
                            MIN(in.len - from, (size_t)SNAPPY_BLOCK_BYTES),
                            (char *)ptr + at + 4, &given) != SNAPPY_OK) {
            return ERR_TOO_LARGE;
        }
        bytes_put_u32(ptr + at, (uint32_t)given);
        at += 4 + given;
    }
    *out = str_sub(ptr, at);
    return ERR_NONE;
}

/* Independent blocks, because Java's reader takes no others. */
static enum err lz4_encode(int level, struct str in, struct arena *arena,
                           struct str *out)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB,
                      .blockMode = LZ4F_blockIndependent},
        .compressionLevel =
            level == COMPRESS_LEVEL_DEFAULT ? 0 : MIN(level, LZ4_LEVEL_MAX)};
    size_t room = LZ4F_compressFrameBound(in.len, &preferences);
    uint8_t *ptr = arena_raw(arena, room);
    size_t got = LZ4F_compressFrame(ptr, room, in.ptr, in.len, &preferences);

    *out = str_sub(ptr, got);
    return LZ4F_isError(got) ? ERR_TOO_LARGE : ERR_NONE;
}

/* Into a block of the size that zstd says is enough. */
static enum err zstd_encode(int level, struct str in, struct arena *arena,
                            struct str *out)
{
    size_t room = ZSTD_compressBound(in.len);
    uint8_t *ptr;
    size_t got;

    level = level == COMPRESS_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level;
    if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel()) {
        return ERR_INVALID;
    }
    ptr = arena_raw(arena, room);
    got = ZSTD_compress(ptr, room, in.ptr, in.len, level);
    *out = str_sub(ptr, got);
    return ZSTD_isError(got) ? ERR_TOO_LARGE : ERR_NONE;
}

enum err compress_encode(int codec, int level, struct str in,
                         struct arena *arena, struct str *out)
{
    if (in.len > INT32_MAX / 2) {
        return ERR_TOO_LARGE;
    }
    switch (codec) {
    case CODEC_NONE:
        *out = in;
        return ERR_NONE;
    case CODEC_GZIP:
        return gzip_encode(level, in, arena, out);
    case CODEC_SNAPPY:
        return snappy_encode(in, arena, out);
    case CODEC_LZ4:
        return lz4_encode(level, in, arena, out);
    case CODEC_ZSTD:
        return zstd_encode(level, in, arena, out);
    default:
        return ERR_UNSUPPORTED;
    }
}

static const char *const codec_names[] = {
    [CODEC_NONE] = "none", [CODEC_GZIP] = "gzip", [CODEC_SNAPPY] = "snappy",
    [CODEC_LZ4] = "lz4",   [CODEC_ZSTD] = "zstd",
};

const char *compress_name(int codec)
{
    return codec < 0 || codec > CODEC_ZSTD ? "unknown" : codec_names[codec];
}

bool compress_find(struct str name, int *codec)
{
    for (int i = 0; i <= CODEC_ZSTD; i++) {
        if (str_eq(name, str_of(codec_names[i]))) {
            *codec = i;
            return true;
        }
    }
    return false;
}
