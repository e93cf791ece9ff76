/* sender.h - produces records to one topic: batches, retries, each once.
 *
 * Records are gathered per partition and sent by sender_flush(), one request a
 * broker. With acks=all the producer is idempotent (where the broker offers
 * it), so that a batch sent again after a lost answer is not there twice. */
#ifndef CLI_SENDER_H
#define CLI_SENDER_H

#include "cli/client.h"
#include "wire/batch.h"

struct sender;

struct sender_options {
    struct str topic;  /* borrowed */
    int codec;         /* enum codec */
    int16_t acks;      /* 0, 1 or -1 */
    int32_t partition; /* -1: by key, or by turns where there is none */
};

struct sender_totals {
    int64_t records; /* acknowledged (sent, with acks=0) */
    int64_t bytes;   /* of their keys and values */
};

/* Asks for the topic (which may create it) and for a producer id.
 * Errors: what client_metadata() gives; ERR_INVALID (no such partition). */
MUST_USE enum err sender_open(struct client *client,
                              const struct sender_options *options,
                              struct sender **out, struct why *why);
void sender_close(struct sender *sender);
/* Copies the record; sends what there is when that is much. */
MUST_USE enum err sender_add(struct sender *sender,
                             const struct batch_record *record,
                             struct why *why);
/* Sends all that was added and waits for the answers. */
MUST_USE enum err sender_flush(struct sender *sender, struct why *why);
struct sender_totals sender_totals(const struct sender *sender);

/* What one partition has got: index counts from 0. False: there is none. */
struct sender_partition_totals {
    int32_t partition;
    int64_t first_offset; /* -1: unknown (acks=0) */
    int64_t records;
};
MUST_USE bool sender_partition_totals(const struct sender *sender,
                                      int32_t index,
                                      struct sender_partition_totals *out);

#endif
