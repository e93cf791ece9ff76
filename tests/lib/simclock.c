/* simclock.c - the next event is the smallest of a heap. */
#include "lib/simclock.h"
#include "base/must.h"

/* A key is the time and the low bits of a serial number, which keeps those of
 * one microsecond in order. */
enum { SERIAL_BITS = 20 };

void simclock_init(struct simclock *clock, uint64_t seed)
{
    *clock = (struct simclock){
        .wall_start_ms = 1767225600000, /* 2026 */
        .seed = seed,
    };
}

void simclock_fini(struct simclock *clock)
{
    heap_fini(&clock->events);
}

void simclock_put(struct simclock *clock, struct simevent *event,
                  int64_t due_us)
{
    uint64_t serial = clock->serial++ & ((1u << SERIAL_BITS) - 1);

    must(event->fire != NULL);
    event->due_us = MAX(due_us, clock->now_us);
    must(event->due_us < INT64_MAX >> SERIAL_BITS);
    heap_put(&clock->events, &event->node,
             (int64_t)((uint64_t)event->due_us << SERIAL_BITS | serial));
}

void simclock_remove(struct simclock *clock, struct simevent *event)
{
    heap_remove(&clock->events, &event->node);
}

bool simclock_is_waiting(const struct simevent *event)
{
    return event->node.place != 0;
}

/* SplitMix64. */
uint64_t simclock_random(struct simclock *clock)
{
    uint64_t z = clock->seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t simclock_random_below(struct simclock *clock, uint64_t limit)
{
    must(limit > 0);
    return simclock_random(clock) % limit;
}

static struct simevent *simclock_first(const struct simclock *clock)
{
    struct heap_node *node = heap_first(&clock->events);

    return node == NULL ? NULL : container_of(node, struct simevent, node);
}

bool simclock_step(struct simclock *clock)
{
    struct simevent *event = simclock_first(clock);

    if (event == NULL) {
        return false;
    }
    heap_remove(&clock->events, &event->node);
    clock->now_us = event->due_us;
    clock->steps++;
    event->fire(event);
    return true;
}

void simclock_run_until_ms(struct simclock *clock, int64_t until_ms)
{
    struct simevent *event;

    while ((event = simclock_first(clock)) != NULL &&
           event->due_us <= until_ms * 1000) {
        simclock_step(clock);
    }
    clock->now_us = MAX(clock->now_us, until_ms * 1000);
}

void simclock_run_for_ms(struct simclock *clock, int64_t ms)
{
    simclock_run_until_ms(clock, clock->now_us / 1000 + ms);
}

bool simclock_run_until_set(struct simclock *clock, const bool *flag,
                            int64_t limit_ms)
{
    int64_t end_us = clock->now_us + limit_ms * 1000;

    while (!*flag) {
        struct simevent *event = simclock_first(clock);

        if (event == NULL || event->due_us > end_us) {
            return false;
        }
        simclock_step(clock);
    }
    return true;
}

bool simclock_run_until_idle(struct simclock *clock, int64_t limit_ms)
{
    static const bool never = false;

    return !simclock_run_until_set(clock, &never, limit_ms) &&
           simclock_first(clock) == NULL;
}
