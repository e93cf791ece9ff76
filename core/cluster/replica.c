/* replica.c - appends, the high watermark, and who waits for it.
 *
 * An append: replica_append() -> (mail) -> replica_append_run() -> log_append()
 * -> replica_append_written() -> waits on the flushed end or is done ->
 * call_return() -> (mail) -> append->done.
 *
 * The high watermark follows the log: with flush = "commit" a waiter on the
 * flushed end (replica_flushed) moves it, with "async" each written append
 * does. Whoever moves it tells the loops that have asked (replica_tell).
 *
 * Waiting across loops. Each loop has a list of waiters of each replica, and a
 * bit in `interest`. A waiter is queued, then the bit set, then the high
 * watermark read again; the owner publishes the high watermark, then takes the
 * bits. Setting and taking change the same word, so one comes first: the owner
 * sees the bit, or the waiter sees what was published. No wake-up is lost.
 *
 * A wait for the disk that takes too long is given up once a second has passed
 * its deadline: the clock ticks only while something is in flight. */
#include "cluster/replica.h"

#include "base/mem.h"
#include "base/must.h"
#include "log/producer_state_core.h"

#include <stdatomic.h>

/* An idempotent producer that was silent for so long is forgotten (Kafka's
 * producer.id.expiration.ms). */
enum { PRODUCER_EXPIRATION_MS = 86400000 };

enum { APPEND_TICK_MS = 1000 };

/* News for one loop: the high watermark has moved. in_flight: the mail is on
 * its way; it will see everything that was published before it arrives. */
struct replica_news {
    struct mail mail;
    struct replica *replica;
    struct list waiters; /* of that loop */
    _Atomic bool in_flight;
};

struct replica {
    struct loops *loops;
    struct loop *loop;
    struct env *env;
    struct log *log;
    struct producer_state producers;
    int32_t leader_epoch;
    bool flush_commit;
    bool removing;
    int64_t retention_check_ms;
    struct wall *wall;
    struct waiter flushed;
    int64_t retention_at_ms; /* when it is due; INT64_MAX: never */
    struct env_timer retention;
    bool ticking; /* appends_tick is set */
    struct env_timer appends_tick;
    struct list appends; /* in flight */
    void (*closed)(void *arg);
    void *closed_arg;
    struct env_fence fence;
    _Atomic uint32_t interest;
    _Atomic bool open;
    unsigned loops_count;
    struct replica_news news[];
};

/* On the loop that waits: everybody looks again. */
static void replica_wake(struct replica_news *news)
{
    struct list waiters;

    list_init(&waiters);
    list_move(&news->waiters, &waiters);
    while (!list_is_empty(&waiters)) {
        struct replica_waiter *waiter =
            container_of(list_pop(&waiters), struct replica_waiter, node);

        waiter->wake(waiter);
    }
}

static void replica_deliver_news(struct mail *mail)
{
    struct replica_news *news = container_of(mail, struct replica_news, mail);

    atomic_store(&news->in_flight, false);
    replica_wake(news);
}

/* Tells every loop that has asked. */
static void replica_tell(struct replica *replica)
{
    uint32_t interest = atomic_exchange(&replica->interest, 0);

    for (unsigned i = 0; interest >> i != 0; i++) {
        struct replica_news *news = &replica->news[i];

        if ((interest >> i & 1) != 0 &&
            !atomic_exchange(&news->in_flight, true)) {
            mail_send(loops_at(replica->loops, i), &news->mail);
        }
    }
}

/* Sets the high watermark to what is safe, and tells. */
static void replica_advance(struct replica *replica)
{
    int64_t end = replica->flush_commit ? log_flushed_end(replica->log)
                                        : log_end_offset(replica->log);

    if (end > log_visible_end(replica->log)) {
        log_set_visible_end(replica->log, end);
        replica_tell(replica);
    }
}

/* The flushed end has moved: the high watermark follows, and waits on. */
static void replica_flushed(struct waiter *waiter)
{
    struct replica *replica = container_of(waiter, struct replica, flushed);

    if (!atomic_load(&replica->open)) {
        return;
    }
    replica_advance(replica);
    while (!watch_wait(log_flushed_watch(replica->log), &replica->flushed,
                       log_flushed_end(replica->log) + 1)) {
        replica_advance(replica);
    }
}

/* Has retention look in so long, if it would look later than that. */
static void replica_retain_in(struct replica *replica, int64_t delay_ms)
{
    int64_t at_ms = env_now_ms(replica->env) + delay_ms;

    if (at_ms < replica->retention_at_ms) {
        replica->retention_at_ms = at_ms;
        env_timer_set(replica->env, &replica->retention, delay_ms);
    }
}

