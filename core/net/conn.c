/* conn.c - the life of a connection.
 *
 * 1. conn_start() names both ends and watches the socket.
 * 2. When it can be read, conn_in.c makes requests of what comes.
 * 3. conn_respond() marks a request answered; at the end of the turn
 *    conn_flush() sends what is due (conn_out.c) and starts the next frames.
 * 4. conn_close() stops the socket and tells running requests that the client
 *    is gone; the last of them to answer frees the connection.
 *
 *    open --- bytes end (recv gives 0) ---> input ended --+
 *      |                                                  | its last whole
 *      |  reset, refused, too large, idle, late, drained  | frame has started
 *      v                                                  |
 *    closing <--------------------------------------------+
 *      |  handle closed, no request left, not inside conn_in_parse()
 *      v
 *    freed; one that is counted by address goes by way of loop 0
 *
 * Failure modes:
 * - The client hangs up while requests run: noticed even when nobody reads
 *   (UV_DISCONNECT); what it sent before is still read in its turn.
 * - The socket breaks (reset): what came whole before it still runs, then it is
 *   closed; what is unsent is lost.
 * - A handler answers after that: conn_respond() only frees the request.
 * - The system cannot watch one more socket: closed before it began.
 *
 * Invariants:
 * 1. running counts the requests in the list that are not answered, of them
 *    running_alone those that allow no other; unsent counts the answered.
 * 2. output_bytes is what of answers has not left: 0 when none is unsent.
 * 3. One that is closing has no block, is in no list of its loop but conns,
 *    and holds no answered request.
 * 4. It is freed once, by the last of handle, parser and requests to let go. */
#include "net/net_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include <sys/socket.h>
#include <unistd.h>

static void conn_poll(uv_poll_t *poll, int status, int events);

/* Moves the connection to the busy end of the list. */
void conn_touch(struct conn *conn)
{
    int64_t now = conn_now(conn);

    if (conn->active_ms != now) {
        conn->active_ms = now;
        list_remove(&conn->node);
        list_push(&conn->net_loop->conns, &conn->node);
    }
}

static void conn_uncount(struct mail *mail)
{
    struct conn *conn = container_of(mail, struct conn, gone_mail);

    peers_remove(&conn->net_loop->net->peers, &conn->peer_key);
    mem_free(conn);
}

void conn_maybe_free(struct conn *conn)
{
    struct net_loop *net_loop = conn->net_loop;

    if (!conn->closing || !conn->handle_closed || conn->parsing ||
        !list_is_empty(&conn->requests)) {
        return;
    }
    must(conn->running == 0 && conn->block == NULL); /* invariants 1, 3 */
    list_remove(&conn->node);
    if (conn->is_counted) {
        conn->gone_mail.deliver = conn_uncount;
        mail_send(loops_at(conn_options(conn)->loops, 0), &conn->gone_mail);
    } else {
        mem_free(conn);
    }
    net_loop_conn_gone(net_loop);
}

static void conn_handle_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;

    close(conn->fd);
    conn->handle_closed = true;
    conn_maybe_free(conn);
}

void conn_close(struct conn *conn)
{
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    list_remove(&conn->half_node);
    list_remove(&conn->starved_node);
    list_remove(&conn->dirty_node);
    block_unref(conn->block);
    conn->block = NULL;
    uv_close((uv_handle_t *)&conn->poll, conn_handle_closed);
    list_each_safe(node, &conn->requests)
    {
        struct request *request = container_of(node, struct request, node);

        if (request->answered) {
            list_remove(&request->node);
            conn_out_free(request);
        } else if (request->gone != NULL) {
            void (*gone)(struct request *) = request->gone;

            request->gone = NULL;
            gone(request);
            /* It may have answered others as well: begin anew. */
            node_next = conn->requests.next;
        }
    }
}

/* What the poll has to wait for. A hang-up is noticed always. */
static int conn_wanted_events(const struct conn *conn)
{
    int events = conn->input_ended || conn->hung_up ? 0 : UV_DISCONNECT;

    if (conn_in_is_wanted(conn)) {
        events |= UV_READABLE;
    }
    if (conn_out_is_due(conn) && list_is_empty(&conn->dirty_node)) {
        events |= UV_WRITABLE;
    }
    return events;
}

static void conn_set_events(struct conn *conn, int events)
{
    if (events != conn->events) {
        conn->events = events;
        must(uv_poll_start(&conn->poll, events, conn_poll) == 0);
    }
}

/* That there is nothing to read for a while is most often over before the loop
 * sleeps: the poll learns of it when it fires in vain. */
void conn_update_events(struct conn *conn)
{
    if (!conn->closing) {
        int events = conn_wanted_events(conn);

        if (events != (conn->events & ~UV_READABLE)) {
            conn_set_events(conn, events);
        }
    }
}

/* A frame that waits is started at the end of the turn: who gives memory back
 * is in the middle of something. */
void conn_retry(struct conn *conn)
{
    list_remove(&conn->starved_node);
    if (conn->block == NULL) {
        conn_update_events(conn);
    } else {
        net_loop_mark_dirty(conn->net_loop, conn);
    }
}

/* Noticed while the connection is not read from: what it sent before is still
 * read, when its turn comes. */
static void conn_hung_up(struct conn *conn)
{
    conn->hung_up = true;
    conn_update_events(conn);
}

/* What the socket is ready for. An error, or an event that nobody asked for,
 * is its end. */
