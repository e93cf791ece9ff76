/* conn_in.c - the input side of a connection: from bytes to requests.
 *
 * 1. conn_in_read() makes room in a block and reads into it, some times a
 *    turn.
 * 2. conn_in_parse() cuts frames out of it and starts each as a request, as far
 *    as the rules of conn.h allow: handler.request() may answer at once.
 * 3. What is left waits in the block: a whole frame until it may start, half of
 *    one until the rest comes, or its deadline. An empty block is given back.
 *
 * Memory of a frame: small ones are copied into their request, so that a
 * request that waits (a long poll) holds no block. Large ones stay in the block
 * they were read into. A request with a very small frame, or whose frame stays
 * in its block, is a cell of the pool, and the rest of the cell is what it
 * allocates first: most requests take no other memory.
 *
 * Failure modes:
 * - The budget has no room, to read or to start: the connection starves; it is
 *   tried again when memory comes back (net.c).
 * - A frame longer than limits.frame, or of no bytes: closed, with a line.
 * - The client has sent its last byte: whole frames are still done, half of
 *   one is dropped.
 *
 * Invariants:
 * 1. parsed <= filled <= capacity of the block; bytes before parsed belong to
 *    requests that have started.
 * 2. In net_loop->halves is who has begun a frame that is not whole: it has a
 *    deadline. A whole frame that may not start yet is in no hurry.
 * 3. A frame lies in its request or in a block that the request refers to.
 * 4. While a whole frame waits to start, nothing is read: what a client sends
 *    ahead stays in the kernel, but for the rest of one block. */
#include "net/net_private.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    FRAME_COPY_BYTES = 8 * 1024, /* frames up to this are copied */
    FRAME_CELL_BYTES = 1024,     /* those up to this into a cell */
    FRAME_GROWTH = 16,           /* a frame's memory: so many times its bytes */
    READS_A_TURN = 8,            /* then others have their turn */
    UNSENT_MAX = 1024,           /* answers, however small */
};

static void conn_in_leave_half(struct conn *conn)
{
    list_remove(&conn->half_node);
}

/* A frame has begun and waits for more bytes. */
static void conn_in_enter_half(struct conn *conn)
{
    if (list_is_empty(&conn->half_node)) {
        conn->half_since_ms = conn_now(conn);
        list_push(&conn->net_loop->halves, &conn->half_node);
        net_loop_set_reaper(conn->net_loop);
    }
}

/* Rule 4: the client does not take its answers. */
static bool conn_in_is_full(const struct conn *conn)
{
    return conn->output_bytes >= conn_options(conn)->limits.output_bytes ||
           conn->unsent >= UNSENT_MAX;
}

/* Rule 1 and the limits: may the next frame be started? */
static bool conn_in_may_start(const struct conn *conn, bool overlaps)
{
    const struct net_limits *limits = &conn_options(conn)->limits;

    if (conn_in_is_full(conn) || conn->net_loop->draining) {
        return false;
    }
    if (conn->running == 0) {
        return true;
    }
    return overlaps && conn->running_alone == 0 &&
           conn->running < limits->requests_running;
}

/* Rule 3: what requests take beyond their frames is charged, never refused; so
 * none starts while the budget is over its limit. One of a loop always may: it
 * ends, and what it gives back lets the next one start. */
static bool conn_in_has_memory(const struct conn *conn)
{
    return conn->net_loop->running == 0 ||
           !budget_is_over(conn_options(conn)->budget);
}

/* A request for the frame, charged and in the list; the block gains a
 * reference where the frame stays in it. */
