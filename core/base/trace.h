/* trace.h - what the program prints about itself, a line each, to stderr.
 *
 * (log means the partition log, nothing else.) Any thread; a line is written
 * with one write(). Levels below the one that is set cost a comparison. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/base.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG };

/* Lines of this level and the graver ones are written; at first TRACE_INFO. */
void trace_level_set(enum trace_level level);
/* "2026-11-25T10:00:00.123Z error " and the text. */
void trace(enum trace_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Keeps lines of a kind that clients can cause from being many. Zero is valid.
 * Belongs to one thread. */
struct trace_gate {
    int64_t second;  /* private */
    uint32_t passed; /* in it */
    uint32_t held;   /* since the last one that passed */
};

/* Whether one more may be written: at most a_second in a second. *held: how
 * many were not, since the last one that was; a line says so, when there are
 * any. now_ms: of any clock that does not go back. */
MUST_USE bool trace_gate_pass(struct trace_gate *gate, int64_t now_ms,
                              uint32_t a_second, uint32_t *held);
/* trace(TRACE_WARN) through a gate; the line says how many were held. */
void trace_gated(struct trace_gate *gate, int64_t now_ms, uint32_t a_second,
                 const char *format, ...) PRINTF_LIKE(4, 5);

#endif