static void replica_retain(struct env_timer *timer)
{
    struct replica *replica = container_of(timer, struct replica, retention);
    int64_t due =
        log_retain(replica->log, wall_look(replica->wall, replica->env));

    replica->retention_at_ms = INT64_MAX;
    if (due == 0) {
        replica_retain_in(replica, 1); /* others have the loop in between */
    } else if (due != INT64_MAX) {
        replica_retain_in(replica, MAX(due, replica->retention_check_ms));
    }
}

/* Something was appended: retention has something to look at again, and not
 * only when the oldest record will be too old. */
static void replica_want_retention(struct replica *replica)
{
    replica_retain_in(replica, replica->retention_check_ms);
}

static void replica_append_finish(struct replica_append *append, enum err err)
{
    append->err = err;
    append->log_start_offset = log_start_offset(append->replica->log);
    list_remove(&append->node);
    call_return(&append->call);
}

/* Gives up the waits that have taken too long. What is not written yet stays:
 * the log holds its bytes. */
static void replica_appends_tick(struct env_timer *timer)
{
    struct replica *replica = container_of(timer, struct replica, appends_tick);
    int64_t now_ms = env_now_ms(replica->env);
    struct list late;

    list_init(&late);
    list_each_safe(node, &replica->appends)
    {
        struct replica_append *append =
            container_of(node, struct replica_append, node);

        if (append->waits && append->deadline_ms <= now_ms) {
            watch_cancel(&append->waiter);
            list_remove(node);
            list_push(&late, node);
        }
    }
    replica->ticking = !list_is_empty(&replica->appends);
    if (replica->ticking) {
        env_timer_set(replica->env, timer, APPEND_TICK_MS);
    }
    while (!list_is_empty(&late)) {
        replica_append_finish(
            container_of(late.next, struct replica_append, node),
            ERR_REQUEST_TIMED_OUT);
    }
}

enum err replica_open(const struct replica_options *options,
                      struct replica **out, struct log_recovery *report,
                      struct why *why)
{
    unsigned count = loops_count(options->loops);
    struct replica *replica =
        mem_zalloc(sizeof(*replica) + count * sizeof(replica->news[0]));
    struct log_options log_options = {.folder = options->folder,
                                      .topic = options->topic,
                                      .partition = options->partition,
                                      .topic_id = options->topic_id,
                                      .config = options->config,
                                      .clean = options->clean,
                                      .failed = options->failed,
                                      .failed_arg = options->failed_arg};
    enum err err;

    replica->loops = options->loops;
    replica->loop = options->loop;
    replica->env = loop_env(options->loop);
    replica->leader_epoch = options->leader_epoch;
    replica->flush_commit = options->config.flush_commit;
    replica->retention_check_ms = options->retention_check_ms;
    replica->retention_at_ms = INT64_MAX;
    replica->wall = options->wall;
    replica->flushed.wake = replica_flushed;
    replica->retention.fire = replica_retain;
    replica->appends_tick.fire = replica_appends_tick;
    replica->loops_count = count;
    list_init(&replica->appends);
    for (unsigned i = 0; i < count; i++) {
        replica->news[i].replica = replica;
        replica->news[i].mail.deliver = replica_deliver_news;
        list_init(&replica->news[i].waiters);
    }
    producer_state_init(&replica->producers, PRODUCER_EXPIRATION_MS);
    replica->producers.limit = options->producers_max;
    log_options.producers = &replica->producers.producers;
    err = log_open(replica->env, &log_options, &replica->log, report, why);
    if (err == ERR_NONE &&
        log_last_epoch(replica->log) < options->leader_epoch) {
        err = log_begin_epoch(replica->log, options->leader_epoch, why);
    }
    if (err != ERR_NONE) {
        /* A log that opened but cannot begin its epoch ends the process. */
        producer_state_fini(&replica->producers);
        mem_free(replica);
        return err;
    }
    atomic_store(&replica->open, true);
    log_set_visible_end(replica->log, log_end_offset(replica->log));
    replica_flushed(&replica->flushed);
    if (log_end_offset(replica->log) > log_start_offset(replica->log)) {
        replica_want_retention(replica);
    }
    *out = replica;
    return ERR_NONE;
}

/* Both the log and the other loops have let go. */
static void replica_free(struct env_fence *fence)
{
    struct replica *replica = container_of(fence, struct replica, fence);
    void (*closed)(void *) = replica->closed;
    void *arg = replica->closed_arg;

    producer_state_fini(&replica->producers);
    mem_free(replica);
    closed(arg);
}

static void replica_log_closed(void *arg)
{
    struct replica *replica = arg;

    /* News may still be on its way to a loop. */
    replica->fence.done = replica_free;
    env_fence(replica->env, &replica->fence);
}

