/* What requests mean, over real sockets, a real log and a real quorum. */
#include "unit/api/api_world.h"

#include "wire/record.h"

#include <netinet/tcp.h>

static struct api_world world;

static int open_world(void **state)
{
    world_open(&world, 2);
    return 0;
}

static int close_world(void **state)
{
    world_close(&world);
    return 0;
}

/* ---- topics ---- */

/* What is said of a new topic with these configs. */
static struct create_topics_response_topic
ask_create(struct client *client, const char *name, int32_t partitions,
           struct create_topics_request_config *configs, int32_t count,
           bool validate_only)
{
    struct create_topics_request_topic topic = {.name = str_of(name),
                                                .num_partitions = partitions,
                                                .replication_factor = -1,
                                                .configs = configs,
                                                .configs_count = count};
    struct create_topics_request in = {.topics = &topic,
                                       .topics_count = 1,
                                       .timeout_ms = 1000,
                                       .validate_only = validate_only};
    struct create_topics_response out;

    must(client_ask(client, API_CREATE_TOPICS, 7, create_topics, &in, &out));
    must(out.topics_count == 1);
    return out.topics[0];
}

static void a_name_twice_in_create_topics_is_refused_once(void **state)
{
    struct client client = client_open(&world);
    struct create_topics_request_topic topics[3] = {
        {.name = STR_LIT("dup"), .num_partitions = 1, .replication_factor = 1},
        {.name = STR_LIT("solo"), .num_partitions = 1, .replication_factor = 1},
        {.name = STR_LIT("dup"), .num_partitions = 2, .replication_factor = 1}};
    struct create_topics_request in = {
        .topics = topics, .topics_count = 3, .timeout_ms = 1000};
    struct create_topics_response out;

    assert_true(
        client_ask(&client, API_CREATE_TOPICS, 7, create_topics, &in, &out));
    assert_int_equal(out.topics_count, 2);
    assert_int_equal(out.topics[0].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(out.topics[1].error_code, ERR_NONE);
    client_close(&client);
}

static void validate_only_says_what_would_be_made(void **state)
{
    struct client client = client_open(&world);
    struct create_topics_request_config config = {
        .name = STR_LIT("retention.ms"), .value = STR_LIT("5000")};
    struct create_topics_response_topic out =
        ask_create(&client, "would-be", 3, &config, 1, true);
    bool found = false;

    assert_int_equal(out.error_code, ERR_NONE);
    assert_int_equal(out.num_partitions, 3);
    assert_int_equal(out.replication_factor, 1);
    assert_false(uuid_is_zero(out.topic_id));
    for (int32_t i = 0; i < out.configs_count; i++) {
        if (str_eq(out.configs[i].name, config.name)) {
            found = str_eq(out.configs[i].value, config.value) &&
                    out.configs[i].config_source == 1;
        }
    }
    assert_true(found);
    assert_int_equal(client_delete(&client, "would-be"),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    client_close(&client);
}

static void a_config_twice_has_its_last_value(void **state)
{
    struct client client = client_open(&world);
    struct create_topics_request_config configs[2] = {
        {.name = STR_LIT("retention.ms"), .value = STR_LIT("1000")},
        {.name = STR_LIT("retention.ms"), .value = STR_LIT("2000")}};
    struct create_topics_response_topic out =
        ask_create(&client, "twice", 1, configs, 2, false);

    assert_int_equal(out.error_code, ERR_NONE);
    for (int32_t i = 0; i < out.configs_count; i++) {
        if (str_eq(out.configs[i].name, configs[0].name)) {
            assert_true(str_eq(out.configs[i].value, STR_LIT("2000")));
        }
    }
    client_close(&client);
}

static void too_many_topics_in_one_request_are_refused(void **state)
{
    enum { COUNT = 10001 };
    struct client client = client_open(&world);
    struct arena arena = {0};
    struct create_topics_request_topic *topics =
        arena_array(&arena, COUNT, sizeof(*topics));
    struct create_topics_request in = {
        .topics = topics, .topics_count = COUNT, .timeout_ms = 1000};
    struct create_topics_response out;

    for (int i = 0; i < COUNT; i++) {
        topics[i] = (struct create_topics_request_topic){
            .name = arena_printf(&arena, "many-%d", i),
            .num_partitions = 1,
            .replication_factor = -1};
    }
    assert_true(
        client_ask(&client, API_CREATE_TOPICS, 7, create_topics, &in, &out));
    assert_int_equal(out.topics_count, COUNT);
    assert_int_equal(out.topics[COUNT - 1].error_code, ERR_POLICY_VIOLATION);
    assert_int_equal(client_delete(&client, "many-0"),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    arena_reset(&arena);
    client_close(&client);
}

static void delete_topics_refuses_what_is_unclear(void **state)
{
    struct client client = client_open(&world);
    struct uuid id;
    struct delete_topics_request_topic topics[5] = {{.name = STR_LIT("gone")},
                                                    {.name = STR_LIT("gone")},
                                                    {.name = STR_NULL}};
    struct delete_topics_request in = {
        .topics = topics, .topics_count = 5, .timeout_ms = 1000};
    struct delete_topics_response out;

    assert_int_equal(client_create(&client, "gone", 1, &id), ERR_NONE);
    topics[3] = (struct delete_topics_request_topic){.name = STR_LIT("other"),
                                                     .topic_id = id};
    topics[4] = (struct delete_topics_request_topic){.topic_id = {{9}}};
    assert_true(
        client_ask(&client, API_DELETE_TOPICS, 6, delete_topics, &in, &out));
    assert_int_equal(out.responses_count, 4);
    assert_int_equal(out.responses[0].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(out.responses[1].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(out.responses[2].error_code, ERR_INVALID_REQUEST);
    assert_int_equal(out.responses[3].error_code, ERR_UNKNOWN_TOPIC_ID);
    topics[1] = (struct delete_topics_request_topic){.topic_id = id};
    in.topics_count = 2; /* once by its name, once by its id */
    assert_true(
        client_ask(&client, API_DELETE_TOPICS, 6, delete_topics, &in, &out));
    assert_int_equal(out.responses_count, 1);
    assert_int_equal(out.responses[0].error_code, ERR_INVALID_REQUEST);
    topics[0] = (struct delete_topics_request_topic){.topic_id = id};
    in.topics_count = 1;
    assert_true(
        client_ask(&client, API_DELETE_TOPICS, 6, delete_topics, &in, &out));
    assert_int_equal(out.responses[0].error_code, ERR_NONE);
    assert_true(str_eq(out.responses[0].name, STR_LIT("gone")));
    client_close(&client);
}

/* ---- metadata ---- */

static struct metadata_response ask_metadata(struct client *client,
                                             const char *const *names,
                                             int32_t count, bool create)
{
    struct metadata_request_topic topics[200];
    struct metadata_request in;
    struct metadata_response out;

    metadata_request_init(&in);
    in.topics = topics;
    in.topics_count = count;
    in.allow_auto_topic_creation = create;
    for (int32_t i = 0; i < count; i++) {
        topics[i] = (struct metadata_request_topic){.name = str_of(names[i])};
    }
    must(client_ask(client, API_METADATA, 12, metadata, &in, &out));
    return out;
}

static void a_topic_is_answered_once_however_often_it_is_named(void **state)
{
    static const char *const names[] = {"once", "once", "absent", "once",
                                        "absent"};
    struct client client = client_open(&world);
    struct metadata_response out;

    assert_int_equal(client_create(&client, "once", 7, NULL), ERR_NONE);
    out = ask_metadata(&client, names, 5, false);
    assert_int_equal(out.topics_count, 2);
    assert_int_equal(out.topics[0].partitions_count, 7);
    assert_int_equal(out.topics[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    client_close(&client);
}

static void a_topic_that_is_asked_for_makes_itself(void **state)
{
    static const char *const names[] = {"self-made", "not a name",
                                        "__consumer_offsets", "self-made"};
    struct client client = client_open(&world);
    struct metadata_response out = ask_metadata(&client, names, 4, false);

    assert_int_equal(out.topics[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    out = ask_metadata(&client, names, 4, true);
    assert_int_equal(out.topics_count, 3);
    assert_int_equal(out.topics[0].error_code, ERR_NONE);
    assert_int_equal(out.topics[0].partitions_count, 1);
    assert_int_equal(out.topics[0].partitions[0].leader_id, 1);
    assert_int_equal(out.topics[1].error_code, ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(out.topics[2].error_code, ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(client_produce(&client, "self-made", 0, 1, 10, NULL),
                     ERR_NONE);
    client_close(&client);
}

static void one_request_makes_a_hundred_topics_at_most(void **state)
{
    struct client client = client_open(&world);
    struct metadata_response out;
    char text[150][24];
    const char *names[150];
    int made = 0;

    for (int i = 0; i < 150; i++) {
        snprintf(text[i], sizeof(text[i]), "auto-%d", i);
        names[i] = text[i];
    }
    out = ask_metadata(&client, names, 150, true);
    for (int i = 0; i < 150; i++) {
        made += out.topics[i].error_code == ERR_NONE;
        assert_true(out.topics[i].error_code == ERR_NONE ||
                    out.topics[i].error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    assert_int_equal(made, 100);
    out = ask_metadata(&client, names, 150, true); /* clients ask again */
    for (int i = 0; i < 150; i++) {
        assert_int_equal(out.topics[i].error_code, ERR_NONE);
    }
    client_close(&client);
}

/* ---- produce ---- */

static void what_was_produced_is_fetched(void **state)
{
    struct client client = client_open(&world);
    struct fetch_response_partition p;
    int64_t offset;

    assert_int_equal(client_create(&client, "there", 3, NULL), ERR_NONE);
    assert_int_equal(client_produce(&client, "there", 2, 5, 100, &offset),
                     ERR_NONE);
    assert_int_equal(offset, 0);
    assert_int_equal(client_produce(&client, "there", 2, 5, 100000, &offset),
                     ERR_NONE);
    assert_int_equal(offset, 5);
    client_send_fetch(&client, "there", 2, 0, 1, 100);
    p = client_fetched(&client);
    assert_int_equal(p.error_code, ERR_NONE);
    assert_int_equal(p.high_watermark, 10);
    assert_int_equal(
        batch_bytes(p.records.ptr) +
            batch_bytes(p.records.ptr + batch_bytes(p.records.ptr)),
        p.records.bytes);
    client_send_fetch(&client, "there", 2, 7, 1, 100); /* inside a batch */
    p = client_fetched(&client);
    assert_true(p.records.bytes > 500000);
    client_send_fetch(&client, "there", 2, 11, 1, 100);
    p = client_fetched(&client);
    assert_int_equal(p.error_code, ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(p.high_watermark, -1);
    client_close(&client);
}

static enum err produce_err(struct client *client, const char *topic,
                            int32_t partition, int16_t acks)
{
    client_send_produce(client, topic, partition, 1, 10, acks);
    return client_produced(client, NULL);
}

static void produce_refuses_by_kafkas_names(void **state)
{
    struct client client = client_open(&world);
    struct create_topics_request_config config = {
        .name = STR_LIT("min.insync.replicas"), .value = STR_LIT("2")};

    assert_int_equal(client_create(&client, "one", 1, NULL), ERR_NONE);
    assert_int_equal(produce_err(&client, "one", 1, -1),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(produce_err(&client, "none", 0, -1),
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(produce_err(&client, "__consumer_offsets", 0, -1),
                     ERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(produce_err(&client, "one", 0, 2),
                     ERR_INVALID_REQUIRED_ACKS);
    assert_int_equal(
        ask_create(&client, "two", 1, &config, 1, false).error_code, ERR_NONE);
    assert_int_equal(produce_err(&client, "two", 0, -1),
                     ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(produce_err(&client, "two", 0, 1), ERR_NONE);
    client_close(&client);
}

static void pipelined_produces_are_answered_in_order(void **state)
{
    struct client client = client_open(&world);

    assert_int_equal(client_create(&client, "pipe", 4, NULL), ERR_NONE);
    for (int i = 0; i < 200; i++) {
        client_send_produce(&client, "pipe", i % 4, 1, 100, -1);
    }
    client.correlation_id -= 200;
    for (int i = 0; i < 200; i++) {
        int64_t offset;

        client.correlation_id++;
        assert_int_equal(client_produced(&client, &offset), ERR_NONE);
        assert_int_equal(offset, i / 4);
    }
    client_close(&client);
}

static void without_acks_an_error_closes_and_success_is_silent(void **state)
{
    struct client client = client_open(&world);
    uint8_t byte;

    assert_int_equal(client_create(&client, "silent", 1, NULL), ERR_NONE);
    for (int i = 0; i < 10; i++) {
        client_send_produce(&client, "silent", 0, 1, 10, 0);
    }
    assert_int_equal(client_produce(&client, "silent", 0, 1, 10, NULL),
                     ERR_NONE);
    client_send_produce(&client, "silent", 9, 1, 10, 0);
    assert_false(fixture_receive(client.fd, &byte, 1));
    client_close(&client);
}

/* Sends without waiting, and hangs up: nothing of it is lost. */
static void a_producer_without_acks_may_hang_up(void **state)
{
    struct client client = client_open(&world);
    struct client reader = client_open(&world);
    int64_t until = now_ms() + 10000;
    int64_t end = 0;

    assert_int_equal(client_create(&client, "hang-up", 1, NULL), ERR_NONE);
    for (int i = 0; i < 1000; i++) {
        client_send_produce(&client, "hang-up", 0, 1, 1000, 0);
    }
    client_close(&client);
    while (end < 1000 && now_ms() < until) {
        client_send_fetch(&reader, "hang-up", 0, 0, 1, 10);
        end = client_fetched(&reader).high_watermark;
    }
    assert_int_equal(end, 1000);
    client_close(&reader);
}

/* ---- fetch ---- */

static void a_fetch_waits_for_its_bytes_or_its_time(void **state)
{
    struct client reader = client_open(&world);
    struct client writer = client_open(&world);
    struct fetch_response_partition p;
    int64_t begun;

    assert_int_equal(client_create(&writer, "slow", 1, NULL), ERR_NONE);
    begun = now_ms();
    client_send_fetch(&reader, "slow", 0, 0, 1, 300);
    p = client_fetched(&reader);
    assert_int_equal(p.records.bytes, 0);
    assert_true(now_ms() - begun >= 290);
    client_send_fetch(&reader, "slow", 0, 0, 1, 60000);
    world_await_step(&world, "wait", 1);
    begun = now_ms();
    assert_int_equal(client_produce(&writer, "slow", 0, 1, 100, NULL),
                     ERR_NONE);
    p = client_fetched(&reader);
    assert_true(p.records.bytes > 100);
    assert_true(now_ms() - begun < 50000); /* not only when it was over */
    client_send_fetch(&reader, "slow", 0, 1, 1000, 60000);
    for (int i = 0; i < 3; i++) { /* 500 bytes each: after the second */
        assert_int_equal(client_produce(&writer, "slow", 0, 1, 500, NULL),
                         ERR_NONE);
    }
    p = client_fetched(&reader);
    assert_true(p.records.bytes >= 1000);
    client_close(&reader);
    client_close(&writer);
}

/* Nothing else starts on its loop as long as it waits. It is read together with
 * one that waits, before memory is over. */
static void a_fetch_does_not_wait_while_memory_is_over_its_limit(void **state)
{
    struct client client = client_open(&world);
    struct fetch_response_partition p;
    int64_t begun;
    int cork = 1;

    assert_int_equal(client_create(&client, "poor", 1, NULL), ERR_NONE);
    setsockopt(client.fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork));
    client_send_fetch(&client, "poor", 0, 0, 1, 2000);
    client_send_fetch(&client, "poor", 0, 0, 1, 20000);
    cork = 0;
    setsockopt(client.fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork));
    world_await_step(&world, "wait", 1);
    budget_charge(&world.budget, UINT64_C(2) << 30);
    assert_false(str_is_null(client_frame(&client)));
    begun = now_ms();
    p = client_fetched(&client);
    budget_give(&world.budget, UINT64_C(2) << 30);
    assert_int_equal(p.records.bytes, 0);
    assert_true(now_ms() - begun < 15000);
    client_close(&client);
}

/* More than an answer may have is as much as it may have. */
static void min_bytes_beyond_max_bytes_is_max_bytes(void **state)
{
    struct client client = client_open(&world);
    struct fetch_request_partition p = {.fetch_offset = 0,
                                        .current_leader_epoch = -1,
                                        .last_fetched_epoch = -1,
                                        .partition_max_bytes = 1 << 20};
    struct fetch_request_topic t = {
        .topic = STR_LIT("greedy"), .partitions = &p, .partitions_count = 1};
    struct fetch_request in;
    struct fetch_response out;
    int64_t begun;

    assert_int_equal(client_create(&client, "greedy", 1, NULL), ERR_NONE);
    assert_int_equal(client_produce(&client, "greedy", 0, 1, 2000, NULL),
                     ERR_NONE);
    fetch_request_init(&in);
    in.max_wait_ms = 60000;
    in.min_bytes = INT32_MAX;
    in.max_bytes = 1000;
    in.topics = &t;
    in.topics_count = 1;
    begun = now_ms();
    assert_true(client_ask(&client, API_FETCH, 12, fetch, &in, &out));
    assert_true(now_ms() - begun < 50000); /* it did not wait */
    assert_true(out.responses[0].partitions[0].records.bytes > 2000);
    client_close(&client);
}

static void a_waiting_fetch_ends_when_its_topic_is_deleted(void **state)
{
    struct client reader = client_open(&world);
    struct client admin = client_open(&world);
    struct fetch_response_partition p;

    assert_int_equal(client_create(&admin, "doomed", 4, NULL), ERR_NONE);
    client_send_fetch(&reader, "doomed", 3, 0, 1, 60000);
    world_await_step(&world, "wait", 1);
    assert_int_equal(client_delete(&admin, "doomed"), ERR_NONE);
    p = client_fetched(&reader);
    assert_true(p.error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION ||
                p.error_code == ERR_NOT_LEADER_OR_FOLLOWER);
    client_close(&reader);
    client_close(&admin);
}

static void a_client_that_hangs_up_ends_its_wait(void **state)
{
    struct client admin = client_open(&world);

    assert_int_equal(client_create(&admin, "left", 1, NULL), ERR_NONE);
    for (int i = 0; i < 20; i++) {
        struct client reader = client_open(&world);

        client_send_fetch(&reader, "left", 0, 0, 1, 100000);
        world_await_step(&world, "wait", 1);
        client_close(&reader);
        world_await_step(&world, "wait", 0);
    }
    for (int i = 0; i < 1000 && net_connections(world.net) > 1; i++) {
        usleep(5000);
    }
    assert_int_equal(net_connections(world.net), 1);
    client_close(&admin);
}

/* A thousand partitions of which nothing is new cost less than 100 bytes. */
static void a_session_tells_only_what_is_new(void **state)
{
    enum { COUNT = 1000 };
    struct client client = client_open(&world);
    struct arena arena = {0};
    struct fetch_request_partition *p = arena_array(&arena, COUNT, sizeof(*p));
    struct fetch_request_topic t = {.partitions = p, .partitions_count = COUNT};
    struct fetch_request in;
    struct fetch_response out;
    int32_t id;

    assert_int_equal(client_create(&client, "wide", COUNT, &t.topic_id),
                     ERR_NONE);
    for (int32_t i = 0; i < COUNT; i++) {
        p[i] = (struct fetch_request_partition){.partition = i,
                                                .current_leader_epoch = -1,
                                                .last_fetched_epoch = -1,
                                                .log_start_offset = -1,
                                                .partition_max_bytes = 1000};
    }
    fetch_request_init(&in);
    in.session_epoch = 0;
    in.min_bytes = 1;
    in.max_bytes = 1 << 20;
    in.topics = &t;
    in.topics_count = 1;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.error_code, ERR_NONE);
    assert_int_equal(out.responses[0].partitions_count, COUNT);
    id = out.session_id;
    assert_true(id > 0);
    in.session_id = id;
    in.topics_count = 0;
    for (int32_t epoch = 1; epoch <= 3; epoch++) {
        in.session_epoch = epoch;
        assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
        assert_int_equal(out.error_code, ERR_NONE);
        assert_int_equal(out.session_id, id);
        assert_int_equal(out.responses_count, 0);
        assert_true(client.answer_bytes < 100);
    }
    assert_int_equal(client_produce(&client, "wide", 500, 1, 10, NULL),
                     ERR_NONE);
    in.session_epoch = 4;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.responses_count, 1);
    assert_int_equal(out.responses[0].partitions_count, 1);
    assert_int_equal(out.responses[0].partitions[0].partition_index, 500);
    assert_int_equal(out.responses[0].partitions[0].high_watermark, 1);
    in.session_epoch = 4; /* once is enough */
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.error_code, ERR_INVALID_FETCH_SESSION_EPOCH);
    in.session_epoch = -1;
    in.topics_count = 1;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.session_id, 0);
    in.session_epoch = 5;
    in.topics_count = 0;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.error_code, ERR_FETCH_SESSION_ID_NOT_FOUND);
    arena_reset(&arena);
    client_close(&client);
}

/* An error is told again and again, its end too. */
static void a_session_tells_of_errors_and_of_their_end(void **state)
{
    struct client client = client_open(&world);
    struct fetch_request_partition p = {.current_leader_epoch = -1,
                                        .last_fetched_epoch = -1,
                                        .fetch_offset = 100,
                                        .partition_max_bytes = 1000};
    struct fetch_request_topic t = {.partitions = &p, .partitions_count = 1};
    struct fetch_request in;
    struct fetch_response out;

    assert_int_equal(client_create(&client, "fault", 1, &t.topic_id), ERR_NONE);
    fetch_request_init(&in);
    in.session_epoch = 0;
    in.min_bytes = 1;
    in.max_bytes = 1 << 20;
    in.topics = &t;
    in.topics_count = 1;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    in.session_id = out.session_id;
    in.topics_count = 0;
    for (in.session_epoch = 1; in.session_epoch <= 2; in.session_epoch++) {
        assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
        assert_int_equal(out.responses_count, 1);
        assert_int_equal(out.responses[0].partitions[0].error_code,
                         ERR_OFFSET_OUT_OF_RANGE);
    }
    p.fetch_offset = 0;
    in.topics_count = 1;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.responses_count, 1);
    assert_int_equal(out.responses[0].partitions[0].error_code, ERR_NONE);
    in.session_epoch++;
    in.topics_count = 0;
    assert_true(client_ask(&client, API_FETCH, 17, fetch, &in, &out));
    assert_int_equal(out.responses_count, 0);
    client_close(&client);
}

/* ---- offsets ---- */

static struct list_offsets_response_partition
list_one(struct client *client, const char *topic, int64_t timestamp)
{
    struct list_offsets_request_partition p = {.current_leader_epoch = -1,
                                               .timestamp = timestamp};
    struct list_offsets_request_topic t = {
        .name = str_of(topic), .partitions = &p, .partitions_count = 1};
    struct list_offsets_request in = {
        .replica_id = -1, .topics = &t, .topics_count = 1};
    struct list_offsets_response out;

    must(client_ask(client, API_LIST_OFFSETS, 8, list_offsets, &in, &out));
    must(out.topics_count == 1 && out.topics[0].partitions_count == 1);
    return out.topics[0].partitions[0];
}

static void offsets_are_listed_by_time_and_by_place(void **state)
{
    struct client client = client_open(&world);

    assert_int_equal(client_create(&client, "listed", 1, NULL), ERR_NONE);
    assert_int_equal(client_produce(&client, "listed", 0, 5, 10, NULL),
                     ERR_NONE);
    assert_int_equal(list_one(&client, "listed", -1).offset, 5);
    assert_int_equal(list_one(&client, "listed", -2).offset, 0);
    assert_int_equal(list_one(&client, "listed", -2).leader_epoch, 0);
    assert_int_equal(list_one(&client, "listed", -3).offset, 4);
    assert_int_equal(list_one(&client, "listed", 1).offset, 0);
    assert_int_equal(list_one(&client, "listed", INT64_MAX).offset, -1);
    assert_int_equal(list_one(&client, "listed", -9).error_code,
                     ERR_UNSUPPORTED_VERSION);
    assert_int_equal(list_one(&client, "unlisted", -1).error_code,
                     ERR_UNKNOWN_TOPIC_OR_PARTITION);
    client_close(&client);
}

static void a_partition_listed_twice_is_refused_once(void **state)
{
    struct client client = client_open(&world);
    struct list_offsets_request_partition p[3] = {
        {.partition_index = 0, .current_leader_epoch = -1, .timestamp = 5},
        {.partition_index = 1, .current_leader_epoch = -1, .timestamp = 5},
        {.partition_index = 0, .current_leader_epoch = -1, .timestamp = -1}};
    struct list_offsets_request_topic t = {.name = STR_LIT("listed-twice"),
                                           .partitions = p,
                                           .partitions_count = 3};
    struct list_offsets_request in = {
        .replica_id = -1, .topics = &t, .topics_count = 1};
    struct list_offsets_response out;

    assert_int_equal(client_create(&client, "listed-twice", 2, NULL), ERR_NONE);
    assert_true(
        client_ask(&client, API_LIST_OFFSETS, 8, list_offsets, &in, &out));
    assert_int_equal(out.topics[0].partitions_count, 2);
    assert_int_equal(out.topics[0].partitions[0].error_code,
                     ERR_INVALID_REQUEST);
    assert_int_equal(out.topics[0].partitions[1].error_code, ERR_NONE);
    client_close(&client);
}

static void the_end_of_an_epoch_is_the_end_of_the_log(void **state)
{
    struct client client = client_open(&world);
    struct offset_for_leader_epoch_request_partition p = {
        .current_leader_epoch = -1};
    struct offset_for_leader_epoch_request_topic t = {
        .topic = STR_LIT("epochs"), .partitions = &p, .partitions_count = 1};
    struct offset_for_leader_epoch_request in = {
        .replica_id = -1, .topics = &t, .topics_count = 1};
    struct offset_for_leader_epoch_response out;

    assert_int_equal(client_create(&client, "epochs", 1, NULL), ERR_NONE);
    assert_int_equal(client_produce(&client, "epochs", 0, 3, 10, NULL),
                     ERR_NONE);
    assert_true(client_ask(&client, API_OFFSET_FOR_LEADER_EPOCH, 4,
                           offset_for_leader_epoch, &in, &out));
    assert_int_equal(out.topics[0].partitions[0].leader_epoch, 0);
    assert_int_equal(out.topics[0].partitions[0].end_offset, 3);
    p.leader_epoch = 7;
    assert_true(client_ask(&client, API_OFFSET_FOR_LEADER_EPOCH, 4,
                           offset_for_leader_epoch, &in, &out));
    assert_int_equal(out.topics[0].partitions[0].leader_epoch, -1);
    p.current_leader_epoch = 7;
    assert_true(client_ask(&client, API_OFFSET_FOR_LEADER_EPOCH, 4,
                           offset_for_leader_epoch, &in, &out));
    assert_int_equal(out.topics[0].partitions[0].error_code,
                     ERR_UNKNOWN_LEADER_EPOCH);
    client_close(&client);
}

/* ---- producer ids ---- */

/* Blocks of five: the next one is on disk before its first id is given. */
static void no_producer_id_is_given_twice(void **state)
{
    enum { CLIENTS = 4, EACH = 20 };
    struct client clients[CLIENTS];
    struct init_producer_id_request in;
    int64_t ids[CLIENTS * EACH];
    size_t count = 0;

    init_producer_id_request_init(&in);
    in.transactional_id = STR_NULL;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_open(&world);
    }
    for (int n = 0; n < EACH; n++) {
        for (int i = 0; i < CLIENTS; i++) {
            client_tell(&clients[i], API_INIT_PRODUCER_ID, 4, init_producer_id,
                        &in);
        }
        for (int i = 0; i < CLIENTS; i++) {
            struct init_producer_id_response out;

            assert_true(client_hear(&clients[i], API_INIT_PRODUCER_ID, 4,
                                    init_producer_id, &out));
            assert_int_equal(out.error_code, ERR_NONE);
            assert_int_equal(out.producer_epoch, 0);
            for (size_t j = 0; j < count; j++) {
                assert_int_not_equal(ids[j], out.producer_id);
            }
            ids[count++] = out.producer_id;
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_close(&clients[i]);
    }
}

static enum err init_with(struct client *client, struct str transactional_id,
                          int64_t id, int16_t epoch)
{
    struct init_producer_id_request in;
    struct init_producer_id_response out;

    init_producer_id_request_init(&in);
    in.transactional_id = transactional_id;
    in.producer_id = id;
    in.producer_epoch = epoch;
    must(client_ask(client, API_INIT_PRODUCER_ID, 4, init_producer_id, &in,
                    &out));
    return (enum err)out.error_code;
}

static void transactional_ids_and_halves_are_refused(void **state)
{
    struct client client = client_open(&world);

    assert_int_equal(init_with(&client, STR_NULL, 5, 3), ERR_NONE);
    assert_int_equal(init_with(&client, STR_NULL, 5, -1), ERR_INVALID_REQUEST);
    assert_int_equal(init_with(&client, STR_LIT(""), -1, -1),
                     ERR_INVALID_REQUEST);
    assert_int_equal(init_with(&client, STR_LIT("t"), -1, -1),
                     ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    client_close(&client);
}

/* ---- memory ---- */

/* Three bytes on the wire, some hundred in memory: refused before it is. */
static void a_request_that_swells_beyond_measure_is_closed(void **state)
{
    struct client client = client_open(&world);
    uint32_t count = 2000000;
    size_t bytes = 14 + 4 + (size_t)count * 2;
    uint8_t *frame = mem_zalloc(4 + bytes);
    uint8_t byte;

    bytes_put_u32(frame, (uint32_t)bytes);
    bytes_put_i16(frame + 4, API_METADATA);
    bytes_put_i16(frame + 6, 1);
    bytes_put_i32(frame + 8, 1);
    bytes_put_i16(frame + 12, -1);
    bytes_put_u32(frame + 14, count);
    (void)fixture_send(client.fd, frame, 4 + bytes);
    assert_false(fixture_receive(client.fd, &byte, 1));
    mem_free(frame);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_twice_in_create_topics_is_refused_once),
        cmocka_unit_test(validate_only_says_what_would_be_made),
        cmocka_unit_test(a_config_twice_has_its_last_value),
        cmocka_unit_test(too_many_topics_in_one_request_are_refused),
        cmocka_unit_test(delete_topics_refuses_what_is_unclear),
        cmocka_unit_test(a_topic_is_answered_once_however_often_it_is_named),
        cmocka_unit_test(a_topic_that_is_asked_for_makes_itself),
        cmocka_unit_test(one_request_makes_a_hundred_topics_at_most),
        cmocka_unit_test(what_was_produced_is_fetched),
        cmocka_unit_test(produce_refuses_by_kafkas_names),
        cmocka_unit_test(pipelined_produces_are_answered_in_order),
        cmocka_unit_test(without_acks_an_error_closes_and_success_is_silent),
        cmocka_unit_test(a_producer_without_acks_may_hang_up),
        cmocka_unit_test(a_fetch_waits_for_its_bytes_or_its_time),
        cmocka_unit_test(a_fetch_does_not_wait_while_memory_is_over_its_limit),
        cmocka_unit_test(min_bytes_beyond_max_bytes_is_max_bytes),
        cmocka_unit_test(a_waiting_fetch_ends_when_its_topic_is_deleted),
        cmocka_unit_test(a_client_that_hangs_up_ends_its_wait),
        cmocka_unit_test(a_session_tells_only_what_is_new),
        cmocka_unit_test(a_session_tells_of_errors_and_of_their_end),
        cmocka_unit_test(offsets_are_listed_by_time_and_by_place),
        cmocka_unit_test(a_partition_listed_twice_is_refused_once),
        cmocka_unit_test(the_end_of_an_epoch_is_the_end_of_the_log),
        cmocka_unit_test(no_producer_id_is_given_twice),
        cmocka_unit_test(transactional_ids_and_halves_are_refused),
        cmocka_unit_test(a_request_that_swells_beyond_measure_is_closed),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