static struct request *conn_in_new_request(struct conn *conn, uint8_t *frame,
                                           uint32_t bytes, bool overlaps)
{
    bool copied = bytes <= FRAME_COPY_BYTES;
    bool is_cell = !copied || bytes <= FRAME_CELL_BYTES;
    uint32_t used_bytes =
        (uint32_t)sizeof(struct request) + (copied ? bytes : 0);
    uint32_t own_bytes = is_cell ? (uint32_t)BLOCK_CELL_BYTES : used_bytes;
    struct request *request =
        is_cell ? block_cell_take(&conn->net_loop->pool) : mem_alloc(own_bytes);
    struct budget *budget = conn_options(conn)->budget;

    budget_charge(budget, own_bytes);
    *request = (struct request){.conn = conn,
                                .frame = frame,
                                .bytes = bytes,
                                .arena = {.budget = budget},
                                .begun_ms = conn_now(conn),
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
    conn->net_loop->running++;
    conn->running_alone += overlaps ? 0 : 1;
    return request;
}

/* Starts the frame at parsed, when it is whole and allowed. Gives whether
 * another look is worth it. */
static bool conn_in_parse_one(struct conn *conn)
{
    const struct net_options *options = conn_options(conn);
    uint32_t pending = conn->block->filled - conn->parsed;
    uint8_t *at = conn->block->bytes + conn->parsed;
    struct request *request;
    uint32_t bytes;
    bool overlaps;

    must(conn->parsed <= conn->block->filled); /* invariant 1 */
    if (pending < 4) {
        return false;
    }
    bytes = bytes_get_u32(at);
    if (bytes == 0 || bytes > options->limits.frame_bytes) {
        trace_gated(&conn->net_loop->closings, conn_now(conn),
                    CLOSINGS_A_SECOND,
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
    if (!conn_in_may_start(conn, overlaps)) {
        return false;
    }
    if (!conn_in_has_memory(conn)) {
        net_loop_starve(conn->net_loop, conn);
        return false;
    }
    conn_in_leave_half(conn);
    request = conn_in_new_request(conn, at + 4, bytes, overlaps);
    conn->parsed += 4 + bytes;
    options->handler.request(options->handler.arg, request);
    return !conn->closing;
}

static bool conn_in_has_frame(const struct conn *conn)
{
    uint32_t pending;

    if (conn->block == NULL) {
        return false;
    }
    pending = conn->block->filled - conn->parsed;
    return pending >= 4 &&
           pending - 4 >= bytes_get_u32(conn->block->bytes + conn->parsed);
}

/* A connection is read from while no whole frame waits in it, it is not starved
 * and its client takes its answers (rule 4). */
bool conn_in_is_wanted(const struct conn *conn)
{
    return !conn_in_is_full(conn) && !conn->input_ended &&
           !conn->net_loop->draining && list_is_empty(&conn->starved_node) &&
           !conn_in_has_frame(conn);
}

/* Starts every frame that is whole and allowed; leaves the block when nothing
 * is left in it. Not re-entrant: a handler that answers at once only marks the
 * connection, conn_flush() comes back here. */
void conn_in_parse(struct conn *conn)
{
    conn->parsing = true;
    while (!conn->closing && conn->block != NULL && conn_in_parse_one(conn)) {
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
    if (conn->block != NULL && !conn_in_has_frame(conn)) {
        conn_in_enter_half(conn);
    } else {
        conn_in_leave_half(conn);
    }
    if (conn->input_ended && !conn_in_has_frame(conn)) {
        conn_close(conn);
        return;
    }
    conn_update_events(conn);
}

/* How large a block the bytes at hand deserve (rule 3). */
static uint32_t conn_in_wanted_bytes(const struct conn *conn, uint32_t pending)
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
static bool conn_in_make_room(struct conn *conn)
{
    uint32_t pending = 0;
    uint32_t wanted;
    struct block *block;

    if (conn->block != NULL) {
        pending = conn->block->filled - conn->parsed;
    }
    wanted = conn_in_wanted_bytes(conn, pending);
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

/* The client has sent its last byte. What came before it is still done (a
 * producer with acks=0 sends and hangs up); a request that waits is not. */
static void conn_in_end(struct conn *conn)
{
    conn->input_ended = true;
    if (conn_in_has_frame(conn)) {
        conn_update_events(conn);
    } else {
        conn_close(conn);
    }
}

/* Reads once. Gives whether there may be more at once. A frame that has begun
 * keeps its deadline while it starves: those that do not fit into the budget
 * together must not wait for each other for ever. */
static bool conn_in_read_once(struct conn *conn)
{
    uint32_t room;
    ssize_t got;

    if (!conn_in_make_room(conn)) {
        net_loop_starve(conn->net_loop, conn);
        conn_update_events(conn);
        return false;
    }
    room = conn->block->capacity - conn->block->filled;
    do {
        got = recv(conn->fd, conn->block->bytes + conn->block->filled, room, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        conn_in_parse(conn); /* leaves an empty block */
        return false;
    }
    if (got <= 0) {
        conn_in_end(conn);
        return false;
    }
    conn->block->filled += (uint32_t)got;
    conn_touch(conn);
    conn_in_parse(conn);
    return (uint32_t)got == room;
}

void conn_in_read(struct conn *conn)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        if (!conn_in_read_once(conn) || conn->closing ||
            !conn_in_is_wanted(conn)) {
            return;
        }
    }
}
