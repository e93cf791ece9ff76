/* Four loops, and everything at once: producers with and without acks, fetchers
 * that wait, topics that come and go, metadata, offsets, clients that hang up
 * in the middle. What was acknowledged is there at the end, once, in order. */
#include "unit/api/api_world.h"

#include "wire/record.h"

enum {
    RUN_MS = 4000,
    PRODUCERS = 4,
    PARTITIONS = 8,
};

static struct api_world world;
static _Atomic bool stopping;

struct hand {
    pthread_t thread;
    int number;
    uint64_t seed;
    int64_t acked; /* batches, of producers */
    int64_t done;
};

static bool is_over(void)
{
    return atomic_load(&stopping);
}

/* Appends numbered records to a partition of its own, pipelined. */
static void *producer(void *arg)
{
    struct hand *hand = arg;
    struct client client = client_open(&world);
    int in_flight = 0;

    for (;;) {
        bool over = is_over();

        while (!over && in_flight < 5) {
            client_send_produce(&client, "steady", hand->number, 3, 200, -1);
            in_flight++;
        }
        if (in_flight == 0) {
            break;
        }
        client.correlation_id -= in_flight - 1;
        must(client_produced(&client, NULL) == ERR_NONE);
        client.correlation_id += in_flight - 1;
        in_flight--;
        hand->acked++;
    }
    client_close(&client);
    return NULL;
}

/* Follows a partition from its start and checks that nothing is missing. */
static void *follower(void *arg)
{
    struct hand *hand = arg;
    struct client client = client_open(&world);
    int64_t offset = 0;

    while (!is_over()) {
        struct fetch_response_partition p;
        const uint8_t *at;
        const uint8_t *end;

        client_send_fetch(&client, "steady", hand->number, offset, 1, 50);
        p = client_fetched(&client);
        must(p.error_code == ERR_NONE);
        must(p.high_watermark >= offset);
        at = p.records.ptr;
        end = at + MAX(p.records.bytes, 0);
        while (end - at >= 61 && batch_bytes(at) <= (size_t)(end - at)) {
            struct batch_header header;

            must(batch_header_parse(at, batch_bytes(at), &header) == ERR_NONE);
            must(batch_crc_matches(at, batch_bytes(at)));
            must(header.base_offset == offset);
            offset = batch_last_offset(&header) + 1;
            must(offset <= p.high_watermark);
            at += batch_bytes(at);
        }
        hand->done = offset;
    }
    client_close(&client);
    return NULL;
}

/* Makes a topic, writes to it, deletes it while others read. */
static void *gardener(void *arg)
{
    struct hand *hand = arg;
    struct client client = client_open(&world);
    char name[32];

    while (!is_over()) {
        snprintf(name, sizeof(name), "garden-%d", hand->number % 2);
        enum err err = client_create(&client, name, PARTITIONS, NULL);

        must(err == ERR_NONE || err == ERR_TOPIC_ALREADY_EXISTS);
        for (int i = 0; i < PARTITIONS; i++) {
            client_send_produce(&client, name, i, 1, 100, i % 2 == 0 ? -1 : 1);
        }
        client.correlation_id -= PARTITIONS;
        for (int i = 0; i < PARTITIONS; i++) {
            client.correlation_id++;
            err = client_produced(&client, NULL);
            must(err == ERR_NONE || err == ERR_UNKNOWN_TOPIC_OR_PARTITION ||
                 err == ERR_NOT_LEADER_OR_FOLLOWER);
        }
        err = client_delete(&client, name);
        must(err == ERR_NONE || err == ERR_UNKNOWN_TOPIC_OR_PARTITION);
        hand->done++;
    }
    client_close(&client);
    return NULL;
}

