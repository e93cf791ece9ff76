/* exchange.c - one request over a connection, and its answer.
 *
 * 1. exchange_connect() dials and asks for the versions, where that was not
 * done.
 * 2. exchange_begin() chooses the version and writes both headers.
 * 3. The caller writes the body.
 * 4. exchange_run() closes the frame, sends it, reads the frame of the answer
 *    and its header; the caller reads the body.
 * 5. exchange_finish(): all of it was read, and nothing failed.
 *
 * Failure modes: each closes the connection, and says what a person can do: no
 * Kafka there, another answer than the one to this request, a damaged one.
 *
 * One request at a time: an answer belongs to the last request, or to nobody.
 */
#include "cli/exchange.h"
#include "base/must.h"
#include "wire/api_versions.h"
#include "wire/envelope.h"
#include <inttypes.h>

enum err exchange_send(struct exchange *x, struct why *why)
{
    enum err err = writer_frame_close(&x->writer);

    if (err) {
        return why_set(why, err,
                       "a %s request of more than 2 GiB cannot be sent",
                       x->api->name);
    }
    return connection_write(x->connection, writer_output(&x->writer),
                            connection_now_ms() + x->timeout_ms, why);
}

/* Reads the frame of the answer and its header. */
static enum err exchange_receive(struct exchange *x, struct why *why)
{
    int64_t deadline_ms = connection_now_ms() + x->timeout_ms;
    uint8_t size[4];
    int32_t correlation_id;
    uint8_t *frame;
    int32_t bytes;
    enum err err =
        connection_read(x->connection, size, sizeof(size), deadline_ms, why);

    if (err) {
        return err;
    }
    bytes = bytes_get_i32(size);
    if (bytes < 4 || bytes > EXCHANGE_FRAME_BYTES_MAX) {
        return why_set(why, ERR_MALFORMED,
                       "%s does not speak Kafka's protocol without TLS (a "
                       "frame of %" PRId32 " bytes); is the port right?",
                       x->connection->address, bytes);
    }
    frame = arena_raw(x->arena, (size_t)bytes);
    err =
        connection_read(x->connection, frame, (size_t)bytes, deadline_ms, why);
    if (err) {
        return err;
    }
    reader_init(&x->reader, frame, (size_t)bytes);
    if (envelope_read_response(&x->reader, x->api, x->version,
                               &correlation_id) ||
        correlation_id != x->correlation_id) {
        return why_set(why, ERR_MALFORMED,
                       "%s answered something else than %s; is it a Kafka "
                       "broker?",
                       x->connection->address, x->api->name);
    }
    return ERR_NONE;
}

enum err exchange_run(struct exchange *x, struct why *why)
{
    enum err err = exchange_send(x, why);

    if (!err) {
        err = exchange_receive(x, why);
    }
    if (err) {
        connection_close(x->connection);
    }
    return err;
}

enum err exchange_finish(struct exchange *x, struct why *why)
{
    if (reader_finish(&x->reader)) {
        connection_close(x->connection);
        return why_set(why, ERR_MALFORMED, "%s sent a damaged %s answer",
                       x->connection->address, x->api->name);
    }
    return ERR_NONE;
}

/* Writes the frame's and the request's header, for x->api and x->version. */
static void exchange_write_header(struct exchange *x)
{
    static int32_t last_id;
    struct request_header header = {
        .request_api_key = x->api->key,
        .request_api_version = x->version,
        .correlation_id = last_id = (last_id + 1) & INT32_MAX,
        .client_id = STR_LIT("tidemark-cli"),
    };

    x->correlation_id = header.correlation_id;
    x->timeout_ms = EXCHANGE_TIMEOUT_MS;
    writer_init(&x->writer, x->arena, 512);
    writer_frame_open(&x->writer);
    envelope_write_request(&x->writer, &header);
}

enum err exchange_begin(struct exchange *x, struct connection *connection,
                        enum api_key key, int16_t version_max, struct why *why)
{
    struct connection_range range = connection->apis[key];

    must(x->arena != NULL && (int)key < CONNECTION_APIS_MAX);
    x->connection = connection;
    x->api = api_find((int16_t)key);
    must(x->api != NULL);
    x->version = MIN(version_max, range.max);
    if (range.min > range.max || x->version < range.min) {
        return why_set(why, ERR_UNSUPPORTED,
                       "%s does not offer %s in a version that this tool knows",
                       connection->address, x->api->name);
    }
    exchange_write_header(x);
    return ERR_NONE;
}

/* One ApiVersions in the version of x. *again: the broker does not know that
 * version. */
static enum err exchange_ask_versions(struct exchange *x,
                                      struct api_versions_response *response,
                                      bool *again, struct why *why)
{
    struct api_versions_request request;
    enum err err;

    exchange_write_header(x);
    api_versions_request_init(&request);
    request.client_software_name = STR_LIT("tidemark-cli");
    request.client_software_version = STR_LIT("0.1.0");
    api_versions_request_encode(&x->writer, x->version, &request);
    err = exchange_run(x, why);
    if (err) {
        return err;
    }
    *again = reader_left(&x->reader) >= 2 &&
             bytes_get_i16(x->reader.at) == ERR_UNSUPPORTED_VERSION;
    if (*again) {
        return ERR_NONE;
    }
    api_versions_response_init(response);
    api_versions_response_decode(&x->reader, x->arena, x->version, response);
    return exchange_finish(x, why);
}

/* Version 3, which every broker of this decade answers, in version 0's form
 * where it does not know it; then version 0. */
static enum err exchange_versions(struct connection *connection,
                                  struct why *why)
{
    struct arena arena = {0};
    struct exchange x = {.arena = &arena,
                         .version = 3,
                         .connection = connection,
                         .api = api_find(API_API_VERSIONS)};
    struct api_versions_response response = {.api_keys_count = 0};
    bool again = false;
    enum err err = exchange_ask_versions(&x, &response, &again, why);

    if (!err && again) {
        x.version = 0;
        err = exchange_ask_versions(&x, &response, &again, why);
    }
    for (int i = 0; i < CONNECTION_APIS_MAX; i++) {
        connection->apis[i] = (struct connection_range){1, 0};
    }
    for (int32_t i = 0; !err && i < response.api_keys_count; i++) {
        const struct api_versions_response_api_version *api =
            &response.api_keys[i];

        if (api->api_key >= 0 && api->api_key < CONNECTION_APIS_MAX) {
            connection->apis[api->api_key] =
                (struct connection_range){api->min_version, api->max_version};
        }
    }
    arena_reset(&arena);
    return err;
}

enum err exchange_connect(struct connection *connection, struct why *why)
{
    enum err err;

    if (connection_is_open(connection)) {
        return ERR_NONE;
    }
    connection_close(connection);
    err = connection_dial(connection, why);
    if (!err) {
        err = exchange_versions(connection, why);
    }
    if (err) {
        connection_close(connection);
    }
    return err;
}
