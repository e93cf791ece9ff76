/* work.c - the disk threads.
 *
 * Jobs of one key form a lane.
 *
 * 1. work_submit() puts a job into the lane of its key; a lane that has been
 *    idle goes into the ready queue, and a thread is woken, or started when
 *    there are more ready lanes than threads that wait.
 * 2. A thread takes the first ready lane and runs one job of it, unlocked.
 * 3. It mails the job home, where done() is called.
 * 4. A lane with more jobs goes to the end of the ready queue, an empty one is
 *    freed. So a slow lane holds one thread and blocks nobody else, and a long
 *    lane takes turns with the others.
 *
 * One lock, held for a few instructions; condition: a lane is ready, or the
 * pool closes.
 *
 * Failure modes:
 * - A thread cannot be started: the others do its work, with a line. Where it
 *   would be the first, the process ends and says what to raise.
 * - A job that never ends holds its lane and one thread.
 *
 * Invariants:
 * 1. A lane is in its bucket while it has jobs or one of them runs.
 * 2. It is in the ready queue while it has jobs and none of them runs.
 * 3. The mail is sent before the lane goes on: jobs of one loop and one key
 *    come home in order.
 * 4. An idle process has started no thread. */
#include "base/list.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "run/loop_private.h"

#include <unistd.h>

enum {
    WORK_BUCKETS = 256,
    WORK_THREADS_MAX = 64,
    WORK_STACK_BYTES = 512 * 1024, /* of address space; touched pages count */
};

/* The jobs of a key; made for the first of them, freed after the last. */
struct work_lane {
    struct list ready;      /* in the pool's ready queue, or alone */
    struct work_lane *next; /* in its bucket */
    uint64_t key;
    struct work *first; /* the next job, its owner's; NULL: the last one runs */
    struct work *last;  /* void while first is NULL */
    bool is_running;
};

struct work_pool {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t change;
    struct list ready;
    size_t ready_count;
    struct work_lane *buckets[WORK_BUCKETS];
    pthread_t threads[WORK_THREADS_MAX];
    unsigned thread_count;
    unsigned threads_max;
    unsigned waiting_count;
    bool is_closing;
};

static void work_lock(struct work_pool *pool)
{
    must(pthread_mutex_lock(&pool->lock) == 0);
}

static void work_unlock(struct work_pool *pool)
{
    must(pthread_mutex_unlock(&pool->lock) == 0);
}

static struct work_lane **work_bucket(struct work_pool *pool, uint64_t key)
{
    return &pool->buckets[(key * 0x9e3779b97f4a7c15u) >> 56];
}

_Static_assert(WORK_BUCKETS == 256, "work_bucket() takes the top 8 bits");

/* The lane of the key, made where there is none. */
static struct work_lane *work_lane_get(struct work_pool *pool, uint64_t key)
{
    struct work_lane **bucket = work_bucket(pool, key);
    struct work_lane *lane = *bucket;

    while (lane != NULL && lane->key != key) {
        lane = lane->next;
    }
    if (lane == NULL) {
        lane = MEM_NEW(struct work_lane);
        lane->key = key;
        lane->next = *bucket;
        list_init(&lane->ready);
        *bucket = lane;
    }
    return lane;
}

static void work_lane_free(struct work_pool *pool, struct work_lane *lane)
{
    struct work_lane **at = work_bucket(pool, lane->key);

    while (*at != lane) {
        at = &(*at)->next;
    }
    *at = lane->next;
    mem_free(lane);
}

static void work_lane_ready(struct work_pool *pool, struct work_lane *lane)
{
    list_push(&pool->ready, &lane->ready);
    pool->ready_count++;
}

/* Takes a job of the first ready lane, which runs from now on. */
static struct work *work_take(struct work_pool *pool, struct work_lane **lane)
{
    struct list *first = list_pop(&pool->ready);
    struct work *work;

    must(first != NULL);
    *lane = container_of(first, struct work_lane, ready);
    pool->ready_count--;
    must(!(*lane)->is_running && (*lane)->first != NULL); /* invariant 2 */
    work = (*lane)->first;
    (*lane)->first = work->next;
    (*lane)->is_running = true;
    return work;
}

