/* loop.c - the loops of the process: made, run, stopped.
 *
 * A turn of a loop, as libuv makes it: timers; closed handles; loop_prepare
 * (tasks), then it sleeps until a descriptor, the mail or a deadline wakes it;
 * sockets and mail; loop_check (tasks, then fences leave).
 *
 * The life of all:
 * 1. loops_open() makes the loops and starts the threads of all but loop 0.
 * 2. loops_run() runs loop 0 on the caller's thread; start() is its first mail.
 * 3. loops_stop(), from any thread, sets is_stopping and wakes everybody.
 * 4. Each loop lets go of its wake handle once no job of it is in flight
 *    (loop_end_maybe), and ends when the handles of others are closed, too.
 * 5. loops_run() joins the threads; loops_close() closes the handles.
 *
 * Failure modes:
 * - No descriptor or thread for a loop: loops_open() undoes what it began.
 * - A handle that somebody forgot: its loop would not end; one that does not
 *   keep it alive is found by loop_fini().
 *
 * Invariants:
 * 1. The wake handle alone keeps a loop alive, of what is made here.
 * 2. Handles are closed when all threads have been joined: a late sender may
 *    still touch the wake handle of a loop that has ended.
 * 3. Signals are handled on loop 0; other threads block all of them. */
#include "run/loop.h"
#include "base/mem.h"
#include "base/must.h"
#include "run/loop_private.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

static _Thread_local struct loop *loop_here;

static void loop_prepare(uv_prepare_t *prepare)
{
    env_soon_run(prepare->data);
}

static void loop_check(uv_check_t *check)
{
    struct loop *loop = check->data;

    env_soon_run(loop);
    env_fences_leave(loop);
}

static void loop_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;

    mail_deliver(loop);
    loop_end_maybe(loop);
}

void loop_end_maybe(struct loop *loop)
{
    if (loop->jobs == 0 && atomic_load(&loop->loops->is_stopping)) {
        uv_unref((uv_handle_t *)&loop->wake);
    }
}

/* ---- one loop ---- */

/* Everything but the wake handle is there without keeping the loop alive. */
static int loop_init(struct loop *loop, struct loops *loops, unsigned index)
{
    int status;

    *loop = (struct loop){
        .env = {.ops = &env_loop_ops, .disk = disk_real()},
        .loops = loops,
        .index = index,
        .armed_ms = INT64_MAX,
    };
    list_init(&loop->soon);
    status = uv_loop_init(&loop->uv);
    if (status != 0) {
        return status;
    }
    status = uv_async_init(&loop->uv, &loop->wake, loop_wake);
    if (status != 0) {
        must(uv_loop_close(&loop->uv) == 0);
        return status;
    }
    loop->wake.data = loop;
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->timer);
    loop->prepare.data = loop->check.data = loop->timer.data = loop;
    uv_prepare_start(&loop->prepare, loop_prepare);
    uv_check_start(&loop->check, loop_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->idle);
    uv_unref((uv_handle_t *)&loop->timer);
    return 0;
}

/* A handle that somebody forgot to close is a bug of theirs. */
static void loop_fini(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&loop->uv) == 0);
    heap_fini(&loop->timers);
}

static void loop_run(struct loop *loop)
{
    loop_here = loop;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop_here = NULL;
}

static void *loop_thread(void *arg)
{
    struct loop *loop = arg;
    char name[16];

    snprintf(name, sizeof(name), "loop-%u", loop->index);
    pthread_setname_np(pthread_self(), name);
    loop_run(loop);
    return NULL;
}