/* Reads where the ground may go from under it. */
static void *wanderer(void *arg)
{
    struct hand *hand = arg;
    struct client client = client_open(&world);

    while (!is_over()) {
        int32_t partition = (int32_t)(fixture_random(&hand->seed) % PARTITIONS);

        client_send_fetch(
            &client, fixture_random(&hand->seed) % 2 ? "garden-0" : "garden-1",
            partition, 0, 1 << 20, 30);
        (void)client_fetched(&client);
        hand->done++;
    }
    client_close(&client);
    return NULL;
}

/* Asks for everything that there is, and for offsets by time. */
static void *asker(void *arg)
{
    struct hand *hand = arg;
    struct client client = client_open(&world);

    while (!is_over()) {
        struct metadata_request all;
        struct metadata_response topics;
        struct list_offsets_request_partition p = {
            .partition_index = hand->number % PRODUCERS,
            .current_leader_epoch = -1,
            .timestamp = (int64_t)(fixture_random(&hand->seed) % 5) - 3};
        struct list_offsets_request_topic t = {
            .name = STR_LIT("steady"), .partitions = &p, .partitions_count = 1};
        struct list_offsets_request in = {
            .replica_id = -1, .topics = &t, .topics_count = 1};
        struct list_offsets_response out;

        metadata_request_init(&all);
        all.topics_count = -1;
        must(client_ask(&client, API_METADATA, 12, metadata, &all, &topics));
        must(topics.topics_count >= 1);
        must(client_ask(&client, API_LIST_OFFSETS, 8, list_offsets, &in, &out));
        must(out.topics[0].partitions[0].error_code == ERR_NONE);
        hand->done++;
    }
    client_close(&client);
    return NULL;
}

/* Hangs up at the worst moment. */
static void *vandal(void *arg)
{
    struct hand *hand = arg;

    while (!is_over()) {
        struct client client = client_open(&world);
        struct linger at_once = {.l_onoff = 1};

        switch (fixture_random(&hand->seed) % 4) {
        case 0:
            client_send_fetch(&client, "steady", PARTITIONS - 1, 0, 1, 100000);
            break;
        case 1:
            client_send_produce(&client, "vandals", 0, 1, 100000, 0);
            break;
        case 2:
            client_send_produce(&client, "vandals", 0, 1, 100000, -1);
            client_send_produce(&client, "vandals", 0, 1, 100000, -1);
            break;
        default:
            (void)fixture_send(client.fd, "\0\0\x10\0half", 8);
        }
        if (fixture_random(&hand->seed) % 2 == 0) {
            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &at_once,
                       sizeof(at_once));
        }
        client_close(&client);
        hand->done++;
        usleep(500);
    }
    return NULL;
}

static void everything_at_once_on_four_loops(void **state)
{
    static void *(*const work[])(void *) = {
        producer, producer, producer, producer, follower, follower,
        follower, follower, gardener, gardener, wanderer, wanderer,
        asker,    asker,    vandal,   vandal};
    struct hand hands[ARRAY_COUNT(work)] = {{.number = 0}};
    struct client client;

    world_open(&world, 4);
    client = client_open(&world);
    must(client_create(&client, "steady", PARTITIONS, NULL) == ERR_NONE);
    must(client_create(&client, "vandals", 1, NULL) == ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(work); i++) {
        hands[i].number = (int)(i % 4);
        hands[i].seed = i + 1;
        must(pthread_create(&hands[i].thread, NULL, work[i], &hands[i]) == 0);
    }
    usleep(RUN_MS * 1000);
    atomic_store(&stopping, true);
    for (size_t i = 0; i < ARRAY_COUNT(work); i++) {
        pthread_join(hands[i].thread, NULL);
    }
    for (int32_t i = 0; i < PRODUCERS; i++) {
        struct fetch_response_partition p;

        client_send_fetch(&client, "steady", i, 0, 1, 0);
        p = client_fetched(&client);
        assert_true(hands[i].acked > 0);
        assert_int_equal(p.high_watermark, 3 * hands[i].acked);
    }
    for (size_t i = PRODUCERS; i < ARRAY_COUNT(work); i++) {
        assert_true(hands[i].done > 0);
    }
    client_close(&client);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once_on_four_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
