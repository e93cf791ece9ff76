/* api.h - a Kafka request as its handler sees it, and how it is answered.
 *
 * dispatch.c reads the header, finds the handler in its table and calls it with
 * a struct api_request, which lives in the request's arena. A handler decodes
 * the body, does its work at once or as a flow, and ends with
 * api_answer_begin(), an encode, api_answer_end(): exactly once. All on the
 * loop of the connection. */
#ifndef API_API_H
#define API_API_H

#include "base/trace.h"
#include "cluster/topic_create.h"
#include "net/conn.h"
#include "run/flow.h"
#include "wire/apis.h"
#include "wire/reader.h"
#include "wire/writer.h"

struct api;
struct coordinator;
struct fetch_sessions;

/* What handlers need of the broker; made by broker/, constant while it runs. */
struct api_options {
    struct loops *loops;
    struct controller *controller;
    struct replicas *replicas;
    struct coordinator *coordinator;
    int32_t node_id;
    const struct api_listener *listeners;
    uint32_t fetch_sessions; /* of the whole process */
    struct topic_create_defaults topic_defaults;
    uint32_t producer_id_block; /* ids that one command sets aside */
    int64_t slow_request_ms;    /* told of from so long on; 0: never */
};

/* What clients are told of a listener, by its index in net/. */
struct api_listener {
    const char *name;
    const char *advertise_host; /* NULL: where the client connected to */
    uint16_t advertise_port;
    bool auto_create; /* topics, for clients that come through it */
};

/* For lines that clients can cause. */
struct api_gates {
    struct trace_gate slow;   /* requests that took long */
    struct trace_gate closed; /* connections closed for what they sent */
};

struct api {
    struct api_options options;
    struct fetch_sessions **sessions; /* one a loop */
    struct producer_ids *producer_ids;
    struct api_gates *gates; /* one a loop */
};

struct api_request {
    struct api *api;
    struct request *request;
    struct arena *arena; /* the request's */
    int16_t key;
    int16_t version;
    int32_t correlation_id;
    struct str client_id; /* may be null */
    struct reader body;
    struct writer writer;
    struct flow flow; /* of handlers that wait */
    void *own;        /* the handler's, for as long as the request */
};

/* What the handler keeps, from a step of its request's flow. */
static inline void *api_own(struct flow *flow)
{
    return container_of(flow, struct api_request, flow)->own;
}

/* Control loop, once the metadata is there. */
struct api *api_open(const struct api_options *options);
/* No request may run any more. */
void api_free(struct api *api);

/* A line about a connection that is closed for what its client sent: "closed
 * PEER: " and the text; bounded in a second. */
void api_tell_closed(struct api_request *r, const char *text);
/* The body does not follow the protocol: closes the connection, as Kafka does,
 * and says so in the trace. The request is void. */
void api_malformed(struct api_request *r);
/* After decoding: true when all bytes were read without a failure; else the
 * request was ended by api_malformed(). */
MUST_USE bool api_decoded(struct api_request *r);

/* The answer's header; the body goes to the writer, then api_answer_end().
 * bytes: a guess of the size. */
struct writer *api_answer_begin(struct api_request *r, size_t bytes);
/* Sends it. What splices of the writer point to is a struct log_range each:
 * unpinned when the answer has left. The request is void. */
void api_answer_end(struct api_request *r);
/* No answer is due (acks=0). The request is void. */
void api_answer_nothing(struct api_request *r);
/* Closes the connection in place of an answer. The request is void. */
void api_close(struct api_request *r);

/* What the client of this request reaches the broker under. host: in the
 * arena. */
void api_advertised(struct api_request *r, struct str *host, int32_t *port);
const struct api_listener *api_listener(const struct api_request *r);
/* What a client is told of a change of the metadata that failed. */
enum err api_change_err(enum err err);

#endif
