/* client.c - a small blocking Kafka client: requests over connections.
 *
 * Happy path: exchange_open() finds or makes the connection of a node (a new
 * one asks ApiVersions first) and writes the request's header; the caller
 * writes the request; exchange_run() sends the frame and reads the answer's.
 *
 * A connection that fails in any way is closed: what was sent may or may not
 * have arrived, so nothing is sent twice by itself. Sockets are plain and
 * blocking with poll() before each step, so that deadlines and Ctrl-C are
 * obeyed. */
#include "cli/client.h"
#include "base/mem.h"
#include "base/must.h"
#include "cli/dial.h"
#include "wire/api_versions.h"
#include "wire/envelope.h"
#include "wire/find_coordinator.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT_APIS_MAX = 128 };

struct client_range {
    int16_t min;
    int16_t max; /* min > max: not there */
};

/* A broker and the connection to it. */
struct connection {
    int32_t node; /* CLIENT_ANY: one of --server */
    char *host;
    uint16_t port;
    char *address; /* "host:port" */
    int fd;        /* -1: closed */
    struct client_range apis[CLIENT_APIS_MAX];
    struct connection *next;
};

struct client {
    struct connection *connections; /* --server's first, in their order */
    int32_t correlation_id;
    const volatile bool *stop;
};

static enum err client_add(struct client *client, int32_t node, struct str host,
                           uint16_t port)
{
    struct connection **last = &client->connections;
    struct connection *connection = MEM_NEW(struct connection);
    bool colon = memchr(host.ptr, ':', host.len) != NULL;

    while (*last != NULL) {
        last = &(*last)->next;
    }
    connection->node = node;
    connection->host = str_dup(host);
    connection->port = port;
    connection->address = mem_printf(colon ? "[%.*s]:%u" : "%.*s:%u",
                                     STR_ARG(host), port);
    connection->fd = -1;
    *last = connection;
    return ERR_NONE;
}

/* One HOST:PORT of --server. */
static enum err client_add_server(struct client *client, struct str text,
                                  struct why *why)
{
    struct str host = text;
    const char *colon = memrchr(text.ptr, ':', text.len);
    int64_t port = 9092;

    if (colon != NULL && memchr(colon, ']', text.len -
                                                (size_t)(colon - text.ptr)) ==
                             NULL) {
        host.len = (size_t)(colon - text.ptr);
        if (!str_to_i64(str_sub(colon + 1, text.len - host.len - 1), &port)) {
            port = 0;
        }
    }
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = str_sub(host.ptr + 1, host.len - 2);
    }
    if (host.len == 0 || port < 1 || port > UINT16_MAX) {
        return why_set(why, ERR_INVALID,
                       "\"%.*s\" is no HOST:PORT, such as 127.0.0.1:9092",
                       STR_ARG(text));
    }
    return client_add(client, CLIENT_ANY, host, (uint16_t)port);
}

enum err client_open(const char *servers, struct client **out, struct why *why)
{
    struct client *client = MEM_NEW(struct client);
    enum err err = ERR_NONE;

    while (!err && *servers != '\0') {
        size_t bytes = strcspn(servers, ",");

        err = client_add_server(client, str_sub(servers, bytes), why);
        servers += bytes + strspn(servers + bytes, ",");
    }
    if (!err && client->connections == NULL) {
        err = why_set(why, ERR_INVALID, "no server was named");
    }
    if (err) {
        client_close(client);
        client = NULL;
    }
    *out = client;
    return err;
}

static void connection_close(struct connection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
        connection->fd = -1;
    }
}

void client_close(struct client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->connections != NULL) {
        struct connection *connection = client->connections;

        client->connections = connection->next;
        connection_close(connection);
        mem_free(connection->host);
        mem_free(connection->address);
        mem_free(connection);
    }
    mem_free(client);
}

void client_set_stop(struct client *client, const volatile bool *stop)
{
    client->stop = stop;
}

static bool client_is_stopped(const struct client *client)
{
    return client->stop != NULL && *client->stop;
}

