/* conn.c - the input side of a connection, and its life.
 *
 * 1. conn_start() watches the socket.
 * 2. conn_read() reads into a block; conn_parse() cuts frames out of it and
 *    starts each as a request, as far as the rules of conn.h allow.
 * 3. conn_respond() marks the request answered; at the end of the turn
 *    conn_flush() sends what is due (conn_out.c) and starts the next frames.
 * 4. conn_close() stops the socket, tells running requests that the client is
 *    gone; the last of them to answer frees the connection.
 *
 * Memory of a frame: small ones are copied into their request, so that a
 * request that waits (a long poll) holds no block. Large ones stay in the block
 * they were read into. A request with a very small frame, or whose frame stays
 * in its block, is a cell of the pool, and the rest of the cell is what it
 * allocates first: most requests take no other memory. */
#include "net/net_private.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FRAME_COPY_BYTES = 8 * 1024, /* frames up to this are copied */
    FRAME_CELL_BYTES = 1024,     /* those up to this into a cell */
    FRAME_GROWTH = 16,           /* a frame's memory: so many times its bytes */
    READS_A_TURN = 8,            /* then others have their turn */
    UNSENT_MAX = 1024,           /* answers, however small */
};

static void conn_parse(struct conn *conn);
static void conn_poll(uv_poll_t *poll, int status, int events);

static int64_t conn_now(const struct conn *conn)
{
    return env_now_ms(conn->net_loop->env);
}

static const struct net_options *conn_options(const struct conn *conn)
{
    return &conn->net_loop->net->options;
}

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

static void conn_leave_half(struct conn *conn)
{
    list_remove(&conn->half_node);
}

/* A frame has begun and waits for more bytes. */
static void conn_enter_half(struct conn *conn)
{
    if (list_is_empty(&conn->half_node)) {
        conn->half_since_ms = conn_now(conn);
        list_push(&conn->net_loop->halves, &conn->half_node);
        net_loop_set_reaper(conn->net_loop);
    }
}

static void conn_uncount(struct mail *mail)
{
    struct conn *conn = container_of(mail, struct conn, gone_mail);

    peers_remove(&conn->net_loop->net->peers, &conn->peer_key);
    mem_free(conn);
}

