/* net.c - connections over loops: who gets the next one, who idles too long,
 * and how all of them end.
 *
 * Nothing here ticks: the reaper's timer is set to the earliest moment at which
 * a connection could be due, and not at all where there is none.
 *
 * A turn: connections with something to send or to start are marked dirty; at
 * its end net_loop_flush() takes each of them once, so that all answers of a
 * turn leave together.
 *
 * The end:
 * 1. net_close(): the listeners go, every loop gets mail.
 * 2. net_loop_drain(): what is idle closes now, the rest once it has answered
 *    what runs; nothing more is read or started.
 * 3. After the grace, net_loop_grace_over() closes all; handlers that still run
 *    keep their connections until they answer.
 * 4. The last connection of a loop is gone: mail to loop 0. net_drained()
 * counts the loops; the last one frees the net and calls done.
 *
 * Invariants:
 * 1. conns is sorted by active_ms, halves by half_since_ms: the reaper looks at
 *    the heads only.
 * 2. count is the connections of the loop, running the requests that its
 *    handlers have.
 * 3. A loop that is drained has no connection, and gets none: listeners stop
 *    before the mail is sent, and mail of one sender keeps its order. */
#include "net/net_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include <fcntl.h>
#include <unistd.h>

/* Starved connections try again in this time, should nothing be given back on
 * their own loop. */
enum { STARVED_RETRY_MS = 20 };

void net_loop_mark_dirty(struct net_loop *net_loop, struct conn *conn)
{
    if (list_is_empty(&conn->dirty_node)) {
        list_push(&net_loop->dirty, &conn->dirty_node);
        env_soon(net_loop->env, &net_loop->flush);
    }
}

/* The end of a turn: all answers of the turn leave together. */
static void net_loop_flush(struct env_task *task)
{
    struct net_loop *net_loop = container_of(task, struct net_loop, flush);
    struct list dirty;

    list_init(&dirty);
    list_move(&net_loop->dirty, &dirty);
    while (!list_is_empty(&dirty)) {
        struct list *node = list_pop(&dirty);

        conn_flush(container_of(node, struct conn, dirty_node));
    }
}

/* All that starve try at once: the first ones get what there is. */
void net_loop_given(struct net_loop *net_loop)
{
    struct list starved;

    if (list_is_empty(&net_loop->starved) ||
        (net_loop->running > 0 &&
         budget_is_over(net_loop->net->options.budget))) {
        return;
    }
    list_init(&starved);
    list_move(&net_loop->starved, &starved);
    while (!list_is_empty(&starved)) {
        struct list *node = list_pop(&starved);

        conn_retry(container_of(node, struct conn, starved_node));
    }
}

static void net_loop_block_given(void *arg)
{
    net_loop_given(arg);
}

/* Another loop may give back what this one waits for: so it looks again. */
void net_loop_starve(struct net_loop *net_loop, struct conn *conn)
{
    list_remove(&conn->starved_node);
    list_push(&net_loop->starved, &conn->starved_node);
    net_loop_set_reaper(net_loop);
}

/* When the reaper has to look next; -1: never. */
static int64_t net_loop_next_due(const struct net_loop *net_loop, int64_t now)
{
    const struct net_limits *limits = &net_loop->net->options.limits;
    int64_t due = INT64_MAX;

    if (!list_is_empty(&net_loop->starved)) {
        due = now + STARVED_RETRY_MS;
    }
    if (!list_is_empty(&net_loop->halves)) {
        due =
            MIN(due, container_of(net_loop->halves.next, struct conn, half_node)
                             ->half_since_ms +
                         limits->half_frame_ms);
    }
    if (!list_is_empty(&net_loop->conns)) {
        due = MIN(
            due,
            container_of(net_loop->conns.next, struct conn, node)->active_ms +
                limits->idle_ms);
    }
    return due == INT64_MAX ? -1 : due;
}

void net_loop_set_reaper(struct net_loop *net_loop)
{
    int64_t now = env_now_ms(net_loop->env);
    int64_t due = net_loop_next_due(net_loop, now);

    if (due < 0) {
        env_timer_stop(net_loop->env, &net_loop->reaper);
    } else {
        env_timer_set(net_loop->env, &net_loop->reaper, MAX(due - now, 1));
    }
}