int64_t client_now_ms(void)
{
    struct timespec now;

    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void client_sleep(const struct client *client, int ms)
{
    if (!client_is_stopped(client)) {
        poll(NULL, 0, ms); /* a signal ends it early, as it should */
    }
}

enum err client_error(int16_t code)
{
    /* A number that nobody has given has the name of "unknown". */
    if (code < 0 || code >= 1000 ||
        strcmp(err_name((enum err)code), "UNKNOWN_SERVER_ERROR") == 0) {
        return ERR_UNKNOWN_SERVER_ERROR;
    }
    return (enum err)code;
}

/* Waits until the socket is ready for events.
 * Errors: ERR_TIMEOUT, ERR_CANCELLED. */
static enum err connection_wait(const struct client *client,
                                const struct connection *connection,
                                short events, int64_t deadline_ms,
                                struct why *why)
{
    for (;;) {
        struct pollfd poller = {.fd = connection->fd, .events = events};
        int64_t left_ms = deadline_ms - client_now_ms();
        int count;

        if (client_is_stopped(client)) {
            return why_set(why, ERR_CANCELLED, "interrupted");
        }
        if (left_ms <= 0) {
            return why_set(why, ERR_TIMEOUT, "%s does not answer in time",
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

static enum err connection_lost(struct connection *connection, struct why *why)
{
    return why_set(why, ERR_CLOSED, "%s closed the connection",
                   connection->address);
}

static enum err connection_write(const struct client *client,
                                 struct connection *connection, struct str out,
                                 int64_t deadline_ms, struct why *why)
{
    while (out.len > 0) {
        ssize_t count = dial_write(connection->fd, out.ptr, out.len);

        if (count > 0) {
            out = str_sub(out.ptr + count, out.len - (size_t)count);
        } else if (count < 0 && errno == EAGAIN) {
            enum err err = connection_wait(client, connection, POLLOUT,
                                           deadline_ms, why);

            if (err) {
                return err;
            }
        } else if (count < 0 && errno != EINTR) {
            return connection_lost(connection, why);
        }
    }
    return ERR_NONE;
}

static enum err connection_read(const struct client *client,
                                struct connection *connection, void *into,
                                size_t bytes, int64_t deadline_ms,
                                struct why *why)
{
    uint8_t *at = into;

    while (bytes > 0) {
        ssize_t count = read(connection->fd, at, bytes);

        if (count > 0) {
            at += count;
            bytes -= (size_t)count;
        } else if (count < 0 && errno == EAGAIN) {
            enum err err =
                connection_wait(client, connection, POLLIN, deadline_ms, why);

            if (err) {
                return err;
            }
        } else if (count == 0 || errno != EINTR) {
            return connection_lost(connection, why);
        }
    }
    return ERR_NONE;
}

enum err exchange_send(struct exchange *x, struct why *why)
{
    enum err err = writer_frame_close(&x->writer);

    if (err) {
        return why_set(why, err, "the request is too large");
    }
    err = connection_write(x->client, x->connection, writer_output(&x->writer),
                           client_now_ms() + x->timeout_ms, why);
    if (err) {
        connection_close(x->connection);
    }
    return err;
}

/* Reads the frame of the answer and its header. */
static enum err exchange_receive(struct exchange *x, struct why *why)
{
    int64_t deadline_ms = client_now_ms() + x->timeout_ms;
    uint8_t size[4];
    int32_t correlation_id;
    uint8_t *frame;
    int32_t bytes;
    enum err err = connection_read(x->client, x->connection, size, sizeof(size),
                                   deadline_ms, why);

    if (err) {
        return err;
    }
    bytes = bytes_get_i32(size);
    if (bytes < 4 || bytes > CLIENT_FRAME_BYTES_MAX) {
        return why_set(why, ERR_MALFORMED,
                       "%s does not speak Kafka's protocol (a frame of "
                       "%" PRId32 " bytes)",
                       x->connection->address, bytes);
    }
    frame = arena_raw(x->arena, (size_t)bytes);
    err = connection_read(x->client, x->connection, frame, (size_t)bytes,
                          deadline_ms, why);
    if (err) {
        return err;
    }
    reader_init(&x->reader, frame, (size_t)bytes);
    err = envelope_read_response(&x->reader, x->api, x->version,
                                 &correlation_id);
    if (err || correlation_id != x->correlation_id) {
        return why_set(why, ERR_MALFORMED,
                       "%s answered something else than was asked",
                       x->connection->address);
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

/* Writes the frame's and the request's header. */
static void exchange_begin(struct exchange *x)
{
    struct request_header header = {
        .request_api_key = x->api->key,
        .request_api_version = x->version,
        .correlation_id = ++x->client->correlation_id,
        .client_id = STR_LIT("tidemark-cli"),
    };

    x->correlation_id = header.correlation_id;
    x->timeout_ms = CLIENT_TIMEOUT_MS;
    writer_init(&x->writer, x->arena, 512);
    writer_frame_open(&x->writer);
    envelope_write_request(&x->writer, &header);
}

/* Asks a new connection for its versions: version 3, which every broker of
 * this decade answers, in version 0's form where it does not know it. */
static enum err connection_versions(struct client *client,
                                    struct connection *connection,
                                    struct why *why)
{
    struct arena arena = {0};
    struct exchange x = {.client = client,
                         .connection = connection,
                         .arena = &arena,
                         .api = api_find(API_API_VERSIONS)};
    struct api_versions_response response;
    struct api_versions_request request;
    enum err err = ERR_NONE;

    for (x.version = 3; x.version >= 0; x.version = (int16_t)(x.version - 3)) {
        exchange_begin(&x);
        api_versions_request_init(&request);
        request.client_software_name = STR_LIT("tidemark-cli");
        request.client_software_version = STR_LIT("0.1.0");
        api_versions_request_encode(&x.writer, x.version, &request);
        err = exchange_run(&x, why);
        if (err) {
            break;
        }
        api_versions_response_init(&response);
        if (reader_left(&x.reader) >= 2 &&
            bytes_get_i16(x.reader.at) == ERR_UNSUPPORTED_VERSION) {
            continue;
        }
        api_versions_response_decode(&x.reader, &arena, x.version, &response);
        err = exchange_finish(&x, why);
        break;
    }
    for (int i = 0; i < CLIENT_APIS_MAX; i++) {
        connection->apis[i] = (struct client_range){1, 0};
    }
    for (int32_t i = 0; !err && i < response.api_keys_count; i++) {
        const struct api_versions_response_api_version *api =
            &response.api_keys[i];

        if (api->api_key >= 0 && api->api_key < CLIENT_APIS_MAX) {
            connection->apis[api->api_key] =
                (struct client_range){api->min_version, api->max_version};
        }
    }
    arena_reset(&arena);
    return err;
}

/* Connects, where it is not connected. */
static enum err connection_open(struct client *client,
                                struct connection *connection, struct why *why)
{
    enum err err;

    if (connection->fd >= 0) {
        return ERR_NONE;
    }
    err = dial(connection->host, connection->port, &connection->fd, why);
    if (!err) {
        err = connection_versions(client, connection, why);
    }
    if (err) {
        connection_close(connection);
    }
    return err;
}

/* A connection to the node; CLIENT_ANY: to the first server that answers. */
static enum err client_connect(struct client *client, int32_t node,
                               struct connection **out, struct why *why)
{
    enum err err = why_set(why, ERR_CLOSED, "broker %" PRId32 " is unknown",
                           node);

    for (struct connection *c = client->connections; c != NULL; c = c->next) {
        if (c->node != node) {
            continue;
        }
        err = connection_open(client, c, why);
        if (!err) {
            *out = c;
            return ERR_NONE;
        }
        if (err == ERR_CANCELLED) {
            break;
        }
    }
    return err;
}

enum err exchange_open(struct exchange *x, struct client *client, int32_t node,
                       enum api_key key, int16_t version_max,
                       struct arena *arena, struct why *why)
{
    struct client_range range;
    enum err err;

    *x = (struct exchange){.client = client,
                           .arena = arena,
                           .api = api_find((int16_t)key)};
    err = client_connect(client, node, &x->connection, why);
    if (err) {
        return err;
    }
    must(x->api != NULL && (int)key < CLIENT_APIS_MAX);
    range = x->connection->apis[key];
    x->version = MIN(version_max, range.max);
    if (range.min > range.max || x->version < range.min) {
        return why_set(why, ERR_UNSUPPORTED, "%s does not offer %s",
                       x->connection->address, x->api->name);
    }
    exchange_begin(x);
    return ERR_NONE;
}

/* Learns where a broker is; one that has moved is connected to anew. */
static void client_learn(struct client *client, int32_t node, struct str host,
                         int32_t port)
{
    if (node < 0 || host.len == 0 || port < 1 || port > UINT16_MAX) {
        return;
    }
    for (struct connection *c = client->connections; c != NULL; c = c->next) {
        if (c->node != node) {
            continue;
        }
        if (c->port == port && str_eq(host, str_of(c->host))) {
            return;
        }
        connection_close(c);
        c->node = INT32_MIN; /* forgotten */
    }
    (void)client_add(client, node, host, (uint16_t)port);
}

enum err client_metadata(struct client *client, const struct str *topics,
                         int32_t count, bool create, struct arena *arena,
                         struct metadata_response *response, struct why *why)
{
    struct metadata_request request;
    struct exchange x;
    enum err err = exchange_open(&x, client, CLIENT_ANY, API_METADATA, 12,
                                 arena, why);

    if (err) {
        return err;
    }
    metadata_request_init(&request);
    request.allow_auto_topic_creation = create;
    request.topics_count = count;
    request.topics = arena_array(arena, (size_t)MAX(count, 0),
                                 sizeof(*request.topics));
    for (int32_t i = 0; i < count; i++) {
        metadata_request_topic_init(&request.topics[i]);
        request.topics[i].name = topics[i];
    }
    metadata_request_encode(&x.writer, x.version, &request);
    err = exchange_run(&x, why);
    if (err) {
        return err;
    }
    metadata_response_init(response);
    metadata_response_decode(&x.reader, arena, x.version, response);
    err = exchange_finish(&x, why);
    for (int32_t i = 0; !err && i < response->brokers_count; i++) {
        const struct metadata_response_broker *broker = &response->brokers[i];

        client_learn(client, broker->node_id, broker->host, broker->port);
    }
    return err;
}

enum err client_coordinator(struct client *client, struct str group,
                            struct arena *arena, int32_t *node, struct why *why)
{
    struct find_coordinator_response response;
    struct find_coordinator_request request;
    struct exchange x;
    enum err err = exchange_open(&x, client, CLIENT_ANY, API_FIND_COORDINATOR,
                                 3, arena, why);

    if (err) {
        return err;
    }
    find_coordinator_request_init(&request);
    request.key = group;
    find_coordinator_request_encode(&x.writer, x.version, &request);
    err = exchange_run(&x, why);
    if (err) {
        return err;
    }
    find_coordinator_response_init(&response);
    find_coordinator_response_decode(&x.reader, arena, x.version, &response);
    err = exchange_finish(&x, why);
    if (!err && response.error_code != 0) {
        err = client_error(response.error_code);
        return why_set(why, err, "no coordinator of group \"%.*s\": %s",
                       STR_ARG(group), err_text(err));
    }
    if (!err) {
        client_learn(client, response.node_id, response.host, response.port);
        *node = response.node_id;
    }
    return err;
}

const char *client_address(const struct client *client, int32_t node)
{
    for (struct connection *c = client->connections; c != NULL; c = c->next) {
        if (c->node == node) {
            return c->address;
        }
    }
    return "an unknown broker";
}