/* Frees the connection once nothing refers to it any more. */
static void conn_maybe_free(struct conn *conn)
{
    struct net_loop *net_loop = conn->net_loop;
    const struct net_handler *handler = &conn_options(conn)->handler;

    if (!conn->closing || !conn->handle_closed || conn->parsing ||
        !list_is_empty(&conn->requests)) {
        return;
    }
    if (handler->closed != NULL) {
        handler->closed(handler->arg, conn->user);
    }
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

/* Rule 4: the client does not take its answers. */
static bool conn_is_full(const struct conn *conn)
{
    return conn->output_bytes >= conn_options(conn)->limits.output_bytes ||
           conn->unsent >= UNSENT_MAX;
}

/* Rule 1 and the limits: may the next frame be started? */
static bool conn_may_start(const struct conn *conn, bool overlaps)
{
    const struct net_limits *limits = &conn_options(conn)->limits;

    if (conn_is_full(conn) || conn->net_loop->draining) {
        return false;
    }
    if (conn->running == 0) {
        return true;
    }
    return overlaps && conn->running_alone == 0 &&
           conn->running < limits->requests_running;
}

static struct request *conn_new_request(struct conn *conn, uint8_t *frame,
                                        uint32_t bytes, bool overlaps)
{
    bool copied = bytes <= FRAME_COPY_BYTES;
    bool is_cell = !copied || bytes <= FRAME_CELL_BYTES;
    uint32_t used_bytes =
        (uint32_t)sizeof(struct request) + (copied ? bytes : 0);
    uint32_t own_bytes = is_cell ? (uint32_t)BLOCK_CELL_BYTES : used_bytes;
    struct request *request = is_cell ? block_cell_take(&conn->net_loop->pool)
                                      : mem_alloc(own_bytes);
    struct budget *budget = conn_options(conn)->budget;

    budget_charge(budget, own_bytes);
    *request = (struct request){.conn = conn,
                                .frame = frame,
                                .bytes = bytes,
                                .arena = {.budget = budget},
                                .charged_bytes = own_bytes,
                                .is_cell = is_cell,
                                .overlaps = overlaps};
    arena_lend(&request->arena, (uint8_t *)request + used_bytes,
               own_bytes - used_bytes);
    if (copied) {
        request->frame = (uint8_t *)(request + 1);
        memcpy(request->frame, frame, bytes);
    } else {
        request->block = conn->block;
        block_ref(conn->block);
    }
    list_push(&conn->requests, &request->node);
    conn->running++;
    conn->running_alone += overlaps ? 0 : 1;
    return request;
}

/* Starts the frame at parsed, when it is whole and allowed. Gives whether
 * another look is worth it. */
static bool conn_parse_one(struct conn *conn)
{
    const struct net_options *options = conn_options(conn);
    uint32_t pending = conn->block->filled - conn->parsed;
    uint8_t *at = conn->block->bytes + conn->parsed;
    struct request *request;
    uint32_t bytes;
    bool overlaps;

    if (pending < 4) {
        return false;
    }
    bytes = bytes_get_u32(at);
    if (bytes == 0 || bytes > options->limits.frame_bytes) {
        trace(TRACE_WARN,
              "closed %s: a frame of %u bytes, the limit is %u "
              "(limits.frame)",
              conn->peer, bytes, options->limits.frame_bytes);
        conn_close(conn);
        return false;
    }
    if (pending - 4 < bytes) {
        return false;
    }
    overlaps = options->handler.overlaps(options->handler.arg, at + 4, bytes);
    if (!conn_may_start(conn, overlaps)) {
        return false;
    }
    conn_leave_half(conn);
    request = conn_new_request(conn, at + 4, bytes, overlaps);
    conn->parsed += 4 + bytes;
    options->handler.request(options->handler.arg, request);
    return !conn->closing;
}

static bool conn_has_whole_frame(const struct conn *conn)
{
    uint32_t pending;

    if (conn->block == NULL) {
        return false;
    }
    pending = conn->block->filled - conn->parsed;
    return pending >= 4 &&
           pending - 4 >= bytes_get_u32(conn->block->bytes + conn->parsed);
}

/* The client has sent its last byte. What came before it is still done (a
 * producer with acks=0 sends and hangs up); a request that waits is not. */
static void conn_end_input(struct conn *conn)
{
    conn->input_ended = true;
    if (conn_has_whole_frame(conn)) {
        conn_update_events(conn);
    } else {
        conn_close(conn);
    }
}

/* Starts every frame that is whole and allowed; leaves the block when nothing
 * is left in it. Not re-entrant: a handler that answers at once only marks the
 * connection, conn_flush() comes back here. */
static void conn_parse(struct conn *conn)
{
    conn->parsing = true;
    while (!conn->closing && conn->block != NULL && conn_parse_one(conn)) {
    }
    conn->parsing = false;
    if (conn->closing) {
        conn_maybe_free(conn);
        return;
    }
    if (conn->block != NULL && conn->parsed == conn->block->filled) {
        block_unref(conn->block);
        conn->block = NULL;
        conn->parsed = 0;
    }
    if (conn->block != NULL && !conn_has_whole_frame(conn)) {
        conn_enter_half(conn);
    } else {
        conn_leave_half(conn);
    }
    if (conn->input_ended && !conn_has_whole_frame(conn)) {
        conn_close(conn);
        return;
    }
    conn_update_events(conn);
}

/* How large a block the bytes at hand deserve (rule 3). */
static uint32_t conn_wanted_bytes(const struct conn *conn, uint32_t pending)
{
    uint64_t wanted = BLOCK_BYTES_MIN;
    uint64_t frame;

    if (pending < 4) {
        return BLOCK_BYTES_MIN;
    }
    frame = 4 + (uint64_t)bytes_get_u32(conn->block->bytes + conn->parsed);
    wanted = MAX(wanted, (uint64_t)pending * FRAME_GROWTH);
    return (uint32_t)MIN(MAX(frame, (uint64_t)pending + 1), wanted);
}

/* Makes room to read into; false when the budget has none now. */
static bool conn_make_room(struct conn *conn)
{
    uint32_t pending = 0;
    uint32_t wanted;
    struct block *block;

    if (conn->block != NULL) {
        pending = conn->block->filled - conn->parsed;
    }
    wanted = conn_wanted_bytes(conn, pending);
    if (conn->block != NULL && conn->block->filled < conn->block->capacity &&
        conn->block->capacity - conn->parsed >= wanted) {
        return true;
    }
    block = block_new(&conn->net_loop->pool, wanted);
    if (block == NULL) {
        return false;
    }
    if (pending > 0) {
        memcpy(block->bytes, conn->block->bytes + conn->parsed, pending);
    }
    block->filled = pending;
    block_unref(conn->block);
    conn->block = block;
    conn->parsed = 0;
    return true;
}

/* Reads once. Gives whether there may be more at once. A frame that has begun
 * keeps its deadline while it starves: those that do not fit into the budget
 * together must not wait for each other for ever. */
static bool conn_read_once(struct conn *conn)
{
    uint32_t room;
    ssize_t got;

    if (!conn_make_room(conn)) {
        net_loop_starve(conn->net_loop, conn);
        conn_update_events(conn);
        return false;
    }
    room = conn->block->capacity - conn->block->filled;
    do {
        got = recv(conn->fd, conn->block->bytes + conn->block->filled, room, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        conn_parse(conn); /* leaves an empty block */
        return false;
    }
    if (got <= 0) {
        conn_end_input(conn);
        return false;
    }
    conn->block->filled += (uint32_t)got;
    conn_touch(conn);
    conn_parse(conn);
    return (uint32_t)got == room;
}

/* A connection is read from while no whole frame waits in it, it is not starved
 * and its client takes its answers (rule 4). */
static bool conn_wants_input(const struct conn *conn)
{
    return !conn_is_full(conn) && !conn->input_ended &&
           !conn->net_loop->draining && list_is_empty(&conn->starved_node) &&
           !conn_has_whole_frame(conn);
}

static void conn_read(struct conn *conn)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        if (!conn_read_once(conn) || conn->closing || !conn_wants_input(conn)) {
            return;
        }
    }
}

