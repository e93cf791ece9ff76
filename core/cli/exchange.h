/* exchange.h - one request over a connection, and its answer.
 *
 *   err = client_exchange(client, CLIENT_ANY, &x, API_METADATA, 12, why);
 *   if (!err) {
 *       err = EXCHANGE_ASK(metadata, &x, &request, &response, why);
 *   }
 *
 * Memory is the arena's, which the caller sets before he begins. A connection
 * that fails in any way is closed: what was sent may or may not have arrived,
 * so nothing is sent twice by itself. */
#ifndef CLI_EXCHANGE_H
#define CLI_EXCHANGE_H

#include "cli/connection.h"
#include "wire/apis.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum {
    EXCHANGE_TIMEOUT_MS = 30000,
    EXCHANGE_FRAME_BYTES_MAX = 256 << 20,
};

struct exchange {
    struct arena *arena;  /* borrowed */
    struct writer writer; /* write the request here ... */
    struct reader reader; /* ... read the answer here */
    int16_t version;
    int timeout_ms; /* EXCHANGE_TIMEOUT_MS; may be changed before run */
    /* private from here on */
    struct connection *connection;
    const struct api_info *api;
    int32_t correlation_id;
    enum err err; /* of EXCHANGE_ASK */
};

/* Connects where it is not connected, and asks for the versions.
 * Errors: those of connection_dial(), ERR_MALFORMED (that is no Kafka). */
MUST_USE enum err exchange_connect(struct connection *connection,
                                   struct why *why);
/* Begins a request over a connection that is connected, in the newest version
 * that both sides know, at most version_max.
 * Errors: ERR_UNSUPPORTED (the broker lacks it). */
MUST_USE enum err exchange_begin(struct exchange *x,
                                 struct connection *connection,
                                 enum api_key key, int16_t version_max,
                                 struct why *why);
/* Sends and waits for the answer; reader then stands behind its header.
 * Errors: ERR_CLOSED, ERR_TIMEOUT, ERR_CANCELLED, ERR_MALFORMED. */
MUST_USE enum err exchange_run(struct exchange *x, struct why *why);
/* Writes a request of the message NAME, runs it, reads the answer to its end.
 * response: what it holds is in the arena or in the frame, which is there, too.
 * Errors: those of exchange_run() and exchange_finish(). */
#define EXCHANGE_ASK(NAME, x, request, response, why)                          \
    (NAME##_request_encode(&(x)->writer, (x)->version, request),               \
     ((x)->err = exchange_run(x, why)) != ERR_NONE                             \
         ? (x)->err                                                            \
         : (NAME##_response_init(response),                                    \
            NAME##_response_decode(&(x)->reader, (x)->arena, (x)->version,     \
                                   response),                                  \
            exchange_finish(x, why)))
/* Sends, and expects no answer (acks=0). */
MUST_USE enum err exchange_send(struct exchange *x, struct why *why);
/* Whether the answer was read to its end: ERR_MALFORMED. */
MUST_USE enum err exchange_finish(struct exchange *x, struct why *why);

#endif
