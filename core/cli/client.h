/* client.h - a small blocking Kafka client.
 *
 * One connection for each broker it talks to, one request at a time, versions
 * agreed on by ApiVersions. What it says about failures is for the person at
 * the terminal: what, where, and what to do. Belongs to one thread.
 *
 *   struct exchange x;
 *   err = exchange_open(&x, client, CLIENT_ANY, API_METADATA, 12, &arena, why);
 *   metadata_request_encode(&x.writer, x.version, &request);
 *   err = exchange_run(&x, why);
 *   metadata_response_decode(&x.reader, &arena, x.version, &response);
 *   err = exchange_finish(&x, why); */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "wire/apis.h"
#include "wire/metadata.h"

enum {
    CLIENT_ANY = -1, /* a broker of --server */
    CLIENT_TIMEOUT_MS = 30000,
    CLIENT_FRAME_BYTES_MAX = 256 << 20,
};

struct client;

/* servers: "HOST:PORT[,HOST:PORT...]", copied. Connects to nothing yet.
 * Errors: ERR_INVALID (not an address). */
MUST_USE enum err client_open(const char *servers, struct client **out,
                              struct why *why);
/* client: NULL is accepted. */
void client_close(struct client *client);

/* Once this is true (Ctrl-C), waiting ends with ERR_CANCELLED. The flag is the
 * caller's and outlives the client. */
void client_set_stop(struct client *client, const volatile bool *stop);

/* A request under way. Memory is the arena's. */
struct exchange {
    struct writer writer; /* write the request here ... */
    struct reader reader; /* ... read the answer here */
    int16_t version;
    int timeout_ms; /* CLIENT_TIMEOUT_MS; may be changed before run */
    /* private from here on */
    struct client *client;
    struct connection *connection;
    struct arena *arena;
    const struct api_info *api;
    int32_t correlation_id;
};

/* Connects where needed and begins a request, in the newest version that both
 * sides know, at most version_max.
 *
 * node: a broker of the last metadata, or CLIENT_ANY.
 * Errors: ERR_CLOSED (nobody answers), ERR_UNSUPPORTED (the broker lacks the
 *         request), ERR_TIMEOUT, ERR_CANCELLED. */
MUST_USE enum err exchange_open(struct exchange *x, struct client *client,
                                int32_t node, enum api_key key,
                                int16_t version_max, struct arena *arena,
                                struct why *why);
/* Sends and waits for the answer; reader then stands behind its header.
 * Errors: ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELLED, ERR_MALFORMED; the connection
 *         is closed and the next exchange makes a new one. */
MUST_USE enum err exchange_run(struct exchange *x, struct why *why);
/* Sends, and expects no answer (acks=0). */
MUST_USE enum err exchange_send(struct exchange *x, struct why *why);
/* Whether the answer was read to its end: ERR_MALFORMED. */
MUST_USE enum err exchange_finish(struct exchange *x, struct why *why);

/* Asks for topics and learns where the brokers are.
 *
 * topics: count of them, or count -1 for all. create: whether a topic that is
 *         not there may be made. response: in the arena. */
MUST_USE enum err client_metadata(struct client *client,
                                  const struct str *topics, int32_t count,
                                  bool create, struct arena *arena,
                                  struct metadata_response *response,
                                  struct why *why);

/* The coordinator of a group; brings its address as a node of its own.
 * Errors: what the broker says, e.g. ERR_COORDINATOR_NOT_AVAILABLE. */
MUST_USE enum err client_coordinator(struct client *client, struct str group,
                                     struct arena *arena, int32_t *node,
                                     struct why *why);

/* An error code out of an answer: a number we do not know becomes
 * ERR_UNKNOWN_SERVER_ERROR. */
enum err client_error(int16_t code);

/* The address of a node, "127.0.0.1:9092", for messages. */
const char *client_address(const struct client *client, int32_t node);

/* Sleeps; less when stop became true. */
void client_sleep(const struct client *client, int ms);
/* Monotonic. */
int64_t client_now_ms(void);

#endif
