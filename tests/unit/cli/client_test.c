/* The client against a broker that answers what a test wrote down.
 *
 * The broker is a thread with one listening socket: it reads a frame, compares
 * its key, and sends the bytes of the next line of the script. */
#include "cli/client.h"
#include "base/mem.h"
#include "wire/api_versions.h"
#include "wire/envelope.h"

#include "lib/fixture.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct client_topics all_topics = {.count = -1};

enum answer {
    ANSWER_VERSIONS,     /* ApiVersions 3: Metadata 0 to 9, Produce 3 to 3 */
    ANSWER_OLD_VERSIONS, /* 35 in version 0's form, then a proper one */
    ANSWER_METADATA,     /* one broker, one topic */
    ANSWER_CLOSE,        /* hangs up */
    ANSWER_HUGE,         /* a frame of 2 GiB, it says */
    ANSWER_NEGATIVE,
    ANSWER_OTHER, /* a correlation id that nobody sent */
    ANSWER_SHORT, /* half of an answer's fields */
    ANSWER_SILENCE,
};

struct broker {
    int listener;
    char address[32];
    const enum answer *script;
    size_t count;
    pthread_t thread;
};

static bool read_all(int fd, void *into, size_t bytes)
{
    return recv(fd, into, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static void send_all(int fd, const struct writer *w)
{
    struct str bytes = writer_output(w);

    (void)!send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

static void write_versions(struct writer *w, int16_t version, int16_t error)
{
    static struct api_versions_response_api_version keys[] = {
        {API_METADATA, 0, 9}, {API_API_VERSIONS, 0, 3}, {API_PRODUCE, 3, 3}};
    struct api_versions_response response;

    api_versions_response_init(&response);
    response.error_code = error;
    response.api_keys = keys;
    response.api_keys_count = ARRAY_COUNT(keys);
    api_versions_response_encode(w, version, &response);
}

static void write_metadata(struct writer *w, int16_t version)
{
    struct metadata_response_broker broker;
    struct metadata_response_topic topic;
    struct metadata_response response;

    metadata_response_init(&response);
    metadata_response_broker_init(&broker);
    metadata_response_topic_init(&topic);
    broker.node_id = 5;
    broker.host = STR_LIT("127.0.0.1");
    broker.port = 19092;
    topic.name = STR_LIT("orders");
    response.brokers = &broker;
    response.brokers_count = 1;
    response.topics = &topic;
    response.topics_count = 1;
    metadata_response_encode(w, version, &response);
}

/* Answers one request. False: the connection is to be closed. */
static bool answer(int fd, enum answer what, const struct request_header *h,
                   struct arena *arena)
{
    const struct api_info *api = api_find(h->request_api_key);
    int16_t version = h->request_api_version;
    struct writer w;

    writer_init(&w, arena, 256);
    if (what == ANSWER_HUGE || what == ANSWER_NEGATIVE) {
        writer_i32(&w, what == ANSWER_HUGE ? INT32_MAX : -1);
        send_all(fd, &w);
        return true;
    }
    writer_frame_open(&w);
    if (what == ANSWER_OLD_VERSIONS && version > 0) {
        envelope_write_response(&w, api, 0, h->correlation_id);
        write_versions(&w, 0, ERR_UNSUPPORTED_VERSION);
    } else {
        envelope_write_response(&w, api, version,
                                what == ANSWER_OTHER ? -7 : h->correlation_id);
        if (what == ANSWER_METADATA) {
            write_metadata(&w, version);
        } else if (what == ANSWER_SHORT) {
            writer_i32(&w, 0);
        } else {
            write_versions(&w, version, 0);
        }
    }
    if (writer_frame_close(&w) == ERR_NONE) {
        send_all(fd, &w);
    }
    return true;
}

static void *serve(void *arg)
{
    struct broker *broker = arg;
    struct arena arena = {0};
    int fd = -1;

    for (size_t i = 0; i < broker->count; i++) {
        struct request_header header;
        struct reader r;
        uint8_t size[4];
        uint8_t *frame;

        if (fd < 0) {
            fd = accept(broker->listener, NULL, NULL);
        }
        if (!read_all(fd, size, sizeof(size))) {
            break;
        }
        frame = arena_raw(&arena, bytes_get_u32(size));
        if (!read_all(fd, frame, bytes_get_u32(size))) {
            break;
        }
        reader_init(&r, frame, bytes_get_u32(size));
        if (envelope_read_request(&r, &header)) {
            break;
        }
        if (broker->script[i] == ANSWER_CLOSE) {
            close(fd);
            fd = -1;
        } else if (broker->script[i] != ANSWER_SILENCE) {
            answer(fd, broker->script[i], &header, &arena);
        }
    }
    if (fd >= 0) {
        (void)!read(fd, (uint8_t[1]){0}, 1); /* until the client hangs up */
        close(fd);
    }
    arena_reset(&arena);
    return NULL;
}

static void broker_start(struct broker *broker, const enum answer *script,
                         size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);

    broker->script = script;
    broker->count = count;
    broker->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(broker->listener, (struct sockaddr *)&at, sizeof(at)),
                     0);
    assert_int_equal(listen(broker->listener, 4), 0);
    assert_int_equal(
        getsockname(broker->listener, (struct sockaddr *)&at, &bytes), 0);
    snprintf(broker->address, sizeof(broker->address), "127.0.0.1:%u",
             ntohs(at.sin_port));
    assert_int_equal(pthread_create(&broker->thread, NULL, serve, broker), 0);
}

/* The client goes first; a broker that still waits for one is told to stop. */
static void broker_end(struct broker *broker, struct client *client)
{
    client_close(client);
    shutdown(broker->listener, SHUT_RDWR);
    pthread_join(broker->thread, NULL);
    close(broker->listener);
}

/* Plays the script to a client that asks for metadata; gives what it got. */
static enum err ask(const enum answer *script, size_t count, struct why *why)
{
    struct metadata_response response;
    struct arena arena = {0};
    struct broker broker;
    struct client *client;
    enum err err;

    broker_start(&broker, script, count);
    assert_int_equal(client_open(broker.address, &client, why), ERR_NONE);
    err = client_metadata(client, &all_topics, &arena, &response, why);
    if (!err) {
        assert_int_equal(response.topics_count, 1);
        assert_true(str_eq(response.topics[0].name, STR_LIT("orders")));
    }
    broker_end(&broker, client);
    arena_reset(&arena);
    return err;
}

#define ASK(why, ...)                                                          \
    ask((const enum answer[]){__VA_ARGS__},                                    \
        ARRAY_COUNT(((const enum answer[]){__VA_ARGS__})), why)

static void versions_are_agreed_on_before_the_first_request(void **state)
{
    struct why why = {{0}};

    assert_int_equal(ASK(&why, ANSWER_VERSIONS, ANSWER_METADATA), ERR_NONE);
}

static void an_old_broker_is_asked_again_in_version_0(void **state)
{
    struct why why = {{0}};

    assert_int_equal(
        ASK(&why, ANSWER_OLD_VERSIONS, ANSWER_OLD_VERSIONS, ANSWER_METADATA),
        ERR_NONE);
}

static void a_connection_that_ends_is_told(void **state)
{
    struct why why = {{0}};

    assert_int_equal(ASK(&why, ANSWER_CLOSE), ERR_CLOSED);
    assert_non_null(strstr(why.text, "closed the connection"));
    assert_int_equal(ASK(&why, ANSWER_VERSIONS, ANSWER_CLOSE), ERR_CLOSED);
}

static void what_is_no_kafka_is_told(void **state)
{
    struct why why = {{0}};

    assert_int_equal(ASK(&why, ANSWER_HUGE), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "does not speak Kafka's protocol"));
    assert_int_equal(ASK(&why, ANSWER_NEGATIVE), ERR_MALFORMED);
    assert_int_equal(ASK(&why, ANSWER_OTHER), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "answered something else"));
    assert_int_equal(ASK(&why, ANSWER_VERSIONS, ANSWER_SHORT), ERR_MALFORMED);
    assert_non_null(strstr(why.text, "sent a damaged Metadata answer"));
}

