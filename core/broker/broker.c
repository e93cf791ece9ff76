/* broker.c - the order in which the server comes up and goes down.
 *
 * Up:   data folder -> loops -> ports bound -> metadata (quorum, SQLite), logs
 *       -> groups -> topics of config.lua -> clients are accepted, ready.
 * Down: ports closed, requests answered -> groups -> logs, quorum, SQLite
 *       closed and synced -> the mark of a clean stop.
 * A disk that fails in between ends the process at once: what is on disk is
 * what the next start recovers, and no answer leaves that it does not keep. */
#include "broker/broker.h"

#include "api/dispatch.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "broker/folder.h"
#include "cluster/topic_create.h"
#include "coord/coordinator.h"
#include "net/net.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_GRACE_MS = 2000, /* for requests that run when a stop begins */
    REQUESTS_RUNNING_MAX = 64,
    OUTPUT_BYTES_MAX = 4 << 20,
    PRODUCER_ID_BLOCK = 1000,
};

/* A topic of config.lua that is made at start. */
struct broker_topic {
    struct broker *broker;
    struct topic_create create;
    struct topic_create_spec spec;
    struct topic_override *configs;
};

struct broker {
    const struct settings *settings;
    struct folder *folder;
    bool clean;
    struct loops *loops;
    struct net *net;
    struct budget budget;
    struct replicas *replicas;
    struct controller *controller;
    struct coordinator *coordinator;
    struct api *api;
    struct api_listener *api_listeners;
    struct broker_listener *registered;
    struct broker_topic *topics;
    size_t topics_pending;
    struct controller_report report;
    struct timespec begun;
    bool stopping;
    bool ready;
    int exit_code;
};

static void broker_request(void *arg, struct request *request)
{
    dispatch_request(((struct broker *)arg)->api, request);
}

static bool broker_overlaps(void *arg, const uint8_t *frame, uint32_t bytes)
{
    return dispatch_overlaps(((struct broker *)arg)->api, frame, bytes);
}

/* The process can neither go on nor answer: says why, and ends. */
static void broker_failed(void *arg, const struct why *why)
{
    (void)arg;
    fprintf(stderr, "tidemark: %s\n", why->text);
    fflush(NULL);
    _exit(1);
}

static void broker_stop(struct broker *broker);

/* Could not start: what has been opened is left to the end of the process. */
static void broker_give_up(const struct why *why)
{
    broker_failed(NULL, why);
}

static struct topic_settings broker_topic_defaults(
    const struct settings *settings)
{
    struct topic_settings defaults;

    topic_settings_init(&defaults);
    for (size_t i = 0; i < settings->defaults.configs.count; i++) {
        const struct settings_config *config =
            &settings->defaults.configs.items[i];

        must(topic_config_set(&defaults, str_of(config->name),
                              str_of(config->value), NULL) == ERR_NONE);
    }
    return defaults;
}

static bool broker_auto_creates(const struct broker *broker,
                                const struct settings_listener *listener)
{
    return broker->settings->auto_create == AUTO_CREATE_ON ||
           (broker->settings->auto_create == AUTO_CREATE_LOOPBACK &&
            listener->loopback);
}

/* Binds the ports; what is bound is what clients are told. */
static void broker_listen(struct broker *broker)
{
    const struct settings *settings = broker->settings;
    struct why why = {""};

    broker->api_listeners = mem_zalloc(settings->listener_count *
                                       sizeof(*broker->api_listeners));
    broker->registered =
        mem_zalloc(settings->listener_count * sizeof(*broker->registered));
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct settings_listener *listener = &settings->listeners[i];
        bool advertises = listener->advertise_host != NULL;
        uint16_t port = listener->bind_port;
        enum err err = net_listen(broker->net, listener->bind_host, port,
                                  (uint32_t)i, &port, &why);

        if (err != ERR_NONE && !(listener->optional && err == ERR_INVALID)) {
            broker_give_up(&why);
        }
        broker->api_listeners[i] = (struct api_listener){
            .name = listener->name,
            .advertise_host = listener->advertise_host,
            .advertise_port = listener->advertise_port,
            .auto_create = broker_auto_creates(broker, listener)};
        broker->registered[i] = (struct broker_listener){
            .name = str_of(listener->name),
            .host = str_of(advertises ? listener->advertise_host
                                      : listener->bind_host),
            .port = advertises ? listener->advertise_port : port};
    }
}

