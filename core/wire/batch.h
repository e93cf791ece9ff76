/* batch.h - record batches, format 2: the unit that is produced, stored,
 * replicated and fetched.
 *
 *    0  8 base offset      21  2 attributes         43  8 producer id
 *    8  4 length after it  23  4 last offset delta  51  2 producer epoch
 *   12  4 leader epoch     27  8 base timestamp     53  4 base sequence
 *   16  1 magic = 2        35  8 max timestamp      57  4 record count
 *   17  4 CRC-32C of all bytes from 21 on           61    records
 *
 * Base offset and leader epoch lie outside the CRC, so a broker sets them in
 * place. Everything is pure bytes: no state, any thread, nothing is owned.
 * Source: protocol guide, "Record Batch"; KIP-98, KIP-534. */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "wire/compress.h"
#include "wire/record.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum {
    BATCH_HEADER_BYTES = 61,
    BATCH_PREFIX_BYTES = 12, /* base offset and length: tells the size */
    BATCH_LEADER_EPOCH_AT = 12,
    BATCH_MAGIC_AT = 16,
    BATCH_CRC_AT = 17,
    BATCH_ATTRIBUTES_AT = 21,
    BATCH_LAST_OFFSET_DELTA_AT = 23,
    BATCH_BASE_TIMESTAMP_AT = 27,
    BATCH_MAX_TIMESTAMP_AT = 35,
    BATCH_PRODUCER_ID_AT = 43,
    BATCH_PRODUCER_EPOCH_AT = 51,
    BATCH_BASE_SEQUENCE_AT = 53,
    BATCH_RECORD_COUNT_AT = 57,
    BATCH_MAGIC = 2,
};

enum batch_attribute {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_header {
    int64_t base_offset;
    int32_t bytes; /* of the whole batch, header included */
    int32_t leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence; /* -1: none */
    int32_t record_count;
};

/* The size of the batch that starts here, from its first BATCH_PREFIX_BYTES;
 * 0 when no batch can have that size. */
uint32_t batch_bytes(const void *prefix);

/* Reads the header and checks its sizes, not the CRC.
 *
 * bytes: what is there; the batch may be followed by others.
 * Errors: ERR_TORN (fewer bytes than a header, or than the batch says),
 *         ERR_UNSUPPORTED (magic 0 or 1), ERR_CORRUPT (any other magic, a
 *         length shorter than a header, a negative count or delta). */
MUST_USE enum err batch_header_parse(const void *batch, size_t bytes,
                                     struct batch_header *out);

/* Whether the CRC is right. bytes: of exactly one batch, whose header parsed.
 */
bool batch_crc_matches(const void *batch, size_t bytes);

/* batch_header_parse(), and ERR_CORRUPT when the CRC does not match. */
MUST_USE enum err batch_parse(const void *batch, size_t bytes,
                              struct batch_header *out);

/* Of the last record, also where compaction took it out. */
static inline int64_t batch_last_offset(const struct batch_header *h)
{
    return h->base_offset + h->last_offset_delta;
}

/* Sequences run from 0 to INT32_MAX and then from 0 again. */
int32_t batch_sequence_add(int32_t sequence, int32_t delta);
int32_t batch_last_sequence(const struct batch_header *h);

/* In place; these two lie outside the CRC. */
void batch_set_base_offset(void *batch, int64_t base_offset);
void batch_set_leader_epoch(void *batch, int32_t leader_epoch);

/* In place, with the CRC brought up to date if anything changed. LogAppendTime
 * means that every record has max_timestamp. */
void batch_set_timestamps(void *batch, bool log_append_time,
                          int64_t max_timestamp);

/* Computes and stores the CRC of a whole batch that was changed by hand. */
void batch_seal(void *batch);

/* The bytes after the header, decompressed: a slice of the batch, or memory
 * that lives as long as the arena's.
 *
 * batch: parsed into h. bytes_max: refuse to unpack more than this.
 * Errors: ERR_UNSUPPORTED (no such codec), ERR_CORRUPT (does not unpack),
 *         ERR_TOO_LARGE (over bytes_max), ERR_BUSY (over the arena's
 *         budget). */
MUST_USE enum err batch_payload(const void *batch, const struct batch_header *h,
                                size_t bytes_max, struct arena *arena,
                                struct str *out);

/* What a batch to be built says of itself; zero is not the usual default, so
 * start from BATCH_OPTIONS. */
struct batch_options {
    int64_t base_offset;
    int32_t leader_epoch;
    int16_t attributes; /* codec and flags */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int level; /* of the codec; COMPRESS_LEVEL_DEFAULT */
};

#define BATCH_OPTIONS                                                          \
    ((struct batch_options){.leader_epoch = -1,                                \
                            .producer_id = -1,                                 \
                            .producer_epoch = -1,                              \
                            .base_sequence = -1,                               \
                            .level = COMPRESS_LEVEL_DEFAULT})

/* Builds a batch in an arena. The first record's timestamp becomes the base.
 * Offset deltas run from 0 unless batch_builder_add_at() places them. */
struct batch_builder {
    struct batch_options options;
    struct writer writer;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
    int32_t last_offset_delta;
};

struct batch_record {
    int64_t timestamp;
    struct str key;
    struct str value;
    const struct record_header *headers; /* borrowed until added */
    int32_t headers_count;
    struct str headers_encoded; /* instead of headers, as a record has them */
};

/* arena: gives the memory of the batch. bytes: a guess of its size. */
void batch_builder_init(struct batch_builder *b, struct arena *arena,
                        const struct batch_options *options, size_t bytes);
void batch_builder_add(struct batch_builder *b,
                       const struct batch_record *record);
/* A record at this delta, which is greater than all before. */
void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta,
                          const struct batch_record *record);
/* What has been added so far, before compression, header included. */
size_t batch_builder_bytes(const struct batch_builder *b);
/* Compresses and seals; there is at least one record. out: in the arena.
 * Errors: ERR_TOO_LARGE (over INT32_MAX), ERR_UNSUPPORTED (codec), ERR_INVALID
 *         (level). */
MUST_USE enum err batch_builder_finish(struct batch_builder *b,
                                       struct str *out);

enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
};

struct control_marker {
    enum control_type type;
    int32_t coordinator_epoch;
    int64_t timestamp;
};

/* A control batch with the one marker, in the arena; the control and the
 * transactional bit are set, a codec in options is not used.
 * Source: protocol guide, "Control Batches". */
struct str batch_control(struct arena *arena,
                         const struct batch_options *options,
                         const struct control_marker *marker);

#endif
