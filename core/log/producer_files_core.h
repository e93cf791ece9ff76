/* producer_files_core.h - producers' state as bytes: Kafka's and ours.
 *
 * Both are as of an offset: what lies at or above it is left out, and so are
 * producers of whom nothing is in the log. Pure. Source: record-format 5. */
#ifndef LOG_PRODUCER_FILES_CORE_H
#define LOG_PRODUCER_FILES_CORE_H

#include "log/producer_state_core.h"

/* Kafka's .snapshot, version 1: the last batch of each. From mem_. */
char *producer_files_encode_kafka(const struct producer_state *state,
                                  int64_t before_offset, size_t *bytes);
/* Ours: all that is remembered, the longest silent first. From mem_. */
char *producer_files_encode_deep(const struct producer_state *state,
                                 int64_t before_offset, size_t *bytes);
/* Replace what is there. saved_ms: when Kafka's bytes were written: they do not
 * tell when a producer was last seen.
 * Errors: ERR_CORRUPT (nothing was changed). */
MUST_USE enum err producer_files_decode_kafka(struct producer_state *state,
                                              struct str bytes,
                                              int64_t saved_ms);
MUST_USE enum err producer_files_decode_deep(struct producer_state *state,
                                             struct str bytes);

#endif