static void work_delivered(struct mail *mail)
{
    struct work *work = container_of(mail, struct work, mail);
    struct loop *home = work->home;

    must(home->jobs > 0);
    home->jobs--;
    work->done(work);
    loop_end_maybe(home);
}

/* A disk thread, until the pool closes and is empty. */
static void *work_thread(void *arg)
{
    struct work_pool *pool = arg;

    pthread_setname_np(pthread_self(), "disk");
    work_lock(pool);
    for (;;) {
        struct work_lane *lane;
        struct work *work;

        while (list_is_empty(&pool->ready) && !pool->is_closing) {
            pool->waiting_count++;
            must(pthread_cond_wait(&pool->change, &pool->lock) == 0);
            pool->waiting_count--;
        }
        if (list_is_empty(&pool->ready)) {
            break;
        }
        work = work_take(pool, &lane);
        work_unlock(pool);
        work->run(work);
        work->mail.deliver = work_delivered;
        mail_send(work->home, &work->mail);
        work_lock(pool);
        lane->is_running = false;
        if (lane->first != NULL) {
            work_lane_ready(pool, lane);
        } else {
            work_lane_free(pool, lane);
        }
    }
    work_unlock(pool);
    return NULL;
}

/* One more thread, unless those that wait are enough. That a thread cannot be
 * started is survived while there is another one. Without any, nothing will
 * ever be on disk: the process ends, as it does when a disk fails. */
static void work_thread_maybe(struct work_pool *pool)
{
    int status;

    if (pool->ready_count <= pool->waiting_count ||
        pool->thread_count == pool->threads_max) {
        return;
    }
    status = loop_thread_start(&pool->threads[pool->thread_count],
                               WORK_STACK_BYTES, work_thread, pool);
    if (status == 0) {
        pool->thread_count++;
        return;
    }
    if (pool->thread_count > 0) {
        trace(TRACE_WARN, "could not start a disk thread beside %u others: %s",
              pool->thread_count, uv_strerror(uv_translate_sys_error(status)));
        return;
    }
    trace(TRACE_ERROR,
          "ended: could not start the first disk thread: %s; raise what limits "
          "processes and memory (ulimit -u and -v, pids.max and memory.max of "
          "the cgroup, TasksMax of the service)",
          uv_strerror(uv_translate_sys_error(status)));
    _exit(1);
}

/* The thread is woken when the lock is free: otherwise it would wake to wait
 * for it. */
void work_submit(struct work_pool *pool, struct work *work)
{
    struct work_lane *lane;
    bool is_ready = false;

    work->next = NULL;
    work_lock(pool);
    lane = work_lane_get(pool, work->key);
    if (lane->first != NULL) {
        lane->last->next = work;
        lane->last = work;
    } else {
        lane->first = lane->last = work;
        if (!lane->is_running) {
            work_lane_ready(pool, lane);
            work_thread_maybe(pool);
            is_ready = true;
        }
    }
    work_unlock(pool);
    if (is_ready) {
        pthread_cond_signal(&pool->change);
    }
}

struct work_pool *work_pool_open(unsigned threads_max)
{
    struct work_pool *pool = MEM_NEW(struct work_pool);

    must(threads_max >= 1 && threads_max <= WORK_THREADS_MAX);
    must(pthread_mutex_init(&pool->lock, NULL) == 0);
    must(pthread_cond_init(&pool->change, NULL) == 0);
    list_init(&pool->ready);
    pool->threads_max = threads_max;
    return pool;
}

void work_pool_close(struct work_pool *pool)
{
    work_lock(pool);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->change);
    work_unlock(pool);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        must(pthread_join(pool->threads[i], NULL) == 0);
    }
    must(pool->ready_count == 0);
    must(pthread_cond_destroy(&pool->change) == 0);
    must(pthread_mutex_destroy(&pool->lock) == 0);
    mem_free(pool);
}