/* What the poll has to wait for. A hang-up is noticed always. */
static int conn_wanted_events(const struct conn *conn)
{
    int events = conn->input_ended || conn->hung_up ? 0 : UV_DISCONNECT;

    if (conn_wants_input(conn)) {
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

void conn_retry(struct conn *conn)
{
    list_remove(&conn->starved_node);
    conn_update_events(conn);
}

/* Noticed while the connection is not read from: what it sent before is still
 * read, when its turn comes. */
static void conn_hung_up(struct conn *conn)
{
    conn->hung_up = true;
    conn_update_events(conn);
}

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
    if ((events & UV_READABLE) != 0 && conn_wants_input(conn)) {
        conn_read(conn);
    } else if ((events & UV_READABLE) != 0) {
        conn_set_events(conn, conn_wanted_events(conn));
    } else if ((events & UV_DISCONNECT) != 0) {
        conn_hung_up(conn);
    } else if ((events & UV_WRITABLE) == 0) {
        conn_close(conn);
    }
}

void conn_flush(struct conn *conn)
{
    struct net_loop *net_loop = conn->net_loop;

    if (!conn_out_send(conn)) {
        return;
    }
    if (conn->block != NULL) {
        conn_parse(conn);
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

    must(!request->answered && conn->running > 0);
    request->answered = true;
    request->gone = NULL;
    conn->running--;
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

    getsockname(conn->fd, (struct sockaddr *)&conn->local, &local_bytes);
    getpeername(conn->fd, (struct sockaddr *)&peer, &peer_bytes);
    if (peer.ss_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;

        uv_ip6_name(in6, host, sizeof(host));
        snprintf(conn->peer, sizeof(conn->peer), "[%s]:%u", host,
                 ntohs(in6->sin6_port));
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&peer;

        uv_ip4_name(in, host, sizeof(host));
        snprintf(conn->peer, sizeof(conn->peer), "%s:%u", host,
                 ntohs(in->sin_port));
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
    must(uv_poll_init(loop_uv(net_loop->loop), &conn->poll, fd) == 0);
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

void conn_set_user(struct conn *conn, void *user)
{
    conn->user = user;
}

void *conn_user(const struct conn *conn)
{
    return conn->user;
}