static void nobody_there_is_told_with_what_to_do(void **state)
{
    struct metadata_response response;
    struct arena arena = {0};
    struct why why = {{0}};
    struct client *client;
    char *server = mem_printf("127.0.0.1:%u", fixture_port());
    char *expected = mem_printf("nothing answers at %s; start a broker with "
                                "`tidemark serve` or name one with --server",
                                server);

    assert_int_equal(client_open(server, &client, &why), ERR_NONE);
    assert_int_equal(
        client_metadata(client, &all_topics, &arena, &response, &why),
        ERR_CLOSED);
    assert_string_equal(why.text, expected);
    client_close(client);
    mem_free(server);
    mem_free(expected);
}

static void the_second_server_is_asked_when_the_first_is_down(void **state)
{
    static const enum answer script[] = {ANSWER_VERSIONS, ANSWER_METADATA};
    struct metadata_response response;
    struct arena arena = {0};
    struct why why = {{0}};
    struct broker broker;
    struct client *client;
    char *servers;

    broker_start(&broker, script, ARRAY_COUNT(script));
    servers = mem_printf("127.0.0.1:%u,%s", fixture_port(), broker.address);
    assert_int_equal(client_open(servers, &client, &why), ERR_NONE);
    assert_int_equal(
        client_metadata(client, &all_topics, &arena, &response, &why),
        ERR_NONE);
    broker_end(&broker, client);
    mem_free(servers);
    arena_reset(&arena);
}

