/* api_world.h - everything from the socket to the log, on real loops and a real
 * disk, without broker/: what a client sees. Clients are blocking sockets on
 * the test's threads. */
#ifndef UNIT_API_API_WORLD_H
#define UNIT_API_API_WORLD_H

#include "api/dispatch.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "coord/coordinator.h"
#include "lib/fixture.h"
#include "net/net.h"
#include "wire/api_versions.h"
#include "wire/batch.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/envelope.h"
#include "wire/fetch.h"
#include "wire/init_producer_id.h"
#include "wire/list_offsets.h"
#include "wire/metadata.h"
#include "wire/offset_for_leader_epoch.h"
#include "wire/produce.h"

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct api_world {
    struct loops *loops;
    struct net *net;
    struct budget budget;
    struct replicas *replicas;
    struct controller *controller;
    struct coordinator *coordinator;
    struct api *api;
    struct api_listener listener;
    struct broker_listener registered;
    int64_t partitions_max;
    uint32_t fetch_sessions;
    uint16_t port;
    pthread_t thread;
    sem_t ready;
    struct mail stop;
    char folder[FIXTURE_PATH_BYTES];
};

static inline void world_failed(void *arg, const struct why *why)
{
    fprintf(stderr, "%s\n", why->text);
    abort();
}

static inline void world_request(void *arg, struct request *request)
{
    dispatch_request(((struct api_world *)arg)->api, request);
}

static inline void world_served(void *arg,
                                const struct controller_report *report)
{
    struct api_world *w = arg;
    struct coordinator_options groups = {.controller = w->controller,
                                         .session_ms_min = 10,
                                         .session_ms_max = 2000,
                                         .group_members = 100,
                                         .groups = 1000,
                                         .offset_metadata_bytes = 4096};
    struct api_options options = {.loops = w->loops,
                                  .controller = w->controller,
                                  .replicas = w->replicas,
                                  .node_id = 1,
                                  .listeners = &w->listener,
                                  .fetch_sessions = w->fetch_sessions,
                                  .topic_defaults = {.partitions = 1,
                                                     .replication_factor = -1,
                                                     .partitions_max = 2000},
                                  .producer_id_block = 5};

    w->coordinator = coordinator_open(&groups);
    options.coordinator = w->coordinator;
    w->api = api_open(&options);
    net_start(w->net);
    sem_post(&w->ready);
}

static inline void world_start(void *arg)
{
    struct api_world *w = arg;
    struct net_options net = {.loops = w->loops,
                              .limits = {.frame_bytes = 100 << 20,
                                         .connections = 10000,
                                         .connections_per_ip = 10000,
                                         .requests_running = 64,
                                         .output_bytes = 4 << 20,
                                         .idle_ms = 600000,
                                         .half_frame_ms = 30000},
                              .handler = {.request = world_request,
                                          .overlaps = dispatch_overlaps,
                                          .arg = w},
                              .budget = &w->budget};
    struct controller_options options = {.loops = w->loops,
                                         .data_folder = w->folder,
                                         .node_id = 1,
                                         .listeners = &w->registered,
                                         .listeners_count = 1,
                                         .retention_check_ms = 300000,
                                         .partitions_max = w->partitions_max,
                                         .failed = world_failed,
                                         .arg = w};

    w->net = net_open(&net);
    must(net_listen(w->net, "127.0.0.1", 0, 0, &w->port, NULL) == ERR_NONE);
    w->registered = (struct broker_listener){.name = STR_LIT("PLAINTEXT"),
                                             .host = STR_LIT("127.0.0.1"),
                                             .port = w->port};
    w->replicas = replicas_open(loop_env(loop_current()));
    options.replicas = w->replicas;
    topic_settings_init(&options.topic_defaults);
    must(controller_open(&options, world_served, &w->controller, NULL) ==
         ERR_NONE);
}

static inline void *world_thread(void *arg)
{
    struct api_world *w = arg;

    loops_run(w->loops, world_start, w);
    return NULL;
}