int loop_thread_start(pthread_t *thread, size_t stack_bytes,
                      void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int status;

    pthread_attr_init(&attributes);
    if (stack_bytes > 0) {
        pthread_attr_setstacksize(&attributes, stack_bytes);
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(thread, &attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return status;
}

/* ---- all loops ---- */

unsigned loops_default_count(void)
{
    cpu_set_t cpus;
    unsigned count = 1;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        count = (unsigned)CPU_COUNT(&cpus);
    }
    return count <= 2 ? 1 : MIN(count / 2, (unsigned)LOOPS_MAX);
}

static void loops_wake(struct loops *loops)
{
    for (unsigned i = 0; i < loops->count; i++) {
        uv_async_send(&loops->at[i].wake);
    }
}

/* threads: how many loops, from loop 1 on, have one. */
static void loops_join(struct loops *loops, unsigned threads)
{
    if (loops->is_joined) {
        return;
    }
    loops->is_joined = true;
    for (unsigned i = 1; i <= threads; i++) {
        pthread_join(loops->at[i].thread, NULL);
    }
    work_pool_close(loops->pool);
}

static void loops_free(struct loops *loops)
{
    if (loops->has_signals) {
        for (size_t i = 0; i < ARRAY_COUNT(loops->signals); i++) {
            uv_close((uv_handle_t *)&loops->signals[i], NULL);
        }
    }
    for (unsigned i = 0; i < loops->count; i++) {
        loop_fini(&loops->at[i]);
    }
    mem_free(loops);
}

enum err loops_open(unsigned count, unsigned work_threads, struct loops **out,
                    struct why *why)
{
    struct loops *loops = MEM_NEW(struct loops);
    unsigned threads = 0;
    int status = 0;

    must(count >= 1 && count <= LOOPS_MAX);
    signal(SIGPIPE, SIG_IGN);
    loops->pool = work_pool_open(work_threads);
    while (loops->count < count) {
        status = loop_init(&loops->at[loops->count], loops, loops->count);
        if (status != 0) {
            goto fail;
        }
        loops->count++;
    }
    while (threads + 1 < count) {
        struct loop *loop = &loops->at[threads + 1];

        status = uv_translate_sys_error(
            loop_thread_start(&loop->thread, 0, loop_thread, loop));
        if (status != 0) {
            goto fail;
        }
        threads++;
    }
    *out = loops;
    return ERR_NONE;

fail:
    why_set(why, ERR_SYSTEM,
            "could not start %u loops: %s (raise ulimit -u and -n, or lower "
            "limits.loops)",
            count, uv_strerror(status));
    loops_stop(loops);
    loops_join(loops, threads);
    loops_free(loops);
    return ERR_SYSTEM;
}

struct loops_start {
    struct mail mail;
    void (*start)(void *arg);
    void *arg;
};

static void loops_started(struct mail *mail)
{
    struct loops_start *first = container_of(mail, struct loops_start, mail);

    first->start(first->arg);
}

void loops_run(struct loops *loops, void (*start)(void *arg), void *arg)
{
    struct loops_start first = {{loops_started, NULL}, start, arg};

    must(loop_here == NULL && !loops->is_joined);
    mail_send(&loops->at[0], &first.mail);
    loop_run(&loops->at[0]);
    loops_join(loops, loops->count - 1);
}

void loops_stop(struct loops *loops)
{
    atomic_store(&loops->is_stopping, true);
    loops_wake(loops);
}

void loops_close(struct loops *loops)
{
    if (loops == NULL) {
        return;
    }
    if (!loops->is_joined) {
        loops_stop(loops);
        loops_join(loops, loops->count - 1);
    }
    loops_free(loops);
}

unsigned loops_count(const struct loops *loops)
{
    return loops->count;
}

struct loop *loops_at(struct loops *loops, unsigned index)
{
    must(index < loops->count);
    return &loops->at[index];
}

unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}

struct env *loop_env(struct loop *loop)
{
    return &loop->env;
}

bool loop_is_current(const struct loop *loop)
{
    return loop_here == loop;
}

struct loop *loop_current(void)
{
    return loop_here;
}

void *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

/* ---- signals ---- */

static void loops_signalled(uv_signal_t *handle, int signal_number)
{
    struct loops *loops = handle->data;

    loops->signal_fire(loops->signal_arg, signal_number);
}

void loops_on_signal(struct loops *loops, void (*fire)(void *arg, int signal),
                     void *arg)
{
    static const int numbers[LOOPS_SIGNALS] = {SIGINT, SIGTERM, SIGUSR1};

    must(!loops->has_signals);
    must(loop_here == NULL || loop_here == &loops->at[0]);
    loops->has_signals = true;
    loops->signal_fire = fire;
    loops->signal_arg = arg;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        must(uv_signal_init(&loops->at[0].uv, &loops->signals[i]) == 0);
        loops->signals[i].data = loops;
        uv_unref((uv_handle_t *)&loops->signals[i]);
        must(uv_signal_start(&loops->signals[i], loops_signalled, numbers[i]) ==
             0);
    }
}
