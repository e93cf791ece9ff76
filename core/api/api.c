/* api.c - what handlers share: an answer and its end, and how a client reaches
 * us.
 *
 * An answer is memory of the writer with ranges of files between; the ranges
 * are pinned until it has left. */
#include "api/api.h"

#include "api/fetch_sessions.h"
#include "api/producer_ids.h"
#include "base/mem.h"
#include "base/trace.h"
#include "log/log.h"
#include "wire/envelope.h"

#include <arpa/inet.h>

enum { CLOSED_LINES_A_SECOND = 10 }; /* of one loop */

struct api *api_open(const struct api_options *options)
{
    struct api *api = MEM_NEW(struct api);
    unsigned loops = loops_count(options->loops);

    api->options = *options;
    api->sessions = mem_zalloc(loops * sizeof(struct fetch_sessions *));
    for (unsigned i = 0; i < loops; i++) {
        api->sessions[i] =
            fetch_sessions_open(loop_env(loops_at(options->loops, i)),
                                (options->fetch_sessions + loops - 1) / loops,
                                FETCH_SESSION_PARTITIONS_MAX / loops);
    }
    api->gates = mem_zalloc(loops * sizeof(*api->gates));
    api->producer_ids = producer_ids_open(options->controller, options->node_id,
                                          options->producer_id_block);
    return api;
}

void api_free(struct api *api)
{
    for (unsigned i = 0; i < loops_count(api->options.loops); i++) {
        fetch_sessions_close(api->sessions[i]);
    }
    mem_free(api->sessions);
    mem_free(api->gates);
    producer_ids_close(api->producer_ids);
    mem_free(api);
}

void api_tell_closed(struct api_request *r, const char *text)
{
    struct loop *loop = conn_loop(r->request->conn);
    const struct api_info *info = api_find(r->key);

    trace_gated(
        &r->api->gates[loop_index(loop)].closed, env_now_ms(loop_env(loop)),
        CLOSED_LINES_A_SECOND, "closed %s: %s (request %d) version %d %s",
        conn_peer(r->request->conn), info == NULL ? "a request" : info->name,
        r->key, r->version, text);
}

void api_malformed(struct api_request *r)
{
    api_tell_closed(r, "does not follow the protocol");
    api_close(r);
}

/* Bytes after the last field are ignored, as Kafka ignores them: librdkafka
 * 2.16 sends three when it asks for the metadata of all topics. */
bool api_decoded(struct api_request *r)
{
    if (!r->body.failed) {
        return true;
    }
    api_malformed(r);
    return false;
}

struct writer *api_answer_begin(struct api_request *r, size_t bytes)
{
    writer_init(&r->writer, r->arena, bytes + 16);
    writer_frame_open(&r->writer);
    envelope_write_response(&r->writer, api_find(r->key), r->version,
                            r->correlation_id);
    return &r->writer;
}

/* Unpins the ranges of an answer when it has left. */
struct api_unpin {
    struct arena_cleanup cleanup;
    struct writer_splice *splices;
};

static void api_unpin(struct arena_cleanup *cleanup)
{
    struct api_unpin *unpin = container_of(cleanup, struct api_unpin, cleanup);

    for (struct writer_splice *s = unpin->splices; s != NULL; s = s->next) {
        log_range_unpin(s->what);
    }
}

/* Memory and file ranges in the order in which they leave. */
static uint32_t api_answer_parts(struct api_request *r, struct part *parts)
{
    struct str output = writer_output(&r->writer);
    const uint8_t *start = (const uint8_t *)output.ptr;
    size_t position = 0;
    uint32_t count = 0;

    for (struct writer_splice *s = r->writer.splices; s != NULL; s = s->next) {
        const struct log_range *range = s->what;

        if (s->position > position) {
            parts[count++] =
                (struct part){.ptr = start + position,
                              .bytes = (uint32_t)(s->position - position)};
        }
        parts[count++] = (struct part){.bytes = range->bytes,
                                       .fd = range->fd,
                                       .position = range->position};
        position = s->position;
    }
    if (position < output.len) {
        parts[count++] =
            (struct part){.ptr = start + position,
                          .bytes = (uint32_t)(output.len - position)};
    }
    return count;
}

void api_answer_end(struct api_request *r)
{
    struct writer *w = &r->writer;
    struct part *parts;
    size_t splices = 0;

    for (struct writer_splice *s = w->splices; s != NULL; s = s->next) {
        splices++;
    }
    if (splices > 0) {
        struct api_unpin *unpin = ARENA_NEW(r->arena, struct api_unpin);

        unpin->cleanup.run = api_unpin;
        unpin->splices = w->splices;
        arena_on_reset(r->arena, &unpin->cleanup);
    }
    if (writer_frame_close(w) != ERR_NONE) {
        trace(TRACE_ERROR, "closed %s: the answer to %s cannot be encoded",
              conn_peer(r->request->conn), api_find(r->key)->name);
        api_close(r);
        return;
    }
    parts = arena_array(r->arena, 2 * splices + 1, sizeof(*parts));
    conn_respond(r->request, parts, api_answer_parts(r, parts));
}

void api_answer_nothing(struct api_request *r)
{
    conn_respond(r->request, NULL, 0);
}

void api_close(struct api_request *r)
{
    conn_refuse(r->request);
}

const struct api_listener *api_listener(const struct api_request *r)
{
    return &r->api->options.listeners[conn_listener(r->request->conn)];
}

enum err api_change_err(enum err err)
{
    return err == ERR_STOPPING ? ERR_NOT_CONTROLLER : err;
}

void api_advertised(struct api_request *r, struct str *host, int32_t *port)
{
    const struct api_listener *listener = api_listener(r);
    const struct sockaddr_storage *local = conn_local(r->request->conn);
    char text[INET6_ADDRSTRLEN] = "";

    if (listener->advertise_host != NULL) {
        *host = str_of(listener->advertise_host);
        *port = listener->advertise_port;
        return;
    }
    if (local->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)local;

        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        *port = ntohs(in6->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)local;

        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        *port = ntohs(in->sin_port);
    }
    *host = arena_str(r->arena, str_of(text));
}