static inline void world_open(struct api_world *w, unsigned loops)
{
    *w = (struct api_world){
        .listener = {.name = "PLAINTEXT", .auto_create = true},
        .partitions_max = 20000,
        .fetch_sessions = 1000};
    trace_level_set(TRACE_ERROR);
    budget_init(&w->budget, UINT64_C(1) << 30);
    fixture_folder(w->folder);
    must(loops_open(loops, 4, &w->loops, NULL) == ERR_NONE);
    sem_init(&w->ready, 0, 0);
    must(pthread_create(&w->thread, NULL, world_thread, w) == 0);
    sem_wait(&w->ready);
}

static inline void world_replicas_closed(void *arg)
{
    loops_stop(((struct api_world *)arg)->loops);
}

static inline void world_controller_closed(void *arg)
{
    struct api_world *w = arg;

    replicas_close(w->replicas, world_replicas_closed, w);
}

static inline void world_coordinator_closed(void *arg)
{
    struct api_world *w = arg;

    api_free(w->api);
    controller_close(w->controller, world_controller_closed, w);
}

static inline void world_net_closed(void *arg)
{
    struct api_world *w = arg;

    coordinator_close(w->coordinator, world_coordinator_closed, w);
}

static inline void world_stop(struct mail *mail)
{
    struct api_world *w = container_of(mail, struct api_world, stop);

    coordinator_stop(w->coordinator);
    net_close(w->net, 2000, world_net_closed, w);
}

static inline void world_close(struct api_world *w)
{
    w->stop.deliver = world_stop;
    mail_send(loops_at(w->loops, 0), &w->stop);
    pthread_join(w->thread, NULL);
    loops_close(w->loops);
    sem_destroy(&w->ready);
    fixture_remove(w->folder);
    /* Whatever requests held was given back. */
    must(atomic_load(&w->budget.used_bytes) == 0);
}

/* How many requests are in a step, asked of all loops. */
struct world_visit {
    struct api_world *world;
    struct mail mail;
    const char *step;
    _Atomic uint32_t count;
    sem_t visited; /* by each loop */
};

static inline void world_visit_loop(void *arg, struct request **running,
                                    size_t count)
{
    struct world_visit *visit = arg;

    for (size_t i = 0; i < count; i++) {
        const struct api_request *r = running[i]->context;
        const char *step = flow_step_name(&r->flow);

        visit->count += step != NULL && strcmp(step, visit->step) == 0;
    }
    sem_post(&visit->visited);
}

static inline void world_visit_start(struct mail *mail)
{
    struct world_visit *visit = container_of(mail, struct world_visit, mail);

    net_visit(visit->world->net, world_visit_loop, visit);
}

/* Returns when so many requests wait in this step: what the test does next
 * meets them there, however busy the machine is. */
static inline void world_await_step(struct api_world *w, const char *step,
                                    uint32_t count)
{
    bool there = false;

    for (int i = 0; i < 60000 && !there; i++) {
        struct world_visit visit = {
            .world = w, .mail.deliver = world_visit_start, .step = step};

        sem_init(&visit.visited, 0, 0);
        mail_send(loops_at(w->loops, 0), &visit.mail);
        for (uint32_t at = 0; at < loops_count(w->loops); at++) {
            sem_wait(&visit.visited);
        }
        sem_destroy(&visit.visited);
        there = atomic_load(&visit.count) == count;
        if (!there) {
            usleep(1000);
        }
    }
    assert_true(there);
}

/* ---- clients ---- */

struct client {
    int fd;
    int32_t correlation_id;
    struct arena arena; /* of the last answer; reset by the next request */
    uint32_t answer_bytes;
};

static inline struct client client_open(const struct api_world *w)
{
    return (struct client){.fd = fixture_dial(w->port)};
}

static inline void client_close(struct client *client)
{
    close(client->fd);
    arena_reset(&client->arena);
}