/* Closes whose time is over, lets the starved try, and sets the timer anew. */
static void net_loop_reap(struct env_timer *timer)
{
    struct net_loop *net_loop = container_of(timer, struct net_loop, reaper);
    const struct net_limits *limits = &net_loop->net->options.limits;
    int64_t now = env_now_ms(net_loop->env);

    list_each_safe(node, &net_loop->halves)
    {
        struct conn *conn = container_of(node, struct conn, half_node);

        if (now - conn->half_since_ms < limits->half_frame_ms) {
            break;
        }
        trace_gated(&net_loop->closings, now, CLOSINGS_A_SECOND,
                    "closed %s: a frame did not end within %lld ms", conn->peer,
                    (long long)limits->half_frame_ms);
        conn_close(conn);
    }
    list_each_safe(node, &net_loop->conns)
    {
        struct conn *conn = container_of(node, struct conn, node);

        if (now - conn->active_ms < limits->idle_ms) {
            break;
        }
        /* One that waits for an answer of ours is not idle. */
        if (conn->running == 0 || conn_out_is_due(conn)) {
            conn_close(conn);
        }
        conn->active_ms = now;
        list_remove(&conn->node);
        list_push(&net_loop->conns, &conn->node);
    }
    net_loop_given(net_loop);
    net_loop_set_reaper(net_loop);
}

static void net_loop_init(struct net_loop *net_loop, struct net *net,
                          struct loop *loop)
{
    *net_loop = (struct net_loop){.net = net,
                                  .loop = loop,
                                  .env = loop_env(loop),
                                  .flush = {.run = net_loop_flush},
                                  .reaper = {.fire = net_loop_reap}};
    list_init(&net_loop->conns);
    list_init(&net_loop->halves);
    list_init(&net_loop->starved);
    list_init(&net_loop->dirty);
    block_pool_init(&net_loop->pool, net_loop->env, net->options.budget,
                    net_loop_block_given, net_loop);
}

/* What belongs to loop 0 is touched there only. */
static bool net_is_at_home(const struct net *net)
{
    return loop_is_current(loops_at(net->options.loops, 0));
}

struct net *net_open(const struct net_options *options)
{
    struct net *net = MEM_NEW(struct net);

    net->options = *options;
    must(net_is_at_home(net));
    net->loops_count = loops_count(options->loops);
    net->loops = mem_zalloc(net->loops_count * sizeof(*net->loops));
    for (unsigned i = 0; i < net->loops_count; i++) {
        net_loop_init(&net->loops[i], net, loops_at(options->loops, i));
    }
    net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return net;
}

enum err net_listen(struct net *net, const char *host, uint16_t port,
                    uint32_t index, uint16_t *bound_port, struct why *why)
{
    struct listener *listener;
    enum err err;

    must(net_is_at_home(net) && net->closed == NULL);
    err = listener_open(net, host, port, &listener, bound_port, why);
    if (err == ERR_NONE) {
        listener->index = index;
        listener->next = net->listeners;
        net->listeners = listener;
    }
    return err;
}

void net_start(struct net *net)
{
    must(net_is_at_home(net));
    for (struct listener *l = net->listeners; l != NULL; l = l->next) {
        listener_start(l);
    }
}

uint32_t net_connections(const struct net *net)
{
    return atomic_load_explicit(&net->connections, memory_order_relaxed);
}

/* A look at one loop; frees itself there. */
struct net_look {
    struct mail mail;
    struct net_loop *net_loop;
    void (*visit)(void *arg, struct request **running, size_t count);
    void *arg;
};

/* Fills running, when it is not NULL; gives how many there are. */
static size_t net_loop_running(struct net_loop *net_loop,
                               struct request **running)
{
    size_t count = 0;

    list_each(node, &net_loop->conns)
    {
        struct conn *conn = container_of(node, struct conn, node);

        list_each(at, &conn->requests)
        {
            struct request *request = container_of(at, struct request, node);

            if (!request->answered) {
                if (running != NULL) {
                    running[count] = request;
                }
                count++;
            }
        }
    }
    return count;
}

