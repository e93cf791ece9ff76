/* connection.c - one TCP connection to a broker, with deadlines.
 *
 * 1. connection_dial() tries the addresses of the host one after another.
 * 2. connection_write() and connection_read() go on until all bytes have gone
 *    or come, the deadline is over, or somebody pressed Ctrl-C.
 * 3. Any failure closes it: nobody knows what of a request has arrived.
 *
 * Invariants:
 * 1. The socket never blocks: every wait is connection_wait(), which looks at
 *    the deadline and at the stop flag.
 * 2. fd is -1 exactly while it is closed. */
#include "cli/connection.h"
#include "base/mem.h"
#include "base/must.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t connection_now_ms(void)
{
    struct timespec now;

    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void connection_init(struct connection *connection, struct str host,
                     uint16_t port)
{
    bool colon = memchr(host.ptr, ':', host.len) != NULL;

    *connection = (struct connection){
        .host = str_dup(host),
        .port = port,
        .address =
            mem_printf(colon ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host), port),
        .fd = -1,
    };
}

void connection_fini(struct connection *connection)
{
    connection_close(connection);
    mem_free(connection->host);
    mem_free(connection->address);
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
        connection->fd = -1;
    }
}

bool connection_is_open(const struct connection *connection)
{
    struct pollfd poller = {.fd = connection->fd, .events = POLLIN};

    return connection->fd >= 0 && poll(&poller, 1, 0) == 0;
}

/* Waits until the socket is ready for events.
 * Errors: ERR_TIMEOUT, ERR_CANCELLED. */
static enum err connection_wait(const struct connection *connection,
                                short events, int64_t deadline_ms,
                                struct why *why)
{
    for (;;) {
        struct pollfd poller = {.fd = connection->fd, .events = events};
        int64_t left_ms = deadline_ms - connection_now_ms();
        int count;

        if (connection->stop != NULL && *connection->stop) {
            return why_set(why, ERR_CANCELLED, "interrupted");
        }
        if (left_ms <= 0) {
            return why_set(why, ERR_TIMEOUT,
                           "%s does not answer in time; is it a broker, and "
                           "not too busy?",
                           connection->address);
        }
        /* A signal may come between the look at stop and poll(): look again
         * twice a second. */
        count = poll(&poller, 1, (int)MIN(left_ms, 500));
        if (count > 0) {
            return ERR_NONE;
        }
        must(count == 0 || errno == EINTR);
    }
}

/* What a person who typed the command can do about it. */
static enum err connection_refused(const struct connection *connection,
                                   int error, struct why *why)
{
    if (error == ECONNREFUSED) {
        return why_set(why, ERR_CLOSED,
                       "nothing answers at %s; start a broker with `tidemark "
                       "serve` or name one with --server",
                       connection->address);
    }
    return why_set(why, ERR_CLOSED, "could not connect to %s: %s",
                   connection->address, strerror(error));
}

/* Waits until a connect() has ended, and says how. */
static enum err connection_result(const struct connection *connection,
                                  struct why *why)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    enum err err = connection_wait(
        connection, POLLOUT, connection_now_ms() + CONNECTION_DIAL_MS, why);

    if (err) {
        return err;
    }
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
        error = errno;
    }
    return error == 0 ? ERR_NONE : connection_refused(connection, error, why);
}

/* One address; closed again when it fails. */
static enum err connection_try(struct connection *connection,
                               const struct addrinfo *to, struct why *why)
{
    int one = 1;
    enum err err = ERR_NONE;

    connection->fd =
        socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        return connection_refused(connection, errno, why);
    }
    /* Small requests wait for no others. */
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(connection->fd, to->ai_addr, to->ai_addrlen) != 0) {
        err = errno == EINPROGRESS ? connection_result(connection, why)
                                   : connection_refused(connection, errno, why);
    }
    if (err) {
        connection_close(connection);
    }
    return err;
}

enum err connection_dial(struct connection *connection, struct why *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char service[8];
    enum err err = ERR_CLOSED;
    int result;

    snprintf(service, sizeof(service), "%u", connection->port);
    result = getaddrinfo(connection->host, service, &hints, &found);
    if (result != 0) {
        return why_set(why, ERR_CLOSED,
                       "cannot find the host \"%s\" of --server, or of a "
                       "broker that another one named: %s",
                       connection->host, gai_strerror(result));
    }
    for (struct addrinfo *to = found; to != NULL; to = to->ai_next) {
        err = connection_try(connection, to, why);
        if (err == ERR_NONE || err == ERR_CANCELLED) {
            break;
        }
    }
    freeaddrinfo(found);
    return err;
}

/* After a failure: nobody knows what of it has arrived. */
static enum err connection_lost(struct connection *connection, enum err err,
                                struct why *why)
{
    connection_close(connection);
    if (err) {
        return err;
    }
    return why_set(why, ERR_CLOSED,
                   "%s closed the connection; its own log says why",
                   connection->address);
}

enum err connection_write(struct connection *connection, struct str out,
                          int64_t deadline_ms, struct why *why)
{
    while (out.len > 0) {
        ssize_t count = send(connection->fd, out.ptr, out.len, MSG_NOSIGNAL);

        if (count > 0) {
            out = str_sub(out.ptr + count, out.len - (size_t)count);
        } else if (count < 0 && errno == EAGAIN) {
            enum err err =
                connection_wait(connection, POLLOUT, deadline_ms, why);

            if (err) {
                return connection_lost(connection, err, why);
            }
        } else if (count < 0 && errno != EINTR) {
            return connection_lost(connection, ERR_NONE, why);
        }
    }
    return ERR_NONE;
}

enum err connection_read(struct connection *connection, void *into,
                         size_t bytes, int64_t deadline_ms, struct why *why)
{
    uint8_t *at = into;

    while (bytes > 0) {
        ssize_t count = read(connection->fd, at, bytes);

        if (count > 0) {
            at += count;
            bytes -= (size_t)count;
        } else if (count < 0 && errno == EAGAIN) {
            enum err err =
                connection_wait(connection, POLLIN, deadline_ms, why);

            if (err) {
                return connection_lost(connection, err, why);
            }
        } else if (count == 0 || errno != EINTR) {
            return connection_lost(connection, ERR_NONE, why);
        }
    }
    return ERR_NONE;
}