static void a_request_that_the_broker_lacks_is_told(void **state)
{
    static const enum answer script[] = {ANSWER_VERSIONS};
    struct arena arena = {0};
    struct why why = {{0}};
    struct broker broker;
    struct client *client;
    struct exchange x = {.arena = &arena};

    broker_start(&broker, script, ARRAY_COUNT(script));
    assert_int_equal(client_open(broker.address, &client, &why), ERR_NONE);
    assert_int_equal(
        client_exchange(client, CLIENT_ANY, &x, API_JOIN_GROUP, 5, &why),
        ERR_UNSUPPORTED);
    assert_non_null(strstr(why.text, "does not offer JoinGroup"));
    assert_int_equal(
        client_exchange(client, CLIENT_ANY, &x, API_PRODUCE, 2, &why),
        ERR_UNSUPPORTED);
    assert_int_equal(
        client_exchange(client, CLIENT_ANY, &x, API_PRODUCE, 9, &why),
        ERR_NONE);
    assert_int_equal(x.version, 3);
    assert_int_equal(client_exchange(client, 99, &x, API_PRODUCE, 9, &why),
                     ERR_CLOSED);
    assert_non_null(strstr(why.text, "broker 99 is unknown"));
    broker_end(&broker, client);
    arena_reset(&arena);
}

static void silence_ends_with_the_time_out_or_with_stop(void **state)
{
    static const enum answer script[] = {ANSWER_VERSIONS, ANSWER_SILENCE,
                                         ANSWER_SILENCE};
    static const volatile bool stop = true;
    struct arena arena = {0};
    struct why why = {{0}};
    struct broker broker;
    struct client *client;
    struct exchange x = {.arena = &arena};

    broker_start(&broker, script, ARRAY_COUNT(script));
    assert_int_equal(client_open(broker.address, &client, &why), ERR_NONE);
    assert_int_equal(
        client_exchange(client, CLIENT_ANY, &x, API_METADATA, 9, &why),
        ERR_NONE);
    x.timeout_ms = 50;
    assert_int_equal(exchange_run(&x, &why), ERR_TIMEOUT);
    assert_non_null(strstr(why.text, "does not answer in time"));
    client_set_stop(client, &stop);
    assert_int_equal(
        client_exchange(client, CLIENT_ANY, &x, API_METADATA, 9, &why),
        ERR_CANCELLED);
    broker_end(&broker, client);
    arena_reset(&arena);
}

static void a_server_must_be_a_host_and_a_port(void **state)
{
    static const char *const bad[] = {"",        ",",   ":9092", "h:0",
                                      "h:70000", "h:x", "a:1,b:"};
    static const char *const good[] = {"h", "h:1", "[::1]:9092", "[::1]",
                                       "a:1,b:2"};
    struct client *client;
    struct why why = {{0}};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(client_open(bad[i], &client, &why), ERR_INVALID);
        assert_null(client);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(client_open(good[i], &client, &why), ERR_NONE);
        client_close(client);
    }
}

static void codes_that_nobody_knows_are_unknown_errors(void **state)
{
    assert_int_equal(client_error(0), ERR_NONE);
    assert_int_equal(client_error(3), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(client_error(-1), ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(client_error(999), ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(client_error(1001), ERR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(client_error(INT16_MIN), ERR_UNKNOWN_SERVER_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_agreed_on_before_the_first_request),
        cmocka_unit_test(an_old_broker_is_asked_again_in_version_0),
        cmocka_unit_test(a_connection_that_ends_is_told),
        cmocka_unit_test(what_is_no_kafka_is_told),
        cmocka_unit_test(nobody_there_is_told_with_what_to_do),
        cmocka_unit_test(the_second_server_is_asked_when_the_first_is_down),
        cmocka_unit_test(a_request_that_the_broker_lacks_is_told),
        cmocka_unit_test(silence_ends_with_the_time_out_or_with_stop),
        cmocka_unit_test(a_server_must_be_a_host_and_a_port),
        cmocka_unit_test(codes_that_nobody_knows_are_unknown_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
