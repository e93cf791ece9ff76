/* conn_out.c - the output side of a connection.
 *
 * 1. conn_out_gather() collects the memory of the answers at the head of the
 *    list, up to the first range of a file: one sendmsg() sends it all.
 * 2. A range of a file goes by sendfile(), a megabyte a call.
 * 3. conn_out_advance() moves the marks by what has left, and frees each
 * request whose answer has left whole: its arena, its frame, its pinned ranges.
 * 4. What the socket does not take now waits until it is writable.
 *
 * Failure modes:
 * - The client is gone (EPIPE, ECONNRESET): closed.
 * - A file is shorter than its range (somebody cut it): closed, for the length
 *   of the answer is on the wire already; the client asks again.
 *
 * Invariants:
 * 1. Answers leave in the order of the list: one that is ready waits behind one
 *    that runs.
 * 2. Of the head's parts, those before parts_sent have left, and
 *    part_sent_bytes of that one: always less than it has, or it has none. */
#include "net/net_private.h"

#include "base/mem.h"
#include "base/must.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { IOV_COUNT = 256, SENDFILE_BYTES_MAX = 1 << 20 };

void conn_out_free(struct request *request)
{
    struct net_loop *net_loop = request->conn->net_loop;

    arena_reset(&request->arena);
    block_unref(request->block);
    budget_give(net_loop->net->options.budget, request->charged_bytes);
    if (request->is_cell) {
        block_cell_give(&net_loop->pool, request);
    } else {
        mem_free(request);
    }
    net_loop_given(net_loop);
}

bool conn_out_is_due(const struct conn *conn)
{
    return conn->output_bytes > 0 &&
           container_of(conn->requests.next, struct request, node)->answered;
}

/* Collects memory parts from the head of the list on, up to the first range of
 * a file. *more: something follows at once. */
static int conn_out_gather(struct conn *conn, struct iovec *iov, bool *more)
{
    int count = 0;

    *more = false;
    list_each(node, &conn->requests)
    {
        struct request *request = container_of(node, struct request, node);
        uint32_t skip = request->part_sent_bytes;

        if (!request->answered) {
            return count;
        }
        for (uint32_t i = request->parts_sent; i < request->parts_count; i++) {
            const struct part *part = &request->parts[i];

            if (part->ptr == NULL || count == IOV_COUNT) {
                *more = true;
                return count;
            }
            iov[count++] =
                (struct iovec){(void *)(part->ptr + skip), part->bytes - skip};
            skip = 0;
        }
    }
    return count;
}

/* bytes more have left: moves the marks, frees what is sent whole. */
static void conn_out_advance(struct conn *conn, size_t bytes)
{
    must(conn->output_bytes >= bytes);
    conn->output_bytes -= bytes;
    while (!list_is_empty(&conn->requests)) {
        struct request *request =
            container_of(conn->requests.next, struct request, node);

        if (!request->answered) {
            return;
        }
        while (request->parts_sent < request->parts_count) {
            const struct part *part = &request->parts[request->parts_sent];
            uint32_t left = part->bytes - request->part_sent_bytes;

            if (bytes < left) {
                request->part_sent_bytes += (uint32_t)bytes;
                return;
            }
            bytes -= left;
            request->parts_sent++;
            request->part_sent_bytes = 0;
        }
        list_remove(&request->node);
        conn->unsent--;
        conn_out_free(request);
    }
    must(bytes == 0);
}

/* One call; gives what left, 0 when the socket is full, -1 on a failure. */
static ssize_t conn_out_once(struct conn *conn)
{
    struct iovec iov[IOV_COUNT];
    bool more;
    int count = conn_out_gather(conn, iov, &more);
    ssize_t sent;

    if (count > 0) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};

        sent =
            sendmsg(conn->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } else {
        struct request *request =
            container_of(conn->requests.next, struct request, node);
        const struct part *part = &request->parts[request->parts_sent];
        off_t at = (off_t)(part->position + request->part_sent_bytes);
        uint32_t left = part->bytes - request->part_sent_bytes;

        sent = sendfile(conn->fd, part->fd, &at,
                        MIN(left, (uint32_t)SENDFILE_BYTES_MAX));
        if (sent == 0) {
            return -1; /* the file is shorter than its log says */
        }
    }
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    return sent;
}

bool conn_out_send(struct conn *conn)
{
    conn_out_advance(conn, 0); /* answers of no bytes at the head */
    while (conn_out_is_due(conn)) {
        ssize_t sent = conn_out_once(conn);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            conn_close(conn);
            return false;
        }
        if (sent == 0) {
            break;
        }
        conn_touch(conn);
        conn_out_advance(conn, (size_t)sent);
    }
    return true;
}
