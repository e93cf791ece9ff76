/* env.c - the env of a loop: clocks, random numbers, timers, tasks, fences.
 *
 * Timers: a heap of deadlines, and one uv_timer for the first of them.
 *
 * Tasks (env_soon) run at two places of a turn of libuv's: before it sleeps,
 * for what timers and closed handles have put off, and after it has handled
 * sockets and mail. There is nothing to wake up for: no task is ever left when
 * the loop goes to sleep. Tasks that put off tasks are run in rounds; after
 * SOON_ROUNDS_MAX of them sockets get their turn, and an idle handle keeps the
 * loop from sleeping until no task is left.
 *
 * A fence:
 * 1. env_fence() mails it to its own loop first.
 * 2. It leaves each loop at the end of a turn, when its tasks have run, for the
 *    next one in the ring.
 * 3. After the last one it goes home, and is done on arrival.
 *
 * Invariants:
 * 1. armed_ms is the key of the heap's first timer, or INT64_MAX; but while
 *    timers fire, for then it is set once, at the end.
 * 2. A timer never fires from within env_timer_set(), nor twice in a turn.
 * 3. A task is in the list exactly while queued is set.
 * 4. jobs counts what was handed to env_work() and is not done: the loop does
 *    not end before. */
#include "run/env.h"
#include "base/must.h"
#include "run/loop_private.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

enum { SOON_ROUNDS_MAX = 16 };

static struct loop *loop_of(struct env *env)
{
    struct loop *loop = container_of(env, struct loop, env);

    must(loop_is_current(loop));
    return loop;
}

static int64_t loop_now_ms(struct env *env)
{
    return (int64_t)uv_now(&loop_of(env)->uv);
}

static int64_t loop_wall_ms(struct env *env)
{
    struct timespec now;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The kernel's; before its pool is ready it waits. */
static void loop_random(struct env *env, void *into, size_t bytes)
{
    uint8_t *at = into;

    (void)env;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);

        if (got < 0) {
            must(errno == EINTR);
            continue;
        }
        at += got;
        bytes -= (size_t)got;
    }
}

/* ---- timers ---- */

static void loop_timer_due(uv_timer_t *timer)
{
    env_timers_fire(timer->data);
}

/* Sets the uv_timer, if the first deadline is another one now. */
static void loop_timer_arm(struct loop *loop)
{
    struct heap_node *first = heap_first(&loop->timers);
    int64_t due_ms = first == NULL ? INT64_MAX : first->key;
    int64_t now_ms = (int64_t)uv_now(&loop->uv);

    if (loop->is_firing || due_ms == loop->armed_ms) {
        return;
    }
    loop->armed_ms = due_ms;
    if (first == NULL) {
        uv_timer_stop(&loop->timer);
    } else {
        uv_timer_start(&loop->timer, loop_timer_due,
                       (uint64_t)MAX(due_ms - now_ms, 0), 0);
    }
}

/* A timer that is set again by what fires waits for the next turn, even with
 * no delay: its key is above now. */
void env_timers_fire(struct loop *loop)
{
    int64_t now_ms = (int64_t)uv_now(&loop->uv);

    must(!loop->is_firing);
    loop->armed_ms = INT64_MAX;
    loop->is_firing = true;
    for (;;) {
        struct heap_node *first = heap_first(&loop->timers);
        struct env_timer *timer;

        if (first == NULL || first->key > now_ms) {
            break;
        }
        timer = container_of(first, struct env_timer, node);
        heap_remove(&loop->timers, first);
        timer->fire(timer);
    }
    loop->is_firing = false;
    loop_timer_arm(loop);
}

static void loop_timer_set(struct env *env, struct env_timer *timer,
                           int64_t delay_ms)
{
    struct loop *loop = loop_of(env);
    int64_t now_ms = (int64_t)uv_now(&loop->uv);
    int64_t delay = MAX(delay_ms, loop->is_firing ? 1 : 0);

    must(timer->fire != NULL);
    heap_put(&loop->timers, &timer->node,
             delay > INT64_MAX - now_ms ? INT64_MAX - 1 : now_ms + delay);
    loop_timer_arm(loop);
}

static void loop_timer_stop(struct env *env, struct env_timer *timer)
{
    struct loop *loop = loop_of(env);

    heap_remove(&loop->timers, &timer->node);
    loop_timer_arm(loop);
}

/* ---- the end of the turn ---- */

static void loop_soon(struct env *env, struct env_task *task)
{
    struct loop *loop = loop_of(env);

    must(task->run != NULL);
    if (!task->queued) {
        task->queued = true;
        list_push(&loop->soon, &task->node);
    }
}

static void loop_idle(uv_idle_t *idle)
{
    (void)idle; /* that it runs is enough: the loop does not sleep */
}

void env_soon_run(struct loop *loop)
{
    struct list round;
    struct list *node;

    list_init(&round);
    for (int i = 0; i < SOON_ROUNDS_MAX && !list_is_empty(&loop->soon); i++) {
        list_move(&loop->soon, &round);
        while ((node = list_pop(&round)) != NULL) {
            struct env_task *task = container_of(node, struct env_task, node);

            must(task->queued); /* invariant 3 */
            task->queued = false;
            task->run(task);
        }
    }
    if (list_is_empty(&loop->soon)) {
        uv_idle_stop(&loop->idle);
    } else {
        uv_idle_start(&loop->idle, loop_idle);
    }
}

static void loop_work(struct env *env, struct work *work)
{
    struct loop *loop = loop_of(env);

    must(work->run != NULL && work->done != NULL);
    work->home = loop;
    loop->jobs++;
    uv_ref((uv_handle_t *)&loop->wake); /* it may be about to end */
    work_submit(loop->loops->pool, work);
}

/* ---- fences ---- */

static struct env_fence *fence_of(struct mail *mail)
{
    return container_of(mail, struct env_fence, mail);
}

static void fence_arrive(struct mail *mail)
{
    struct loop *here = loop_current();

    mail->next = here->fences;
    here->fences = mail;
}

static void fence_home(struct mail *mail)
{
    struct env_fence *fence = fence_of(mail);

    fence->done(fence);
}

static void loop_fence(struct env *env, struct env_fence *fence)
{
    struct loop *loop = loop_of(env);

    must(fence->done != NULL);
    fence->home = loop;
    fence->hops = 0;
    fence->mail.deliver = fence_arrive;
    mail_send(loop, &fence->mail);
}

void env_fences_leave(struct loop *loop)
{
    struct mail *leaving = loop->fences;

    if (!list_is_empty(&loop->soon)) {
        return; /* this turn has not ended yet */
    }
    loop->fences = NULL;
    while (leaving != NULL) {
        struct env_fence *fence = fence_of(leaving);
        struct loop *home = fence->home;
        unsigned count = loop->loops->count;

        leaving = leaving->next;
        fence->hops++;
        if (fence->hops == count) {
            fence->mail.deliver = fence_home;
        }
        mail_send(&loop->loops->at[(home->index + fence->hops) % count],
                  &fence->mail);
    }
}

const struct env_ops env_loop_ops = {
    .now_ms = loop_now_ms,
    .wall_ms = loop_wall_ms,
    .random = loop_random,
    .timer_set = loop_timer_set,
    .timer_stop = loop_timer_stop,
    .soon = loop_soon,
    .work = loop_work,
    .fence = loop_fence,
};
