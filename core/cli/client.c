/* client.c - a small blocking Kafka client: the brokers of a cluster.
 *
 * 1. client_open() makes a node of each --server; nothing is connected.
 * 2. client_exchange() connects to the node that is named, or to the first of
 *    --server that answers.
 * 3. What metadata and coordinators say of brokers is learned: new nodes are
 *    added, one that has moved is connected to anew.
 *
 * A node is never taken out, so a pointer to one lives as long as the client;
 * one that has moved has an id that nobody asks for. */
#include "cli/client.h"
#include "base/mem.h"
#include "wire/find_coordinator.h"
#include <inttypes.h>
#include <poll.h>

/* A broker, or a place where one is said to be. */
struct client_node {
    int32_t id; /* CLIENT_ANY: one of --server; INT32_MIN: has moved */
    struct connection connection;
    struct client_node *next;
};

struct client {
    struct client_node *nodes; /* owned; --server's first, in their order */
    const volatile bool *stop; /* borrowed; NULL: never */
};

static void client_add(struct client *client, int32_t id, struct str host,
                       uint16_t port)
{
    struct client_node **last = &client->nodes;
    struct client_node *node = MEM_NEW(struct client_node);

    while (*last != NULL) {
        last = &(*last)->next;
    }
    node->id = id;
    connection_init(&node->connection, host, port);
    node->connection.stop = client->stop;
    *last = node;
}

/* One HOST:PORT of --server. */
static enum err client_add_server(struct client *client, struct str text,
                                  struct why *why)
{
    const char *end = text.ptr + text.len;
    const char *colon = memrchr(text.ptr, ':', text.len);
    struct str host = text;
    int64_t port = 9092;

    if (colon != NULL && memchr(colon, ']', (size_t)(end - colon)) == NULL) {
        host.len = (size_t)(colon - text.ptr);
        if (!str_to_i64(str_sub(colon + 1, (size_t)(end - colon) - 1), &port)) {
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
    client_add(client, CLIENT_ANY, host, (uint16_t)port);
    return ERR_NONE;
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
    if (!err && client->nodes == NULL) {
        err = why_set(why, ERR_INVALID,
                      "expected HOST:PORT, such as 127.0.0.1:9092, got "
                      "nothing");
    }
    if (err) {
        client_close(client);
        client = NULL;
    }
    *out = client;
    return err;
}

void client_close(struct client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->nodes != NULL) {
        struct client_node *node = client->nodes;

        client->nodes = node->next;
        connection_fini(&node->connection);
        mem_free(node);
    }
    mem_free(client);
}

void client_set_stop(struct client *client, const volatile bool *stop)
{
    client->stop = stop;
    for (struct client_node *n = client->nodes; n != NULL; n = n->next) {
        n->connection.stop = stop;
    }
}

int64_t client_now_ms(void)
{
    return connection_now_ms();
}

void client_sleep(const struct client *client, int ms)
{
    if (client->stop == NULL || !*client->stop) {
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

/* A connection to the node; CLIENT_ANY: to the first server that answers. */
static enum err client_connect(struct client *client, int32_t id,
                               struct connection **out, struct why *why)
{
    enum err err =
        why_set(why, ERR_CLOSED,
                "broker %" PRId32 " is unknown: no broker that was asked has "
                "named it; try again",
                id);

    for (struct client_node *n = client->nodes; n != NULL; n = n->next) {
        if (n->id != id) {
            continue;
        }
        err = exchange_connect(&n->connection, why);
        if (!err) {
            *out = &n->connection;
            return ERR_NONE;
        }
        if (err == ERR_CANCELLED) {
            break;
        }
    }
    return err;
}

enum err client_exchange(struct client *client, int32_t node,
                         struct exchange *x, enum api_key key,
                         int16_t version_max, struct why *why)
{
    struct connection *connection = NULL;
    enum err err = client_connect(client, node, &connection, why);

    return err ? err : exchange_begin(x, connection, key, version_max, why);
}

/* Learns where a broker is; one that has moved is connected to anew. */
static void client_learn(struct client *client, int32_t id, struct str host,
                         int32_t port)
{
    if (id < 0 || host.len == 0 || port < 1 || port > UINT16_MAX) {
        return;
    }
    for (struct client_node *n = client->nodes; n != NULL; n = n->next) {
        if (n->id != id) {
            continue;
        }
        if (n->connection.port == port &&
            str_eq(host, str_of(n->connection.host))) {
            return;
        }
        connection_close(&n->connection);
        n->id = INT32_MIN;
    }
    client_add(client, id, host, (uint16_t)port);
}

enum err client_metadata(struct client *client,
                         const struct client_topics *topics,
                         struct arena *arena,
                         struct metadata_response *response, struct why *why)
{
    size_t count = (size_t)MAX(topics->count, 0);
    struct metadata_request request;
    struct exchange x = {.arena = arena};
    enum err err =
        client_exchange(client, CLIENT_ANY, &x, API_METADATA, 12, why);

    if (err) {
        return err;
    }
    metadata_request_init(&request);
    request.allow_auto_topic_creation = topics->create;
    request.topics_count = topics->count;
    request.topics = arena_array(arena, count, sizeof(*request.topics));
    for (size_t i = 0; i < count; i++) {
        metadata_request_topic_init(&request.topics[i]);
        request.topics[i].name = topics->names[i];
    }
    err = EXCHANGE_ASK(metadata, &x, &request, response, why);
    for (int32_t i = 0; !err && i < response->brokers_count; i++) {
        const struct metadata_response_broker *broker = &response->brokers[i];

        client_learn(client, broker->node_id, broker->host, broker->port);
    }
    return err;
}

enum err client_coordinator(struct client *client, struct str group,
                            int32_t *node, struct why *why)
{
    struct find_coordinator_response response;
    struct find_coordinator_request request;
    struct arena arena = {0};
    struct exchange x = {.arena = &arena};
    enum err err =
        client_exchange(client, CLIENT_ANY, &x, API_FIND_COORDINATOR, 3, why);

    if (!err) {
        find_coordinator_request_init(&request);
        request.key = group;
        err = EXCHANGE_ASK(find_coordinator, &x, &request, &response, why);
    }
    if (!err && response.error_code != 0) {
        err = client_error(response.error_code);
        err = why_set(why, err, "no coordinator of group \"%.*s\": %s",
                      STR_ARG(group), err_text(err));
    }
    if (!err) {
        client_learn(client, response.node_id, response.host, response.port);
        *node = response.node_id;
    }
    arena_reset(&arena);
    return err;
}
