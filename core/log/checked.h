/* checked.h - which bytes of a segment have a CRC that was looked at since the
 * process began.
 *
 * Bytes that this process wrote were checked when they came, and those that
 * recovery read. What a reader asks for of older ones is checked once, before
 * it is sent: a few stretches are remembered. Any thread. */
#ifndef LOG_CHECKED_H
#define LOG_CHECKED_H

#include "base/base.h"
#include <pthread.h>

enum { CHECKED_STRETCHES = 16 };

struct checked_stretch {
    uint64_t from;
    uint64_t to;
};

struct checked {
    pthread_mutex_t lock; /* private from here on; guards the rest */
    uint32_t count;
    struct checked_stretch list[CHECKED_STRETCHES]; /* sorted, apart */
};

/* Nothing was looked at yet. */
void checked_init(struct checked *checked);
/* Nobody may be in it. */
void checked_fini(struct checked *checked);
/* The bytes in [from, to) were; the shortest stretch goes when there are too
 * many. */
void checked_add(struct checked *checked, uint64_t from, uint64_t to);
/* Whether all of [from, to) were, and that is remembered. */
bool checked_has(struct checked *checked, uint64_t from, uint64_t to);

#endif