void replica_close(struct replica *replica, bool removing,
                   void (*done)(void *arg), void *arg)
{
    must(loop_is_current(replica->loop));
    must(atomic_load(&replica->open));
    replica->removing = removing;
    replica->closed = done;
    replica->closed_arg = arg;
    atomic_store(&replica->open, false);
    env_timer_stop(replica->env, &replica->retention);
    env_timer_stop(replica->env, &replica->appends_tick);
    watch_cancel(&replica->flushed);
    /* Appends that are being written end when they are; those that wait for
     * the flushed end are woken, and find the replica closed. */
    watch_wake_all(log_flushed_watch(replica->log));
    atomic_fetch_or(&replica->interest,
                    (uint32_t)((1ull << replica->loops_count) - 1));
    replica_tell(replica);
    if (removing) {
        log_remove(replica->log, replica_log_closed, replica);
    } else {
        log_close(replica->log, replica_log_closed, replica);
    }
}

static enum err replica_closed_err(const struct replica *replica)
{
    return replica->removing ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_STOPPING;
}

/* What acks asked for is there, or the replica closes. */
static void replica_append_reached(struct waiter *waiter)
{
    struct replica_append *append =
        container_of(waiter, struct replica_append, waiter);
    struct replica *replica = append->replica;
    bool reached =
        log_flushed_end(replica->log) > append->log_append.last_offset;

    replica_append_finish(append,
                          reached ? ERR_NONE : replica_closed_err(replica));
}

static void replica_append_written(struct log_append *log_append, enum err err)
{
    struct replica_append *append =
        container_of(log_append, struct replica_append, log_append);
    struct replica *replica = append->replica;

    append->base_offset = log_append->base_offset;
    if (err != ERR_NONE) {
        /* Clients know no limits of ours: to them it is the disk, and they try
         * again. */
        replica_append_finish(append, err == ERR_LIMIT ? ERR_DISK : err);
        return;
    }
    if (!atomic_load(&replica->open)) {
        /* The log may never be synced again: nobody would end the wait. */
        replica_append_finish(append, replica_closed_err(replica));
        return;
    }
    if (!replica->flush_commit) {
        replica_advance(replica);
    }
    replica_want_retention(replica);
    append->waiter.wake = replica_append_reached;
    append->waits = append->acks != 0 && replica->flush_commit &&
                    watch_wait(log_flushed_watch(replica->log), &append->waiter,
                               log_append->last_offset + 1);
    if (!append->waits) {
        replica_append_finish(append, ERR_NONE);
    }
}

/* On the owner loop. */
static void replica_append_run(struct call *call)
{
    struct replica_append *append =
        container_of(call, struct replica_append, call);
    struct replica *replica = append->replica;

    list_push(&replica->appends, &append->node);
    append->base_offset = -1;
    append->waits = false;
    if (!atomic_load(&replica->open)) {
        replica_append_finish(append, replica_closed_err(replica));
        return;
    }
    append->deadline_ms =
        env_now_ms(replica->env) + MAX(append->timeout_ms, APPEND_TICK_MS);
    if (!replica->ticking) {
        replica->ticking = true;
        env_timer_set(replica->env, &replica->appends_tick, APPEND_TICK_MS);
    }
    append->log_append =
        (struct log_append){.batch = append->batch,
                            .bytes = append->bytes,
                            .leader_epoch = replica->leader_epoch,
                            .from_client = true,
                            .done = replica_append_written};
    log_append(replica->log, &append->log_append);
}

static void replica_append_returned(struct call *call)
{
    struct replica_append *append =
        container_of(call, struct replica_append, call);

    append->done(append);
}

void replica_append(struct replica_append *append)
{
    append->call.run = replica_append_run;
    append->call.done = replica_append_returned;
    list_init(&append->node);
    call_start(&append->call, append->replica->loop);
}

bool replica_wait(struct replica *replica, struct replica_waiter *waiter,
                  int64_t at_least)
{
    unsigned index = loop_index(loop_current());

    waiter->replica = replica;
    list_init(&waiter->node);
    list_push(&replica->news[index].waiters, &waiter->node);
    atomic_fetch_or(&replica->interest, 1u << index);
    if (log_visible_end(replica->log) >= at_least ||
        !atomic_load(&replica->open)) {
        list_remove(&waiter->node);
        return false;
    }
    return true;
}

void replica_wait_cancel(struct replica_waiter *waiter)
{
    list_remove(&waiter->node);
}

struct log *replica_log(struct replica *replica)
{
    return replica->log;
}

int64_t replica_high_watermark(const struct replica *replica)
{
    return log_visible_end(replica->log);
}

int32_t replica_leader_epoch(const struct replica *replica)
{
    return replica->leader_epoch;
}

struct loop *replica_loop(const struct replica *replica)
{
    return replica->loop;
}

bool replica_is_open(const struct replica *replica)
{
    return atomic_load(&replica->open);
}
