/* client.h - a small blocking Kafka client: the brokers of a cluster.
 *
 * One connection for each broker it talks to, one request at a time. What it
 * says about failures is for the person at the terminal: what, where, and what
 * to do. Belongs to one thread. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/exchange.h"
#include "wire/metadata.h"

enum { CLIENT_ANY = -1 /* whichever broker of --server answers */ };

struct client;

/* servers: "HOST:PORT[,HOST:PORT...]", copied. Connects to nothing yet.
 * Errors: ERR_INVALID (not an address). */
MUST_USE enum err client_open(const char *servers, struct client **out,
                              struct why *why);
/* client: NULL is accepted. */
void client_close(struct client *client);

/* Once this is true (Ctrl-C), waiting ends with ERR_CANCELLED. The flag is the
 * caller's and outlives the client; NULL: nothing stops it. */
void client_set_stop(struct client *client, const volatile bool *stop);

/* Connects where needed and begins a request to a node of the last metadata, or
 * to CLIENT_ANY. x: its arena is set.
 * Errors: those of exchange_connect() and exchange_begin(); ERR_CLOSED for a
 *         node that nobody has told of. */
MUST_USE enum err client_exchange(struct client *client, int32_t node,
                                  struct exchange *x, enum api_key key,
                                  int16_t version_max, struct why *why);

/* Topics to be asked for; count -1: all. */
struct client_topics {
    const struct str *names;
    int32_t count;
    bool create; /* those that are not there may be made */
};

/* Asks for topics and learns where the brokers are. response: in the arena. */
MUST_USE enum err client_metadata(struct client *client,
                                  const struct client_topics *topics,
                                  struct arena *arena,
                                  struct metadata_response *response,
                                  struct why *why);

/* The coordinator of a group; learns its address.
 * Errors: what the broker says, e.g. ERR_COORDINATOR_NOT_AVAILABLE. */
MUST_USE enum err client_coordinator(struct client *client, struct str group,
                                     int32_t *node, struct why *why);

/* An error code out of an answer: a number we do not know becomes
 * ERR_UNKNOWN_SERVER_ERROR. */
enum err client_error(int16_t code);

/* Sleeps; less when stop became true. */
void client_sleep(const struct client *client, int ms);
/* Monotonic. */
int64_t client_now_ms(void);

#endif