static void net_loop_look(struct mail *mail)
{
    struct net_look *look = container_of(mail, struct net_look, mail);
    size_t count = net_loop_running(look->net_loop, NULL);
    struct request **running = mem_alloc((count + 1) * sizeof(*running));

    net_loop_running(look->net_loop, running);
    look->visit(look->arg, running, count);
    mem_free(running);
    mem_free(look);
}

void net_visit(struct net *net,
               void (*visit)(void *arg, struct request **running, size_t count),
               void *arg)
{
    must(net_is_at_home(net));
    if (net->closed != NULL) {
        return; /* loops that are drained already may not look any more */
    }
    for (unsigned i = 0; i < net->loops_count; i++) {
        struct net_look *look = mem_alloc(sizeof(*look));

        *look = (struct net_look){.mail = {.deliver = net_loop_look},
                                  .net_loop = &net->loops[i],
                                  .visit = visit,
                                  .arg = arg};
        mail_send(net->loops[i].loop, &look->mail);
    }
}

/* The last loop has let go of its last connection: free everything. */
static void net_drained(struct mail *mail)
{
    struct net_loop *net_loop =
        container_of(mail, struct net_loop, drained_mail);
    struct net *net = net_loop->net;
    void (*closed)(void *) = net->closed;
    void *arg = net->closed_arg;

    if (++net->drained_count < net->loops_count) {
        return;
    }
    if (net->reserve_fd >= 0) {
        close(net->reserve_fd);
    }
    peers_fini(&net->peers);
    mem_free(net->loops);
    mem_free(net);
    closed(arg);
}

static void net_loop_maybe_drained(struct net_loop *net_loop)
{
    if (!net_loop->draining || net_loop->count > 0 || net_loop->drained) {
        return;
    }
    must(list_is_empty(&net_loop->conns) && net_loop->running == 0);
    net_loop->drained = true;
    env_timer_stop(net_loop->env, &net_loop->reaper);
    env_timer_stop(net_loop->env, &net_loop->grace);
    block_pool_fini(&net_loop->pool);
    net_loop->drained_mail.deliver = net_drained;
    mail_send(loops_at(net_loop->net->options.loops, 0),
              &net_loop->drained_mail);
}

void net_loop_conn_gone(struct net_loop *net_loop)
{
    must(net_loop->count > 0 && !net_loop->drained); /* invariants 2, 3 */
    net_loop->count--;
    atomic_fetch_sub_explicit(&net_loop->net->connections, 1,
                              memory_order_relaxed);
    if (net_loop->count == 0) {
        env_timer_stop(net_loop->env, &net_loop->reaper);
    }
    net_loop_maybe_drained(net_loop);
}

static void net_loop_grace_over(struct env_timer *timer)
{
    struct net_loop *net_loop = container_of(timer, struct net_loop, grace);

    list_each_safe(node, &net_loop->conns)
    {
        conn_close(container_of(node, struct conn, node));
    }
}

/* On each loop: what is idle closes now, the rest once it is answered. */
static void net_loop_drain(struct mail *mail)
{
    struct net_loop *net_loop = container_of(mail, struct net_loop, drain_mail);

    net_loop->draining = true;
    list_each_safe(node, &net_loop->conns)
    {
        struct conn *conn = container_of(node, struct conn, node);

        if (list_is_empty(&conn->requests)) {
            conn_close(conn);
        }
    }
    net_loop->grace.fire = net_loop_grace_over;
    env_timer_set(net_loop->env, &net_loop->grace, net_loop->net->grace_ms);
    net_loop_maybe_drained(net_loop);
}

void net_close(struct net *net, int64_t grace_ms, void (*done)(void *arg),
               void *arg)
{
    must(net_is_at_home(net) && net->closed == NULL);
    net->grace_ms = grace_ms;
    net->closed = done;
    net->closed_arg = arg;
    while (net->listeners != NULL) {
        struct listener *listener = net->listeners;

        net->listeners = listener->next;
        listener_stop(listener);
    }
    for (unsigned i = 0; i < net->loops_count; i++) {
        struct net_loop *net_loop = &net->loops[i];

        net_loop->drain_mail.deliver = net_loop_drain;
        mail_send(net_loop->loop, &net_loop->drain_mail);
    }
}
