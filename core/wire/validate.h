/* validate.h - whether a produced batch may enter a partition.
 *
 * One pass over the batch and its records; pure: the clock and the topic's
 * rules are arguments. Nothing is allocated but what a compressed batch unpacks
 * to, the list of bad records, and a rewritten batch. Any thread.
 * Source: protocol guide, "Record Batch"; KIP-467 (record errors), KIP-937
 * (timestamps), KIP-390 (levels). */
#ifndef WIRE_VALIDATE_H
#define WIRE_VALIDATE_H

#include "wire/batch.h"

enum {
    VALIDATE_CODEC_PRODUCER = -1,
    VALIDATE_ERRORS_MAX = 1000, /* bad records that are listed one by one */
};

struct validate_rules {
    int16_t produce_version;
    int32_t batch_bytes_max;  /* max.message.bytes */
    size_t payload_bytes_max; /* of what a compressed batch unpacks to */
    bool needs_keys;          /* cleanup.policy contains compact */
    bool log_append_time;     /* message.timestamp.type */
    int64_t now_ms;
    int64_t before_ms_max; /* message.timestamp.before.max.ms */
    int64_t after_ms_max;  /* message.timestamp.after.max.ms */
    int codec;             /* compression.type, or VALIDATE_CODEC_PRODUCER */
    int level;             /* of that codec */
};

/* A record that is to blame. text: static. */
struct validate_error {
    int32_t index;
    const char *text;
};

struct validate_result {
    /* When all is well: what to append, and its header. The bytes are the
     * caller's own batch, with timestamp type, max timestamp and CRC set, or
     * a rewritten one in the arena. Offset and leader epoch are not set. */
    uint8_t *batch;
    struct batch_header header;
    /* When not: one sentence for the client, static, and the bad records. */
    const char *text;
    struct validate_error *errors;
    int32_t errors_count;
};

/* batch: the bytes of one partition in a Produce request; changed in place.
 * Errors: ERR_INVALID_RECORD, ERR_CORRUPT_MESSAGE, ERR_MESSAGE_TOO_LARGE,
 *         ERR_UNSUPPORTED_COMPRESSION_TYPE, ERR_INVALID_TIMESTAMP: as Kafka's
 *         broker answers them; ERR_BUSY: the arena's budget has no room to
 *         unpack it now. */
MUST_USE enum err validate_batch(uint8_t *batch, size_t bytes,
                                 const struct validate_rules *rules,
                                 struct arena *arena,
                                 struct validate_result *out);

#endif
