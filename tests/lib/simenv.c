/* simenv.c - the env of a simulated node.
 *
 * Everything is an event of the clock. Timers share one event, put at the first
 * deadline, as the real loop does with its one uv_timer. A job is two events:
 * it runs (as a whole, in no time), later it is done. Of one key, neither comes
 * before the one of the job submitted earlier. Posts and fences are jobs with
 * nothing to run.
 *
 * After each callback the tasks run, as at the end of a turn. */
#include "lib/simenv.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

enum { SOON_ROUNDS_MAX = 10000 }; /* beyond that it would never end */

struct simenv {
    struct env env;
    struct simclock *clock;
    struct simenv_pace pace;
    int64_t skew_ms;
    struct heap timers; /* of env_timer, by due microsecond */
    struct simevent timer;
    struct list soon;
    struct list jobs; /* all that wait */
    struct map lanes; /* of simlane, by key */
};

/* When the latest job of a key runs and is done. */
struct simlane {
    int64_t run_us;
    int64_t done_us;
};

struct simjob {
    struct simevent event;
    struct list node;
    struct simenv *sim;
    struct work *work; /* or: */
    void (*fire)(void *arg);
    void (*drop)(void *arg);
    void *arg;
    int64_t done_us;
};

static struct simenv *simenv_of(struct env *env)
{
    return container_of(env, struct simenv, env);
}

static int64_t simenv_delay(struct simenv *sim, int64_t most_us)
{
    if (most_us <= 0) {
        return 0;
    }
    return (int64_t)simclock_random_below(sim->clock, (uint64_t)most_us + 1);
}

static void simenv_end_turn(struct simenv *sim)
{
    struct list round;
    struct list *node;
    int rounds = 0;

    list_init(&round);
    while (!list_is_empty(&sim->soon)) {
        must(rounds++ < SOON_ROUNDS_MAX);
        list_move(&sim->soon, &round);
        while ((node = list_pop(&round)) != NULL) {
            struct env_task *task = container_of(node, struct env_task, node);

            task->queued = false;
            task->run(task);
        }
    }
}

static int64_t simenv_now_ms(struct env *env)
{
    return simenv_of(env)->clock->now_us / 1000;
}

static int64_t simenv_wall_ms(struct env *env)
{
    struct simenv *sim = simenv_of(env);

    return sim->clock->wall_start_ms + sim->clock->now_us / 1000 + sim->skew_ms;
}

static void simenv_random(struct env *env, void *into, size_t bytes)
{
    uint8_t *at = into;

    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)simclock_random(simenv_of(env)->clock);
    }
}

/* ---- timers ---- */

static void simenv_timer_arm(struct simenv *sim)
{
    struct heap_node *first = heap_first(&sim->timers);

    if (first == NULL) {
        simclock_remove(sim->clock, &sim->timer);
    } else {
        simclock_put(sim->clock, &sim->timer, first->key);
    }
}

/* One timer an event: two that are due at once are two turns. */
static void simenv_timer_fire(struct simevent *event)
{
    struct simenv *sim = container_of(event, struct simenv, timer);
    struct heap_node *first = heap_first(&sim->timers);
    struct env_timer *timer = container_of(first, struct env_timer, node);

    heap_remove(&sim->timers, first);
    simenv_timer_arm(sim);
    timer->fire(timer);
    simenv_end_turn(sim);
}

/* Never early: the first moment of a millisecond that is late enough. */
static void simenv_timer_set(struct env *env, struct env_timer *timer,
                             int64_t delay_ms)
{
    struct simenv *sim = simenv_of(env);
    int64_t due_ms = sim->clock->now_us / 1000 + MAX(delay_ms, 0);

    must(timer->fire != NULL);
    heap_put(&sim->timers, &timer->node,
             MAX(due_ms * 1000, sim->clock->now_us + 1) +
                 simenv_delay(sim, sim->pace.timer_us));
    simenv_timer_arm(sim);
}

static void simenv_timer_stop(struct env *env, struct env_timer *timer)
{
    struct simenv *sim = simenv_of(env);

    heap_remove(&sim->timers, &timer->node);
    simenv_timer_arm(sim);
}

static void simenv_soon(struct env *env, struct env_task *task)
{
    must(task->run != NULL);
    if (!task->queued) {
        task->queued = true;
        list_push(&simenv_of(env)->soon, &task->node);
    }
}

/* ---- jobs, posts, fences ---- */

static struct simjob *simjob_new(struct simenv *sim,
                                 void (*fire)(struct simevent *event))
{
    struct simjob *job = MEM_NEW(struct simjob);

    job->sim = sim;
    job->event.fire = fire;
    list_push(&sim->jobs, &job->node);
    return job;
}

static struct simjob *simjob_of(struct simevent *event)
{
    return container_of(event, struct simjob, event);
}

static void simjob_free(struct simjob *job)
{
    list_remove(&job->node);
    mem_free(job);
}

