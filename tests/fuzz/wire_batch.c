/* wire_batch.c - fuzzes record batches, codecs and the checks of a Produce.
 *
 * The first byte chooses what the bytes are taken for; its highest bit asks for
 * a right size and checksum, so that what lies behind them is reached. */
#include "base/must.h"
#include "wire/validate.h"

enum { UNPACKED_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void unpack(int codec, struct str in, struct arena *arena)
{
    struct str out, packed, again;

    if (compress_decode(codec, in, UNPACKED_BYTES_MAX, arena, &out) !=
        ERR_NONE) {
        return;
    }
    must(out.len <= UNPACKED_BYTES_MAX);
    must(compress_encode(codec, COMPRESS_LEVEL_DEFAULT, out, arena, &packed) ==
         ERR_NONE);
    must(compress_decode(codec, packed, out.len, arena, &again) == ERR_NONE);
    must(str_eq(out, again));
}

static void walk(const uint8_t *batch, const struct batch_header *h,
                 struct arena *arena)
{
    struct record_iter iter;
    struct record record;
    struct record_header header;
    struct reader r;
    struct str payload;

    if (batch_payload(batch, h, UNPACKED_BYTES_MAX, arena, &payload)) {
        return;
    }
    record_iter_init(&iter, h, payload);
    while (record_iter_next(&iter, &record)) {
        reader_init(&r, record.headers.ptr, record.headers.len);
        for (int32_t i = 0; i < record.headers_count; i++) {
            must(record_header_next(&r, &header));
        }
        must(reader_finish(&r) == ERR_NONE);
    }
}

static void produce(uint8_t *batch, size_t bytes, uint8_t choice,
                    struct arena *arena)
{
    const struct validate_rules rules = {
        .produce_version = 11,
        .batch_bytes_max = 1 << 20,
        .payload_bytes_max = UNPACKED_BYTES_MAX,
        .needs_keys = (choice & 0x08) != 0,
        .log_append_time = (choice & 0x10) != 0,
        .now_ms = 1700000000000,
        .before_ms_max = INT64_MAX,
        .after_ms_max = (choice & 0x20) != 0 ? 1000 : INT64_MAX,
        .codec = (choice & 0x40) != 0 ? CODEC_LZ4 : VALIDATE_CODEC_PRODUCER,
        .level = COMPRESS_LEVEL_DEFAULT,
    };
    struct validate_result result;
    struct batch_header h;

    if (validate_batch(batch, bytes, &rules, arena, &result) != ERR_NONE) {
        must(result.text != NULL);
        return;
    }
    must(batch_parse(result.batch, (size_t)result.header.bytes, &h) ==
         ERR_NONE);
    must(h.record_count == h.last_offset_delta + 1);
    walk(result.batch, &h, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena arena = {0};
    struct batch_header h;
    uint8_t choice, *copy;

    if (bytes < 1) {
        return 0;
    }
    choice = *data++;
    bytes--;
    copy = arena_alloc(&arena, bytes);
    memcpy(copy, data, bytes);
    if ((choice & 7) <= CODEC_ZSTD && (choice & 7) != CODEC_NONE) {
        unpack(choice & 7, str_sub(copy, bytes), &arena);
        arena_reset(&arena);
        return 0;
    }
    if ((choice & 0x80) != 0 && bytes >= BATCH_HEADER_BYTES) {
        bytes_put_i32(copy + 8, (int32_t)bytes - BATCH_PREFIX_BYTES);
        copy[BATCH_MAGIC_AT] = BATCH_MAGIC;
        batch_seal(copy);
    }
    if (batch_parse(copy, bytes, &h) == ERR_NONE) {
        walk(copy, &h, &arena);
    }
    produce(copy, bytes, choice, &arena);
    arena_reset(&arena);
    return 0;
}