static void broker_open_net(struct broker *broker)
{
    const struct settings *settings = broker->settings;
    struct net_options options = {
        .loops = broker->loops,
        .limits = {.frame_bytes = settings->limits.frame_bytes,
                   .connections = settings->limits.connections,
                   .requests_running = REQUESTS_RUNNING_MAX,
                   .output_bytes = OUTPUT_BYTES_MAX,
                   .idle_ms = settings->limits.idle_ms,
                   .half_frame_ms = settings->limits.frame_ms},
        .handler = {.request = broker_request,
                    .overlaps = broker_overlaps,
                    .arg = broker},
        .budget = &broker->budget,
        .congestion = "cubic"};

    budget_init(&broker->budget, settings->limits.memory_bytes);
    broker->net = net_open(&options);
    broker_listen(broker);
}

static void broker_print_ready(const struct broker *broker)
{
    const struct settings *settings = broker->settings;
    struct timespec now;
    double ms;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ms = (double)(now.tv_sec - broker->begun.tv_sec) * 1e3 +
         (double)(now.tv_nsec - broker->begun.tv_nsec) / 1e6;
    printf("tidemark " BROKER_VERSION " serves at %s:%u, data in %s (%d "
           "topics, %d partitions; started in %.0f ms)\n",
           settings->listeners[0].bind_host, settings->listeners[0].bind_port,
           settings->node.data_dir, broker->report.topics,
           broker->report.partitions, ms);
    fflush(stdout);
}

/* Everything is there: clients may come. */
static void broker_serve_clients(struct broker *broker)
{
    mem_free(broker->topics);
    broker->topics = NULL;
    broker->ready = true;
    net_start(broker->net);
    broker_print_ready(broker);
    if (broker->stopping) { /* asked to while it started */
        broker->stopping = false;
        broker_stop(broker);
    }
}

static void broker_topic_done(struct controller_change *change)
{
    struct broker_topic *topic =
        container_of(change, struct broker_topic, create.change);
    struct broker *broker = topic->broker;

    if (change->err != ERR_NONE) {
        struct why why = change->why;

        why_wrap(&why, change->err, "cannot make topic \"%.*s\" of %s",
                 STR_ARG(topic->spec.name),
                 broker->settings->config_path == NULL
                     ? "the settings"
                     : broker->settings->config_path);
        broker_give_up(&why);
    }
    broker->report.topics++;
    broker->report.partitions +=
        change->command.create_topic.partitions_count;
    controller_change_end(change);
    mem_free(topic->configs);
    if (--broker->topics_pending == 0) {
        broker_serve_clients(broker);
    }
}

static void broker_make_topic(struct broker *broker, struct broker_topic *topic,
                              const struct settings_topic *wanted)
{
    const struct settings *settings = broker->settings;

    topic->broker = broker;
    topic->configs =
        mem_zalloc((wanted->configs.count + 1) * sizeof(*topic->configs));
    for (size_t i = 0; i < wanted->configs.count; i++) {
        topic->configs[i] = (struct topic_override){
            .name = str_of(wanted->configs.items[i].name),
            .value = str_of(wanted->configs.items[i].value)};
    }
    topic->spec = (struct topic_create_spec){
        .name = str_of(wanted->name),
        .partitions = wanted->partitions,
        .replication_factor = wanted->replication_factor,
        .configs = topic->configs,
        .configs_count = (int32_t)wanted->configs.count,
        .source = "config.lua"};
    topic->create.spec = &topic->spec;
    topic->create.defaults = (struct topic_create_defaults){
        .partitions = settings->defaults.partitions,
        .replication_factor = settings->defaults.replication_factor,
        .partitions_max = (int32_t)settings->limits.partitions_per_topic};
    topic->create.change.controller = broker->controller;
    topic->create.change.done = broker_topic_done;
    broker->topics_pending++;
    topic_create_start(&topic->create, loop_env(loops_at(broker->loops, 0)));
}

/* Topics of the settings that are not there yet. Nothing is altered. */
static void broker_make_topics(struct broker *broker)
{
    const struct settings *settings = broker->settings;
    const struct state *state = controller_state(broker->controller);

    broker->topics =
        mem_zalloc((settings->topic_count + 1) * sizeof(*broker->topics));
    broker->topics_pending = 1; /* this function's own */
    for (size_t i = 0; i < settings->topic_count; i++) {
        const struct settings_topic *wanted = &settings->topics[i];

        if (!wanted->absent &&
            topics_find(&state->topics, str_of(wanted->name)) == NULL) {
            broker_make_topic(broker, &broker->topics[i], wanted);
        }
    }
    if (--broker->topics_pending == 0) {
        broker_serve_clients(broker);
    }
}

