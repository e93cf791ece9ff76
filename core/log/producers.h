/* producers.h - who is told about the batches of a log.
 *
 * An interface, because whoever checks a producer's sequences need not be the
 * log that keeps its records: the producer state of a partition (producer_state
 * _core.h), that of a lane, or nobody. All is called on the log's owner loop.
 *
 * Happy path of a batch: check(), take() at log_append(), so that the next
 * check() sees what is in flight, settle() once it is written. What is refused
 * between the two, on a full disk, is given_back(): nothing is read for that. A
 * reserved range is taken when it is filled, which may be after batches that
 * lie above it. */
#ifndef LOG_PRODUCERS_H
#define LOG_PRODUCERS_H

#include "wire/batch.h"

struct log_producers {
    /* Before a client's batch is given its offset. ERR_NONE: append it;
     * *duplicate: do not, it is at *base_offset already. */
    enum err (*check)(struct log_producers *producers,
                      const struct batch_header *batch, bool *duplicate,
                      int64_t *base_offset);
    /* check() would have it, but the log has no room: it is given no offset.
     * Who was unknown must come with this sequence again, before any other. */
    void (*refuse)(struct log_producers *producers,
                   const struct batch_header *batch, int64_t seen_ms);
    /* The batch is on its way into the log, to batch->base_offset: note(),
     * until give_back(). seen_ms: when the broker took it, by the wall clock:
     * whatever times a client gives, its producer is remembered from then on.
     */
    void (*take)(struct log_producers *producers,
                 const struct batch_header *batch, int64_t seen_ms);
    /* What was taken below end_offset is in the log. */
    void (*settle)(struct log_producers *producers, int64_t end_offset);
    /* What was taken and not settled is not in the log, and will not be: as if
     * it had come to refuse(). */
    void (*give_back)(struct log_producers *producers);
    /* Recovery: the batch is in the log at batch->base_offset. One that was
     * noted before may come again: it changes nothing. */
    void (*note)(struct log_producers *producers,
                 const struct batch_header *batch, int64_t seen_ms);
    /* Forget everything: load() and note() follow for what the log holds. */
    void (*reset)(struct log_producers *producers);
    /* State without the batches at or above before_offset: Kafka's .snapshot
     * bytes, and our own deeper ones. Allocated with mem_; either may be left
     * NULL: no such file is written then. */
    void (*save)(struct log_producers *producers, int64_t before_offset,
                 char **kafka, size_t *kafka_bytes, char **deep,
                 size_t *deep_bytes);
    /* What save() gave; one of the two is null when only the other is there.
     * saved_ms: when, by the wall clock: Kafka's bytes do not tell.
     * Errors: ERR_CORRUPT (nothing was loaded: an older one is tried). */
    enum err (*load)(struct log_producers *producers, struct str kafka,
                     struct str deep, int64_t saved_ms);
    /* Forget who has been silent for too long. From log_retain(). NULL is
     * accepted. */
    void (*expire)(struct log_producers *producers, int64_t wall_ms);
};

#endif