/* The next frame, in the client's arena; null at the end of the stream. */
static inline struct str client_frame(struct client *client)
{
    uint8_t head[4];
    uint8_t *frame;

    if (!fixture_receive(client->fd, head, 4)) {
        return STR_NULL;
    }
    client->answer_bytes = bytes_get_u32(head);
    frame = arena_raw(&client->arena, client->answer_bytes + 1);
    if (!fixture_receive(client->fd, frame, client->answer_bytes)) {
        return STR_NULL;
    }
    return str_sub(frame, client->answer_bytes);
}

/* Begins a request: its body goes to the writer. */
static inline void client_begin(struct client *client, struct writer *w,
                                int16_t key, int16_t version)
{
    struct request_header header = {.request_api_key = key,
                                    .request_api_version = version,
                                    .correlation_id = ++client->correlation_id,
                                    .client_id = STR_LIT("test")};

    arena_reset(&client->arena);
    writer_init(w, &client->arena, 1024);
    writer_frame_open(w);
    envelope_write_request(w, &header);
}

static inline void client_end(struct client *client, struct writer *w)
{
    struct str frame;

    must(writer_frame_close(w) == ERR_NONE);
    frame = writer_output(w);
    must(fixture_send(client->fd, frame.ptr, frame.len));
}

/* The answer to the last request; its body is left in the reader. */
static inline bool client_answer(struct client *client, struct reader *r,
                                 int16_t key, int16_t version)
{
    struct str frame = client_frame(client);
    int32_t correlation_id;

    if (str_is_null(frame)) {
        return false;
    }
    reader_init(r, frame.ptr, frame.len);
    must(envelope_read_response(r, api_find(key), version, &correlation_id) ==
         ERR_NONE);
    must(correlation_id == client->correlation_id);
    return true;
}

/* client_ask(&client, API_METADATA, 12, metadata, &request, &response): false
 * when the connection was closed instead. */
#define client_ask(client, key, version, name, in, out)                        \
    (client_tell(client, key, version, name, in),                              \
     client_hear(client, key, version, name, out))

#define client_tell(client, key, version, name, in)                            \
    do_tell_##name(client, key, version, in)
#define client_hear(client, key, version, name, out)                           \
    do_hear_##name(client, key, version, out)

#define CLIENT_API(name)                                                       \
    static inline void do_tell_##name(struct client *client, int16_t key,      \
                                      int16_t version,                         \
                                      const struct name##_request *in)         \
    {                                                                          \
        struct writer w;                                                       \
                                                                               \
        client_begin(client, &w, key, version);                                \
        name##_request_encode(&w, version, in);                                \
        client_end(client, &w);                                                \
    }                                                                          \
    static inline bool do_hear_##name(struct client *client, int16_t key,      \
                                      int16_t version,                         \
                                      struct name##_response *out)             \
    {                                                                          \
        struct reader r;                                                       \
                                                                               \
        if (!client_answer(client, &r, key, version)) {                        \
            return false;                                                      \
        }                                                                      \
        name##_response_decode(&r, &client->arena, version, out);              \
        must(reader_finish(&r) == ERR_NONE);                                   \
        return true;                                                           \
    }

CLIENT_API(api_versions)
CLIENT_API(create_topics)
CLIENT_API(delete_topics)
CLIENT_API(fetch)
CLIENT_API(init_producer_id)
CLIENT_API(list_offsets)
CLIENT_API(metadata)
CLIENT_API(offset_for_leader_epoch)
CLIENT_API(produce)

/* ---- what most tests ask ---- */

static inline enum err client_create(struct client *client, const char *name,
                                     int32_t partitions, struct uuid *id)
{
    struct create_topics_request_topic topic = {.name = str_of(name),
                                                .num_partitions = partitions,
                                                .replication_factor = -1};
    struct create_topics_request in = {
        .topics = &topic, .topics_count = 1, .timeout_ms = 10000};
    struct create_topics_response out;

    must(client_ask(client, API_CREATE_TOPICS, 7, create_topics, &in, &out));
    must(out.topics_count == 1);
    if (id != NULL) {
        *id = out.topics[0].topic_id;
    }
    return (enum err)out.topics[0].error_code;
}

