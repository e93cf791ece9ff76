/* watch.h - wait until a number has reached a value.
 *
 * For high watermarks, flushed ends, applied indexes: a number that only grows
 * and the requests that wait for it. Belongs to one loop. */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

#include "base/list.h"

struct watch {
    struct list waiters; /* private: sorted by at_least */
    int64_t value;
};

/* Caller's memory, in use until wake or watch_cancel(). Zero with wake set is
 * valid. */
struct waiter {
    void (*wake)(struct waiter *waiter);
    int64_t at_least;
    struct list node; /* private */
};

/* Nobody waits yet. */
void watch_init(struct watch *watch, int64_t value);
/* False, and nothing queued, when the value is there already. waiter: one that
 * waits for nothing now. */
MUST_USE bool watch_wait(struct watch *watch, struct waiter *waiter,
                         int64_t at_least);
/* A waiter that woke up already is accepted. */
void watch_cancel(struct waiter *waiter);
/* Sets the value and wakes whom it satisfies, lowest first. value: below the
 * current one is accepted (a truncation) and wakes nobody. */
void watch_advance(struct watch *watch, int64_t value);
/* Wakes everybody: the thing watched goes away. */
void watch_wake_all(struct watch *watch);

#endif
