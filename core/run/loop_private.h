/* loop_private.h - what loop.c, env.c, mail.c and work.c share. */
#ifndef RUN_LOOP_PRIVATE_H
#define RUN_LOOP_PRIVATE_H

#include "run/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum { LOOPS_SIGNALS = 3 };

struct work_pool;

struct loop {
    struct env env;
    struct loops *loops;
    unsigned index;
    pthread_t thread; /* of loops other than loop 0 */
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t prepare; /* before the loop sleeps */
    uv_check_t check;     /* after sockets and mail were handled */
    uv_idle_t idle;       /* runs while tasks are left for the next turn */
    uv_timer_t timer;     /* for the first of timers */
    struct heap timers;   /* of env_timer, by due time */
    int64_t armed_ms;     /* what timer waits for; INT64_MAX: nothing */
    bool is_firing;
    struct list soon;          /* of env_task */
    struct mail *fences;       /* that leave when this turn ends */
    uint64_t jobs;             /* submitted here and not done yet */
    _Atomic(struct mail *) in; /* newest first */
};

struct loops {
    struct loop at[LOOPS_MAX];
    unsigned count;
    struct work_pool *pool;
    atomic_bool is_stopping;
    bool is_joined;
    bool has_signals;
    uv_signal_t signals[LOOPS_SIGNALS]; /* on loop 0 */
    void (*signal_fire)(void *arg, int signal);
    void *signal_arg;
};

extern const struct env_ops env_loop_ops;

/* env.c: the parts of a turn. */
void env_timers_fire(struct loop *loop);
void env_soon_run(struct loop *loop);
void env_fences_leave(struct loop *loop);

/* mail.c: delivers all that has come until now. */
void mail_deliver(struct loop *loop);

/* loop.c: lets the loop end, if it is to stop and nothing is in flight. */
void loop_end_maybe(struct loop *loop);
/* A thread that takes no signals. stack_bytes: 0 is the system's default. */
MUST_USE int loop_thread_start(pthread_t *thread, size_t stack_bytes,
                               void *(*run)(void *), void *arg);

/* work.c: the disk threads. */
struct work_pool *work_pool_open(unsigned threads_max);
/* Runs what is queued, then joins the threads. */
void work_pool_close(struct work_pool *pool);
void work_submit(struct work_pool *pool, struct work *work);

#endif
