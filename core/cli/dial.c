/* dial.c - makes TCP connections. */
#include "cli/dial.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a person who typed the command can do about it. */
static enum err dial_refused(const char *address, int error, struct why *why)
{
    if (error == ECONNREFUSED) {
        return why_set(why, ERR_CLOSED,
                       "nothing answers at %s; start a broker with `tidemark "
                       "serve` or name one with --server",
                       address);
    }
    return why_set(why, ERR_CLOSED, "could not connect to %s: %s", address,
                   strerror(error));
}

/* Waits until a connect() has ended, and says how. */
static enum err dial_wait(int fd, const char *address, struct why *why)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    int count = poll(&poller, 1, DIAL_TIMEOUT_MS);
    int error = 0;
    socklen_t bytes = sizeof(error);

    if (count < 0) {
        return why_set(why, ERR_CANCELLED, "interrupted");
    }
    if (count == 0) {
        return why_set(why, ERR_TIMEOUT, "%s does not answer in time", address);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
        error = errno;
    }
    return error == 0 ? ERR_NONE : dial_refused(address, error, why);
}

static enum err dial_one(const struct addrinfo *to, const char *address,
                         int *fd, struct why *why)
{
    int one = 1;
    enum err err;

    *fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return dial_refused(address, errno, why);
    }
    /* Small requests wait for no others. */
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(*fd, to->ai_addr, to->ai_addrlen) == 0) {
        return ERR_NONE;
    }
    err = errno == EINPROGRESS ? dial_wait(*fd, address, why)
                               : dial_refused(address, errno, why);
    if (err) {
        close(*fd);
        *fd = -1;
    }
    return err;
}

enum err dial(const char *host, uint16_t port, int *fd, struct why *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char service[8];
    char address[300];
    enum err err = ERR_CLOSED;
    int result;

    snprintf(service, sizeof(service), "%u", port);
    snprintf(address, sizeof(address),
             strchr(host, ':') == NULL ? "%s:%u" : "[%s]:%u", host, port);
    result = getaddrinfo(host, service, &hints, &found);
    if (result != 0) {
        return why_set(why, ERR_CLOSED, "cannot find \"%s\": %s", host,
                       gai_strerror(result));
    }
    for (struct addrinfo *to = found; to != NULL; to = to->ai_next) {
        err = dial_one(to, address, fd, why);
        if (err == ERR_NONE || err == ERR_CANCELLED) {
            break;
        }
    }
    freeaddrinfo(found);
    return err;
}

ssize_t dial_write(int fd, const void *bytes, size_t count)
{
    return send(fd, bytes, count, MSG_NOSIGNAL);
}