static void conn_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = poll->data;

    if (status < 0) {
        conn_close(conn);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        net_loop_mark_dirty(conn->net_loop, conn);
    }
    if ((events & UV_READABLE) != 0 && conn_in_is_wanted(conn)) {
        conn_in_read(conn);
    } else if ((events & UV_READABLE) != 0) {
        conn_set_events(conn, conn_wanted_events(conn));
    } else if ((events & UV_DISCONNECT) != 0) {
        conn_hung_up(conn);
    } else if ((events & UV_WRITABLE) == 0) {
        conn_close(conn);
    }
}

/* While memory is over its limit one request of a loop runs at a time: whose
 * answer has just left stands behind those who starved meanwhile. */
static bool conn_lets_others(const struct conn *conn)
{
    return !list_is_empty(&conn->net_loop->dirty) &&
           budget_is_over(conn_options(conn)->budget);
}

void conn_flush(struct conn *conn)
{
    struct net_loop *net_loop = conn->net_loop;

    if (!conn_out_send(conn)) {
        return;
    }
    must(conn->unsent > 0 || conn->output_bytes == 0); /* invariant 2 */
    if (conn->block != NULL && conn_lets_others(conn)) {
        net_loop_mark_dirty(net_loop, conn);
        return;
    }
    if (conn->block != NULL) {
        conn_in_parse(conn);
    } else {
        conn_update_events(conn);
    }
    if (!conn->closing && net_loop->draining &&
        list_is_empty(&conn->requests)) {
        conn_close(conn);
    }
}

/* Takes the request out of the running ones. */
static void conn_finish(struct request *request)
{
    struct conn *conn = request->conn;
    const struct net_handler *handler = &conn_options(conn)->handler;

    must(loop_is_current(conn->net_loop->loop));
    must(!request->answered && conn->running > 0); /* invariant 1 */
    if (handler->answered != NULL) {
        handler->answered(handler->arg, request);
    }
    request->answered = true;
    request->gone = NULL;
    conn->running--;
    conn->net_loop->running--;
    conn->running_alone -= request->overlaps ? 0 : 1;
}

void conn_respond(struct request *request, struct part *parts, uint32_t count)
{
    struct conn *conn = request->conn;

    conn_finish(request);
    if (conn->closing) {
        list_remove(&request->node);
        conn_out_free(request);
        conn_maybe_free(conn);
        return;
    }
    conn->unsent++;
    request->parts = parts;
    request->parts_count = count;
    for (uint32_t i = 0; i < count; i++) {
        conn->output_bytes += parts[i].bytes;
    }
    net_loop_mark_dirty(conn->net_loop, conn);
}

void conn_refuse(struct request *request)
{
    struct conn *conn = request->conn;

    conn_finish(request);
    list_remove(&request->node);
    conn_out_free(request);
    if (conn->closing) {
        conn_maybe_free(conn);
    } else {
        conn_close(conn);
    }
}

/* Where both ends are. */
static void conn_name(struct conn *conn)
{
    struct sockaddr_storage peer = {0};
    socklen_t local_bytes = sizeof(conn->local);
    socklen_t peer_bytes = sizeof(peer);
    char host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    getsockname(conn->fd, (struct sockaddr *)&conn->local, &local_bytes);
    getpeername(conn->fd, (struct sockaddr *)&peer, &peer_bytes);
    if (peer.ss_family == AF_INET6) {
        memcpy(&in6, &peer, sizeof(in6));
        uv_ip6_name(&in6, host, sizeof(host));
        snprintf(conn->peer, sizeof(conn->peer), "[%s]:%u", host,
                 ntohs(in6.sin6_port));
    } else {
        memcpy(&in, &peer, sizeof(in)); /* of zeroes, if it is gone by now */
        uv_ip4_name(&in, host, sizeof(host));
        snprintf(conn->peer, sizeof(conn->peer), "%s:%u", host,
                 ntohs(in.sin_port));
    }
}

void conn_start(struct net_loop *net_loop, int fd, uint32_t listener,
                const struct peer_key *counted)
{
    struct conn *conn = MEM_NEW(struct conn);

    conn->net_loop = net_loop;
    conn->fd = fd;
    conn->listener = listener;
    if (counted != NULL) {
        conn->is_counted = true;
        conn->peer_key = *counted;
    }
    list_init(&conn->requests);
    list_init(&conn->node);
    list_init(&conn->half_node);
    list_init(&conn->starved_node);
    list_init(&conn->dirty_node);
    conn_name(conn);
    conn->active_ms = conn_now(conn);
    list_push(&net_loop->conns, &conn->node);
    net_loop->count++;
    if (uv_poll_init(loop_uv(net_loop->loop), &conn->poll, fd) != 0) {
        /* The system watches no more descriptors (fs.epoll.max_user_watches).
         */
        trace_gated(&net_loop->refusals, conn_now(conn), REFUSALS_A_SECOND,
                    "refused %s: the system cannot watch another socket (raise "
                    "fs.epoll.max_user_watches)",
                    conn->peer);
        conn->closing = true;
        conn->handle_closed = true;
        close(fd);
        conn_maybe_free(conn);
        return;
    }
    conn->poll.data = conn;
    conn_update_events(conn);
    net_loop_set_reaper(net_loop);
}

const char *conn_peer(const struct conn *conn)
{
    return conn->peer;
}

const struct sockaddr_storage *conn_local(const struct conn *conn)
{
    return &conn->local;
}

uint32_t conn_listener(const struct conn *conn)
{
    return conn->listener;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->net_loop->loop;
}