static inline enum err client_delete(struct client *client, const char *name)
{
    struct delete_topics_request_topic topic = {.name = str_of(name)};
    struct delete_topics_request in = {
        .topics = &topic, .topics_count = 1, .timeout_ms = 10000};
    struct delete_topics_response out;

    must(client_ask(client, API_DELETE_TOPICS, 6, delete_topics, &in, &out));
    must(out.responses_count == 1);
    return (enum err)out.responses[0].error_code;
}

/* A batch of count records of bytes each. */
static inline struct str client_batch(struct arena *arena, int32_t count,
                                      size_t bytes)
{
    struct batch_options options = BATCH_OPTIONS;
    struct batch_builder builder;
    struct str value = str_sub(arena_alloc(arena, bytes), bytes);
    struct str out;
    struct timeval now;

    gettimeofday(&now, NULL);
    batch_builder_init(&builder, arena, &options, 256);
    for (int32_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp = now.tv_sec * 1000 + i,
                                      .value = value};

        batch_builder_add(&builder, &record);
    }
    must(batch_builder_finish(&builder, &out) == ERR_NONE);
    return out;
}

/* Sends a Produce of one batch; client_produced() hears the answer. */
static inline void client_send_produce(struct client *client, const char *topic,
                                       int32_t partition, int32_t records,
                                       size_t bytes, int16_t acks)
{
    struct arena arena = {0};
    struct str batch = client_batch(&arena, records, bytes);
    struct produce_request_partition p = {
        .index = partition,
        .records = {.ptr = (const uint8_t *)batch.ptr,
                    .bytes = (int32_t)batch.len}};
    struct produce_request_topic t = {
        .name = str_of(topic), .partition_data = &p, .partition_data_count = 1};
    struct produce_request in = {.acks = acks,
                                 .timeout_ms = 10000,
                                 .topic_data = &t,
                                 .topic_data_count = 1};

    client_tell(client, API_PRODUCE, 9, produce, &in);
    arena_reset(&arena);
}

static inline enum err client_produced(struct client *client,
                                       int64_t *base_offset)
{
    struct produce_response out;

    must(client_hear(client, API_PRODUCE, 9, produce, &out));
    if (base_offset != NULL) {
        *base_offset = out.responses[0].partition_responses[0].base_offset;
    }
    return (enum err)out.responses[0].partition_responses[0].error_code;
}

static inline enum err client_produce(struct client *client, const char *topic,
                                      int32_t partition, int32_t records,
                                      size_t bytes, int64_t *base_offset)
{
    client_send_produce(client, topic, partition, records, bytes, -1);
    return client_produced(client, base_offset);
}

/* A Fetch of one partition by name, without a session. */
static inline void client_send_fetch(struct client *client, const char *topic,
                                     int32_t partition, int64_t offset,
                                     int32_t min_bytes, int32_t max_wait_ms)
{
    struct fetch_request_partition p = {.partition = partition,
                                        .current_leader_epoch = -1,
                                        .fetch_offset = offset,
                                        .last_fetched_epoch = -1,
                                        .log_start_offset = -1,
                                        .partition_max_bytes = 1 << 20};
    struct fetch_request_topic t = {
        .topic = str_of(topic), .partitions = &p, .partitions_count = 1};
    struct fetch_request in;

    fetch_request_init(&in);
    in.max_wait_ms = max_wait_ms;
    in.min_bytes = min_bytes;
    in.max_bytes = 50 << 20;
    in.topics = &t;
    in.topics_count = 1;
    client_tell(client, API_FETCH, 12, fetch, &in);
}

/* The one partition of the answer. */
static inline struct fetch_response_partition
client_fetched(struct client *client)
{
    struct fetch_response out;

    must(client_hear(client, API_FETCH, 12, fetch, &out));
    must(out.responses_count == 1 && out.responses[0].partitions_count == 1);
    return out.responses[0].partitions[0];
}

static inline int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
