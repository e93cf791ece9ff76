/* env.h - what a module above this floor may touch of the world: time, random
 * numbers, timers, disk threads, the disk, the end of this turn.
 *
 * Each loop has one (loop_env()); the simulator of tests/sim has its own, with
 * a virtual clock and one seed, so that log/ and quorum/ run there unchanged.
 * All calls and all callbacks happen on the env's own loop, but work's run. */
#ifndef RUN_ENV_H
#define RUN_ENV_H

#include "base/heap.h"
#include "base/list.h"
#include "run/file.h"
#include "run/mail.h"

struct env;

/* A deadline. Zero with fire set is valid. fire may set it again. */
struct env_timer {
    void (*fire)(struct env_timer *timer);
    struct heap_node node; /* private */
};

/* Something for the end of this turn: after all sockets and mail of the turn
 * were handled, so that what many callers want is done once for all. */
struct env_task {
    void (*run)(struct env_task *task);
    struct list node; /* private; zero is valid */
    bool queued;      /* private */
};

/* A blocking job. run: on a disk thread; done: on the loop that submitted,
 * later, exactly once. Jobs of one key (a key is the process's, not the loop's)
 * run one after the other, in the order of submission; those of one loop are
 * done in that order too. Caller's memory, in use until done. */
struct work {
    void (*run)(struct work *work);
    void (*done)(struct work *work);
    uint64_t key;
    void *home; /* private from here on */
    struct work *next;
    struct mail mail;
};

/* Ends once every loop of the process has come through a turn that began after
 * the call: whoever saw, within one turn, what was unpublished before it, has
 * let go of it. A turn ends when what was put off with env_soon() has run.
 * Answers by mail, in a later turn. Caller's memory, in use until done. */
struct env_fence {
    void (*done)(struct env_fence *fence);
    void *home; /* private from here on */
    struct mail mail;
    unsigned hops;
};

struct env_ops {
    int64_t (*now_ms)(struct env *env);
    int64_t (*wall_ms)(struct env *env);
    void (*random)(struct env *env, void *into, size_t bytes);
    void (*timer_set)(struct env *env, struct env_timer *timer,
                      int64_t delay_ms);
    void (*timer_stop)(struct env *env, struct env_timer *timer);
    void (*soon)(struct env *env, struct env_task *task);
    void (*work)(struct env *env, struct work *work);
    void (*fence)(struct env *env, struct env_fence *fence);
};

struct env {
    const struct env_ops *ops;
    struct disk *disk;
};

/* Monotonic milliseconds, as of the beginning of this turn. */
static inline int64_t env_now_ms(struct env *env)
{
    return env->ops->now_ms(env);
}

/* Milliseconds since 1970, from the clock of the machine, read now. */
static inline int64_t env_wall_ms(struct env *env)
{
    return env->ops->wall_ms(env);
}

/* Not to be guessed, but in the simulator. */
static inline void env_random(struct env *env, void *into, size_t bytes)
{
    env->ops->random(env, into, bytes);
}

/* Fires once, in delay_ms or later, never from within this call; a timer that
 * runs is moved. delay_ms: below 0 is 0. */
static inline void env_timer_set(struct env *env, struct env_timer *timer,
                                 int64_t delay_ms)
{
    env->ops->timer_set(env, timer, delay_ms);
}

/* A timer that does not run is accepted. */
static inline void env_timer_stop(struct env *env, struct env_timer *timer)
{
    env->ops->timer_stop(env, timer);
}

/* A task that is queued already is left there: it runs once. A task that runs
 * may put itself off again: after some rounds, the next turn comes first. */
static inline void env_soon(struct env *env, struct env_task *task)
{
    env->ops->soon(env, task);
}

/* Answers by done, later. The loop does not end before. */
static inline void env_work(struct env *env, struct work *work)
{
    env->ops->work(env, work);
}

/* Answers by done, in a later turn. */
static inline void env_fence(struct env *env, struct env_fence *fence)
{
    env->ops->fence(env, fence);
}

#endif
