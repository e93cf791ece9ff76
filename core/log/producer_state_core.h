/* producer_state_core.h - which batches of idempotent producers a partition
 * has seen: the last five of each, as Kafka keeps them.
 *
 * A producer that is unknown may begin with any sequence: its state may have
 * been forgotten. But where its first batch was refused while others were in
 * flight, it is remembered with the sequence that it must come with again; of
 * that nothing is stored, for it is of no batch in the log.
 *
 * Invariants:
 * 1. slots hold the entries of oldest, which do not await, and of refused,
 * which do; count of them.
 * 2. taken is in the order of producer_state_take(); undone from its end, it
 *    leaves what was there before the first.
 * 3. An entry that awaits has no batches.
 *
 * Pure. Owner loop. Source: record-format 5; KIP-98, KIP-360. */
#ifndef LOG_PRODUCER_STATE_CORE_H
#define LOG_PRODUCER_STATE_CORE_H

#include "base/list.h"
#include "log/producers.h"

enum { PRODUCER_STATE_DEPTH = 5 };

struct producer_entry;
struct producer_taken;

struct producer_state {
    struct log_producers producers; /* the interface; first */
    struct producer_entry **slots;  /* private from here on */
    uint32_t slot_count;            /* a power of two, or 0 */
    uint32_t count;
    struct list oldest;           /* of entries, the longest silent first; */
    struct list refused;          /* of those that await */
    struct producer_taken *taken; /* on their way into the log */
    uint32_t taken_count;
    uint32_t taken_capacity;
    int64_t expiration_ms;
    uint32_t limit; /* of producers; then one that was refused goes, the longest
                       silent one when there is none; 0: none. May be set after
                       producer_state_init() */
};

/* One batch, as it is remembered. */
struct producer_batch {
    int32_t last_sequence;
    int32_t offset_delta; /* last offset - base offset */
    int64_t last_offset;
    int64_t timestamp;
};

/* What is known of one producer. */
struct producer_entry {
    int64_t producer_id;
    int64_t seen_ms;           /* by the broker: wall clock */
    int64_t txn_first_offset;  /* of the open transaction; -1: none */
    int32_t coordinator_epoch; /* -1: no marker yet */
    int32_t awaited_sequence;  /* of its next batch, if it awaits */
    int16_t epoch;
    bool awaits;   /* nothing of it is in the log: its first was refused */
    uint8_t count; /* of batches */
    struct producer_batch batches[PRODUCER_STATE_DEPTH]; /* oldest first */
    struct producer_entry *next;                         /* private */
    struct list node;                                    /* private */
};

/* expiration_ms: producer.id.expiration.ms. */
void producer_state_init(struct producer_state *state, int64_t expiration_ms);
void producer_state_fini(struct producer_state *state);

/* Errors: ERR_INVALID_PRODUCER_EPOCH, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
 * ERR_INVALID_TXN_STATE. A batch without a producer id is accepted. */
MUST_USE enum err producer_state_check(const struct producer_state *state,
                                       const struct batch_header *batch,
                                       bool *duplicate, int64_t *base_offset);
/* The rest is as producers.h says. */
void producer_state_refuse(struct producer_state *state,
                           const struct batch_header *batch, int64_t seen_ms);
void producer_state_take(struct producer_state *state,
                         const struct batch_header *batch, int64_t seen_ms);
void producer_state_settle(struct producer_state *state, int64_t end_offset);
void producer_state_give_back(struct producer_state *state);
void producer_state_note(struct producer_state *state,
                         const struct batch_header *batch, int64_t seen_ms);
void producer_state_clear(struct producer_state *state);
/* Forgets who has no open transaction and was last seen expiration_ms ago. */
void producer_state_expire(struct producer_state *state, int64_t wall_ms);
/* NULL: nothing known. */
const struct producer_entry *
producer_state_find(const struct producer_state *state, int64_t producer_id);

/* The entry of the producer, made when there is none; it has no epoch then. */
struct producer_entry *producer_state_put(struct producer_state *state,
                                          int64_t producer_id);

#endif