static void simjob_done(struct simevent *event)
{
    struct simjob *job = simjob_of(event);
    struct simenv *sim = job->sim;
    struct work *work = job->work;

    simjob_free(job);
    work->done(work);
    simenv_end_turn(sim);
}

static void simjob_run(struct simevent *event)
{
    struct simjob *job = simjob_of(event);

    job->work->run(job->work);
    event->fire = simjob_done;
    simclock_put(job->sim->clock, event, job->done_us);
}

static void simenv_work(struct env *env, struct work *work)
{
    struct simenv *sim = simenv_of(env);
    struct str key = str_sub(&work->key, sizeof(work->key));
    struct simlane *lane = map_find(&sim->lanes, key);
    struct simjob *job = simjob_new(sim, simjob_run);
    int64_t now_us = sim->clock->now_us;

    must(work->run != NULL && work->done != NULL);
    if (lane == NULL) {
        lane = MEM_NEW(struct simlane);
        map_put(&sim->lanes, key, lane);
    }
    lane->run_us =
        MAX(lane->run_us, now_us) + 1 + simenv_delay(sim, sim->pace.work_us);
    lane->done_us = MAX(lane->done_us, lane->run_us) + 1 +
                    simenv_delay(sim, sim->pace.work_us);
    job->work = work;
    job->done_us = lane->done_us;
    simclock_put(sim->clock, &job->event, lane->run_us);
}

static void simjob_fire(struct simevent *event)
{
    struct simjob *job = simjob_of(event);
    struct simenv *sim = job->sim;
    void (*fire)(void *arg) = job->fire;
    void *arg = job->arg;

    simjob_free(job);
    fire(arg);
    simenv_end_turn(sim);
}

void simenv_post_in_us(struct simenv *sim, int64_t delay_us,
                       void (*fire)(void *arg), void (*drop)(void *arg),
                       void *arg)
{
    struct simjob *job = simjob_new(sim, simjob_fire);

    job->fire = fire;
    job->drop = drop;
    job->arg = arg;
    simclock_put(sim->clock, &job->event,
                 sim->clock->now_us + MAX(delay_us, 0));
}

void simenv_post(struct simenv *sim, void (*fire)(void *arg),
                 void (*drop)(void *arg), void *arg)
{
    simenv_post_in_us(sim, simenv_delay(sim, sim->pace.mail_us), fire, drop,
                      arg);
}

static void simenv_fence_done(void *arg)
{
    struct env_fence *fence = arg;

    fence->done(fence);
}

static void simenv_fence(struct env *env, struct env_fence *fence)
{
    must(fence->done != NULL);
    simenv_post(simenv_of(env), simenv_fence_done, NULL, fence);
}

/* ---- life and death ---- */

static const struct env_ops simenv_ops = {
    .now_ms = simenv_now_ms,
    .wall_ms = simenv_wall_ms,
    .random = simenv_random,
    .timer_set = simenv_timer_set,
    .timer_stop = simenv_timer_stop,
    .soon = simenv_soon,
    .work = simenv_work,
    .fence = simenv_fence,
};

struct simenv *simenv_open(struct simclock *clock, struct disk *disk)
{
    struct simenv *sim = MEM_NEW(struct simenv);

    *sim = (struct simenv){
        .env = {.ops = &simenv_ops, .disk = disk},
        .clock = clock,
        .pace = {.timer_us = 1000, .work_us = 5000, .mail_us = 1000},
        .timer = {.fire = simenv_timer_fire},
    };
    list_init(&sim->soon);
    list_init(&sim->jobs);
    return sim;
}

void simenv_close(struct simenv *sim)
{
    simenv_crash(sim);
    mem_free(sim);
}

struct env *simenv_env(struct simenv *sim)
{
    return &sim->env;
}

void simenv_set_pace(struct simenv *sim, struct simenv_pace pace)
{
    sim->pace = pace;
}

void simenv_skew_wall_ms(struct simenv *sim, int64_t skew_ms)
{
    sim->skew_ms = skew_ms;
}

void simenv_run(struct simenv *sim, void (*fire)(void *arg), void *arg)
{
    fire(arg);
    simenv_end_turn(sim);
}

void simenv_crash(struct simenv *sim)
{
    struct list *node;
    struct str key;
    void *lane;
    size_t at = 0;

    heap_fini(&sim->timers);
    simenv_timer_arm(sim);
    while ((node = list_pop(&sim->soon)) != NULL) {
        container_of(node, struct env_task, node)->queued = false;
    }
    while ((node = list_pop(&sim->jobs)) != NULL) {
        struct simjob *job = container_of(node, struct simjob, node);

        simclock_remove(sim->clock, &job->event);
        if (job->drop != NULL) {
            job->drop(job->arg);
        }
        mem_free(job);
    }
    while (map_next(&sim->lanes, &at, &key, &lane)) {
        mem_free(lane);
    }
    map_fini(&sim->lanes);
}

bool simenv_is_idle(const struct simenv *sim)
{
    return heap_first(&sim->timers) == NULL && list_is_empty(&sim->soon) &&
           list_is_empty(&sim->jobs);
}
