/* connection.h - one TCP connection to a broker, with deadlines.
 *
 * The socket does not block; waiting happens in poll(), so that deadlines and
 * Ctrl-C (the flag at stop) are obeyed. Closed by every failure. */
#ifndef CLI_CONNECTION_H
#define CLI_CONNECTION_H

#include "base/err.h"
#include "base/str.h"

enum { CONNECTION_APIS_MAX = 128, CONNECTION_DIAL_MS = 10000 };

struct connection_range {
    int16_t min;
    int16_t max; /* min > max: the broker lacks it */
};

struct connection {
    char *host; /* from mem_ */
    uint16_t port;
    char *address;             /* "host:port", for messages; from mem_ */
    const volatile bool *stop; /* borrowed; NULL: never stops */
    int fd;                    /* -1: closed */
    struct connection_range apis[CONNECTION_APIS_MAX]; /* by the exchange */
};

/* Closed to begin with; names are copied. */
void connection_init(struct connection *connection, struct str host,
                     uint16_t port);
void connection_fini(struct connection *connection);
/* Connects to the first address of the host that answers.
 * Errors: ERR_CLOSED (no such name, or nobody answers: why says what to do),
 *         ERR_TIMEOUT, ERR_CANCELLED. */
MUST_USE enum err connection_dial(struct connection *connection,
                                  struct why *why);
/* Whether it can be used: between requests a broker says nothing, so what can
 * be read is its end. */
bool connection_is_open(const struct connection *connection);
/* A closed one is accepted. */
void connection_close(struct connection *connection);
/* Errors: ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELLED. */
MUST_USE enum err connection_write(struct connection *connection,
                                   struct str out, int64_t deadline_ms,
                                   struct why *why);
/* Reads so many bytes. Errors: as above. */
MUST_USE enum err connection_read(struct connection *connection, void *into,
                                  size_t bytes, int64_t deadline_ms,
                                  struct why *why);

/* The monotonic clock of all deadlines here. */
int64_t connection_now_ms(void);

#endif
