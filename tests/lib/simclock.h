/* simclock.h - virtual time and one seed: what a simulated world runs on.
 *
 * Everything that happens is an event at a microsecond; the clock jumps from
 * one to the next. Events of the same microsecond come in the order in which
 * they were put. One thread. The same seed gives the same run. */
#ifndef LIB_SIMCLOCK_H
#define LIB_SIMCLOCK_H

#include "base/heap.h"

/* Something that will happen; embed it. Zero with fire set is valid. */
struct simevent {
    void (*fire)(struct simevent *event);
    struct heap_node node; /* private from here on */
    int64_t due_us;
};

struct simclock {
    int64_t now_us;
    int64_t wall_start_ms; /* wall time when now_us was 0 */
    uint64_t steps;        /* events that have happened */
    struct heap events;    /* private from here on */
    uint64_t seed;
    uint64_t serial;
};

void simclock_init(struct simclock *clock, uint64_t seed);
/* Events that still wait are left to their owners. */
void simclock_fini(struct simclock *clock);

/* Happens at due_us, or now when that is past; moves one that waits. */
void simclock_put(struct simclock *clock, struct simevent *event,
                  int64_t due_us);
/* One that does not wait is accepted. */
void simclock_remove(struct simclock *clock, struct simevent *event);
bool simclock_is_waiting(const struct simevent *event);

/* The next number of the seed; random_below: less than limit, which is > 0. */
uint64_t simclock_random(struct simclock *clock);
uint64_t simclock_random_below(struct simclock *clock, uint64_t limit);

/* Lets the next event happen; false when there is none. */
bool simclock_step(struct simclock *clock);
/* Lets happen what is due until then, and moves the clock there. */
void simclock_run_until_ms(struct simclock *clock, int64_t until_ms);
void simclock_run_for_ms(struct simclock *clock, int64_t ms);
/* Until *flag is set; false when limit_ms have passed, or nothing waits. */
bool simclock_run_until_set(struct simclock *clock, const bool *flag,
                            int64_t limit_ms);
/* Until nothing waits; false when that took more than limit_ms. */
bool simclock_run_until_idle(struct simclock *clock, int64_t limit_ms);

#endif