static void broker_open_api(struct broker *broker)
{
    const struct settings *settings = broker->settings;
    struct api_options options = {
        .loops = broker->loops,
        .controller = broker->controller,
        .replicas = broker->replicas,
        .coordinator = broker->coordinator,
        .node_id = settings->node.id,
        .listeners = broker->api_listeners,
        .fetch_sessions = settings->limits.fetch_sessions,
        .frame_bytes = settings->limits.frame_bytes,
        .default_partitions = settings->defaults.partitions,
        .default_replication_factor = settings->defaults.replication_factor,
        .partitions_per_topic = (int32_t)settings->limits.partitions_per_topic,
        .producer_id_block = PRODUCER_ID_BLOCK};

    broker->api = api_open(&options);
}

/* The metadata is there, the logs are open. */
static void broker_metadata_ready(void *arg,
                                  const struct controller_report *report)
{
    struct broker *broker = arg;
    const struct settings *settings = broker->settings;
    struct coordinator_options options = {
        .controller = broker->controller,
        .initial_delay_ms = settings->coordinator.initial_rebalance_delay_ms,
        .session_ms_min = settings->coordinator.session_ms_min,
        .session_ms_max = settings->coordinator.session_ms_max,
        .group_members = settings->coordinator.group_members,
        .groups = settings->limits.groups,
        .offset_metadata_bytes = settings->coordinator.offset_metadata_bytes};

    broker->report = *report;
    broker->coordinator = coordinator_open(&options);
    broker_open_api(broker);
    broker_make_topics(broker);
}

static void broker_start(void *arg)
{
    struct broker *broker = arg;
    const struct settings *settings = broker->settings;
    struct why why = {""};
    struct controller_options options = {
        .loops = broker->loops,
        .data_folder = settings->node.data_dir,
        .node_id = settings->node.id,
        .rack = settings->node.rack[0] == '\0' ? STR_NULL
                                               : str_of(settings->node.rack),
        .topic_defaults = broker_topic_defaults(settings),
        .retention_check_ms = settings->storage.retention_check_ms,
        .clean = broker->clean,
        .failed = broker_failed,
        .arg = broker};

    broker_open_net(broker);
    broker->replicas = replicas_open(loop_env(loops_at(broker->loops, 0)));
    options.replicas = broker->replicas;
    options.listeners = broker->registered;
    options.listeners_count = (int32_t)settings->listener_count;
    if (controller_open(&options, broker_metadata_ready, &broker->controller,
                        &why) != ERR_NONE) {
        broker_give_up(&why);
    }
}

static void broker_stopped(void *arg)
{
    struct broker *broker = arg;
    struct why why = {""};

    replicas_close(broker->replicas);
    if (folder_mark_clean(broker->folder, &why) != ERR_NONE) {
        broker_give_up(&why);
    }
    loops_stop(broker->loops);
}

static void broker_coordinator_closed(void *arg)
{
    struct broker *broker = arg;

    api_close_all(broker->api);
    controller_close(broker->controller, broker_stopped, broker);
}

static void broker_net_closed(void *arg)
{
    struct broker *broker = arg;

    coordinator_close(broker->coordinator, broker_coordinator_closed, broker);
}

static void broker_stop(struct broker *broker)
{
    if (broker->stopping) {
        return;
    }
    broker->stopping = true;
    if (broker->ready) {
        net_close(broker->net, STOP_GRACE_MS, broker_net_closed, broker);
    }
}

/* The first signal asks politely, the second one does not. */
static void broker_signal(void *arg, int signal)
{
    struct broker *broker = arg;

    if (broker->stopping) {
        fprintf(stderr, "tidemark: stopped at once; the next start recovers\n");
        _exit(128 + signal);
    }
    broker_stop(broker);
}

int broker_serve(const struct settings *settings)
{
    struct broker broker = {.settings = settings};
    unsigned loops = settings->limits.loops;
    struct why why = {""};

    clock_gettime(CLOCK_MONOTONIC, &broker.begun);
    if (folder_open(settings->node.data_dir, &broker.folder, &broker.clean,
                    &why) != ERR_NONE ||
        loops_open(loops == 0 ? loops_default_count() : loops,
                   settings->limits.disk_threads, &broker.loops,
                   &why) != ERR_NONE) {
        fprintf(stderr, "tidemark: %s\n", why.text);
        return 1;
    }
    loops_on_signal(broker.loops, broker_signal, &broker);
    loops_run(broker.loops, broker_start, &broker);
    loops_close(broker.loops);
    folder_close(broker.folder);
    mem_free(broker.api_listeners);
    mem_free(broker.registered);
    printf("tidemark stopped; the data is in %s\n", settings->node.data_dir);
    return broker.exit_code;
}
