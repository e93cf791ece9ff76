/* broker.c - the order in which the server comes up and goes down.
 *
 * Up:   data folder -> loops -> ports bound -> metadata (quorum, SQLite), logs
 *       -> groups -> topics of config.lua -> clients are accepted, ready.
 * Down: ports closed, requests answered -> groups -> logs, quorum, SQLite
 *       closed and synced -> the mark of a clean stop.
 * A stop is over in less than ten seconds, also when a loop hangs in a call
 * that the disk does not answer, and half a second later where its last words
 * hang as well (deadline.h): what is not sealed by then is
 * left as a crash would leave it. Everything that was acknowledged is on disk
 * already; the next start takes a little longer. A disk that fails in between
 * ends the process at once: what is on disk is what the next start recovers,
 * and no answer leaves that it does not keep.
 *
 * Invariants: (1) nothing of the data folder is read or written before its lock
 * is held; (2) no client is accepted before the metadata and all logs are
 * there: net_start() has one caller; (3) the mark of a clean stop is written
 * when all else is closed and synced, and names this run; (4) each step down
 * begins when the one before has ended, in the reverse order of the way up. */
#include "broker/broker.h"

#include "api/dispatch.h"
#include "api/report.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "broker/deadline.h"
#include "broker/folder.h"
#include "broker/reserve.h"
#include "cluster/topic_create.h"
#include "coord/coordinator.h"
#include "net/net.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_TWICE_MS = 1000, /* a second signal means it only after so long */
    STOP_GRACE_MS = 2000, /* for requests that run when a stop begins */
    STOP_MS = 8000,       /* for all of a stop */
    STOP_HANGS_MS = 9000, /* where the loop that counts those hangs, too */
    REQUESTS_RUNNING_MAX = 256,
    OUTPUT_BYTES_MAX = 4 << 20,
    PRODUCER_ID_BLOCK = 1000,
};

/* A topic of config.lua that is made at start. */
struct server_topic {
    struct server *server;
    struct topic_create create;
    struct topic_create_spec spec;
    struct topic_override *configs;
};

struct server {
    const struct settings *settings;
    struct folder *folder;
    struct reserve *reserve;
    uint64_t clean_start; /* the run that ended cleanly; 0: none */
    uint64_t starts;      /* the number of this one */
    struct loops *loops;
    struct net *net;
    struct budget budget;
    struct replicas *replicas;
    struct controller *controller;
    struct coordinator *coordinator;
    struct api *api;
    struct api_listener *api_listeners;
    struct broker_listener *registered;
    int32_t registered_count;
    struct server_topic *topics;
    size_t topics_pending;
    struct controller_report report;
    struct timespec begun;
    bool stopping;
    int64_t stop_begun_ms;
    struct env_timer stop_timer;
    uint64_t descriptors; /* that the process may have open; 0: unknown */
    uint16_t *ports;      /* that each listener has got; 0: not bound */
    bool ready;
};

static void broker_request(void *arg, struct request *request)
{
    dispatch_request(((struct server *)arg)->api, request);
}

static bool broker_overlaps(void *arg, const uint8_t *frame, uint32_t bytes)
{
    return dispatch_overlaps(((struct server *)arg)->api, frame, bytes);
}

static void broker_answered(void *arg, struct request *request)
{
    report_answered(((struct server *)arg)->api, request);
}

/* The process can neither start, go on nor answer: says why, and ends. What is
 * open is left to the end of the process. */
static void broker_failed(void *arg, const struct why *why)
{
    (void)arg;
    fprintf(stderr, "tidemark: %s\n", why->text);
    fflush(NULL);
    _exit(1);
}

static void broker_stop_clients(struct server *server);

static struct topic_settings
broker_topic_defaults(const struct settings *settings)
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

static bool broker_auto_creates(const struct server *server,
                                const struct settings_listener *listener)
{
    return server->settings->auto_create == AUTO_CREATE_ON ||
           (server->settings->auto_create == AUTO_CREATE_LOOPBACK &&
            listener->loopback);
}

/* Binds the ports; what is bound is what clients are told. */
static void broker_listen(struct server *server)
{
    const struct settings *settings = server->settings;
    struct why why = {""};

    server->api_listeners =
        mem_zalloc(settings->listener_count * sizeof(*server->api_listeners));
    server->registered =
        mem_zalloc(settings->listener_count * sizeof(*server->registered));
    server->ports =
        mem_zalloc(settings->listener_count * sizeof(*server->ports));
    server->registered_count = 0;
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct settings_listener *listener = &settings->listeners[i];
        bool advertises = listener->advertise_host != NULL;
        uint16_t told;
        uint16_t port = listener->bind_port;
        enum err err = net_listen(server->net, listener->bind_host, port,
                                  (uint32_t)i, &port, &why);

        if (err == ERR_INVALID && listener->optional) {
            continue; /* a machine without IPv6 */
        }
        if (err != ERR_NONE) {
            broker_failed(server, &why);
        }
        server->ports[i] = port;
        told = advertises && listener->advertise_port != 0
                   ? listener->advertise_port
                   : port;
        server->api_listeners[i] = (struct api_listener){
            .name = listener->name,
            .advertise_host = listener->advertise_host,
            .advertise_port = told,
            .auto_create = broker_auto_creates(server, listener)};
        server->registered[server->registered_count++] =
            (struct broker_listener){
                .name = str_of(listener->name),
                .host = str_of(advertises ? listener->advertise_host
                                          : listener->bind_host),
                .port = told};
    }
}

/* Half of the descriptors are for segments: a log that cannot open a file
 * refuses what all its clients ask, a connection that is refused comes again.
 */
static uint32_t broker_connections(const struct server *server)
{
    uint32_t wanted = server->settings->limits.connections;

    if (server->descriptors == 0 || wanted <= server->descriptors / 2) {
        return wanted;
    }
    trace(TRACE_WARN,
          "limits.connections is %u, but this process may have only %llu files "
          "and connections open: at most %llu connections are taken (raise "
          "ulimit -n for more)",
          wanted, (unsigned long long)server->descriptors,
          (unsigned long long)server->descriptors / 2);
    return (uint32_t)(server->descriptors / 2);
}

static void broker_open_net(struct server *server)
{
    const struct settings *settings = server->settings;
    struct net_options options = {
        .loops = server->loops,
        .limits = {.frame_bytes = settings->limits.frame_bytes,
                   .connections = broker_connections(server),
                   .connections_per_ip = settings->limits.connections_per_ip,
                   .requests_running = REQUESTS_RUNNING_MAX,
                   .output_bytes = OUTPUT_BYTES_MAX,
                   .idle_ms = settings->limits.idle_ms,
                   .half_frame_ms = settings->limits.frame_ms},
        .handler = {.request = broker_request,
                    .overlaps = broker_overlaps,
                    .answered = settings->limits.slow_request_ms == 0
                                    ? NULL
                                    : broker_answered,
                    .arg = server},
        .budget = &server->budget,
        .congestion = "cubic"};

    budget_init(&server->budget, settings->limits.memory_bytes);
    server->net = net_open(&options);
    broker_listen(server);
}

static void broker_print_ready(const struct server *server)
{
    const struct settings *settings = server->settings;
    const char *before = "";
    struct timespec now;
    double ms;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ms = (double)(now.tv_sec - server->begun.tv_sec) * 1e3 +
         (double)(now.tv_nsec - server->begun.tv_nsec) / 1e6;
    printf("tidemark " BROKER_VERSION " serves at ");
    for (size_t i = 0; i < settings->listener_count; i++) {
        const char *host = settings->listeners[i].bind_host;
        bool is_v6 = strchr(host, ':') != NULL;

        if (server->ports[i] != 0) {
            printf("%s%s%s%s:%u", before, is_v6 ? "[" : "", host,
                   is_v6 ? "]" : "", server->ports[i]);
            before = " and ";
        }
    }
    printf(", data in %s (%d topic%s, %d partition%s; started in %.0f ms)\n",
           settings->node.data_dir, server->report.topics,
           server->report.topics == 1 ? "" : "s", server->report.partitions,
           server->report.partitions == 1 ? "" : "s", ms);
    fflush(stdout);
}

/* Everything is there: clients may come. */
static void broker_serve_clients(struct server *server)
{
    mem_free(server->topics);
    server->topics = NULL;
    server->ready = true;
    net_start(server->net);
    broker_print_ready(server);
    if (server->stopping) { /* asked to while it started */
        broker_stop_clients(server);
    }
}

static void broker_topic_done(struct controller_change *change)
{
    struct server_topic *topic =
        container_of(change, struct server_topic, create.change);
    struct server *server = topic->server;

    if (change->err != ERR_NONE) {
        struct why why = change->why;

        why_wrap(&why, change->err, "cannot make topic \"%.*s\" of %s",
                 STR_ARG(topic->spec.name),
                 server->settings->config_path == NULL
                     ? "the settings"
                     : server->settings->config_path);
        broker_failed(server, &why);
    }
    server->report.topics++;
    server->report.partitions += change->command.create_topic.partitions_count;
    controller_change_end(change);
    mem_free(topic->configs);
    if (--server->topics_pending == 0) {
        broker_serve_clients(server);
    }
}

static struct topic_create_defaults
broker_create_defaults(const struct settings *settings)
{
    return (struct topic_create_defaults){
        .partitions = settings->defaults.partitions,
        .replication_factor = settings->defaults.replication_factor,
        .partitions_max = (int32_t)settings->limits.partitions_per_topic};
}

static void broker_make_topic(struct server *server, struct server_topic *topic,
                              const struct settings_topic *wanted)
{
    topic->server = server;
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
    topic->create.defaults = broker_create_defaults(server->settings);
    topic->create.change.controller = server->controller;
    topic->create.change.done = broker_topic_done;
    server->topics_pending++;
    topic_create_start(&topic->create, loop_env(loops_at(server->loops, 0)));
}

static struct str broker_override_of(const struct topic *topic, struct str name)
{
    for (int32_t i = 0; i < topic->overrides_count; i++) {
        if (str_eq(topic->overrides[i].name, name)) {
            return topic->overrides[i].value;
        }
    }
    return str_of("not set");
}

/* Says what a topic that is there has otherwise than the settings: who edits
 * them may expect more than that topics are created. */
static void broker_compare_topic(const struct topic *topic,
                                 const struct settings_topic *wanted)
{
    if (wanted->partitions >= 0 &&
        wanted->partitions != topic->partitions_count) {
        trace(TRACE_WARN,
              "topic \"%s\" has %d partition%s, not %d: the settings create "
              "topics and alter none",
              wanted->name, topic->partitions_count,
              topic->partitions_count == 1 ? "" : "s", wanted->partitions);
    }
    for (size_t i = 0; i < wanted->configs.count; i++) {
        const char *name = wanted->configs.items[i].name;
        struct str value = broker_override_of(topic, str_of(name));

        if (!str_eq(value, str_of(wanted->configs.items[i].value))) {
            trace(TRACE_WARN,
                  "topic \"%s\" has %s=%.*s, not %s: the settings create "
                  "topics and alter none",
                  wanted->name, name, STR_ARG(value),
                  wanted->configs.items[i].value);
        }
    }
}

/* Topics of the settings that are not there yet. Nothing is altered. */
static void broker_make_topics(struct server *server)
{
    const struct settings *settings = server->settings;
    const struct state *state = controller_state(server->controller);

    server->topics =
        mem_zalloc((settings->topic_count + 1) * sizeof(*server->topics));
    server->topics_pending = 1; /* this function's own */
    for (size_t i = 0; i < settings->topic_count; i++) {
        const struct settings_topic *wanted = &settings->topics[i];
        const struct topic *topic =
            topics_find(&state->topics, str_of(wanted->name));

        if (topic != NULL && !wanted->absent) {
            broker_compare_topic(topic, wanted);
        } else if (!wanted->absent) {
            broker_make_topic(server, &server->topics[i], wanted);
        }
    }
    if (--server->topics_pending == 0) {
        broker_serve_clients(server);
    }
}

static void broker_open_api(struct server *server)
{
    const struct settings *settings = server->settings;
    struct api_options options = {
        .loops = server->loops,
        .controller = server->controller,
        .replicas = server->replicas,
        .coordinator = server->coordinator,
        .node_id = settings->node.id,
        .listeners = server->api_listeners,
        .fetch_sessions = settings->limits.fetch_sessions,
        .topic_defaults = broker_create_defaults(settings),
        .producer_id_block = PRODUCER_ID_BLOCK,
        .slow_request_ms = settings->limits.slow_request_ms};

    server->api = api_open(&options);
}

/* The metadata is there, the logs are open. */
static void broker_metadata_ready(void *arg,
                                  const struct controller_report *report)
{
    struct server *server = arg;
    const struct settings *settings = server->settings;
    struct coordinator_options options = {
        .controller = server->controller,
        .initial_delay_ms = settings->coordinator.initial_rebalance_delay_ms,
        .session_ms_min = settings->coordinator.session_ms_min,
        .session_ms_max = settings->coordinator.session_ms_max,
        .group_members = settings->coordinator.group_members,
        .groups = settings->limits.groups,
        .offset_metadata_bytes = settings->coordinator.offset_metadata_bytes};

    server->report = *report;
    server->starts = controller_starts(server->controller);
    folder_take_mark(server->folder);
    server->coordinator = coordinator_open(&options);
    broker_open_api(server);
    broker_make_topics(server);
}

static void broker_make_room(void *arg)
{
    reserve_give(((struct server *)arg)->reserve);
}

static void broker_start(void *arg)
{
    struct server *server = arg;
    const struct settings *settings = server->settings;
    struct why why = {""};
    struct controller_options options = {
        .loops = server->loops,
        .data_folder = settings->node.data_dir,
        .node_id = settings->node.id,
        .rack = settings->node.rack[0] == '\0' ? STR_NULL
                                               : str_of(settings->node.rack),
        .topic_defaults = broker_topic_defaults(settings),
        .retention_check_ms = settings->storage.retention_check_ms,
        .partitions_max = settings->limits.partitions,
        .disk_threads = settings->limits.disk_threads,
        .producers_max = settings->limits.producers,
        .reserve_bytes = folder_reserve_bytes(server->folder),
        .clean_start = server->clean_start,
        .make_room = broker_make_room,
        .failed = broker_failed,
        .arg = server};

    reserve_watch(server->reserve, loop_env(loops_at(server->loops, 0)));
    broker_open_net(server);
    server->replicas = replicas_open(loop_env(loops_at(server->loops, 0)));
    options.replicas = server->replicas;
    options.listeners = server->registered;
    options.listeners_count = server->registered_count;
    if (controller_open(&options, broker_metadata_ready, &server->controller,
                        &why) != ERR_NONE) {
        broker_failed(server, &why);
    }
}

static void broker_stopped(void *arg)
{
    struct server *server = arg;
    struct why why = {""};
    enum err err;

    must(server->starts >
         0); /* invariant 3: it was ready, so it has a number */
    err = folder_mark_clean(server->folder, server->starts, &why);
    if (file_err_passes(err)) {
        trace(TRACE_WARN, "the next start reads more than it must: %s",
              why.text);
    } else if (err != ERR_NONE) {
        broker_failed(server, &why);
    }
    loops_stop(server->loops);
}

static void broker_controller_closed(void *arg)
{
    struct server *server = arg;

    replicas_close(server->replicas, broker_stopped, server);
}

static void broker_coordinator_closed(void *arg)
{
    struct server *server = arg;

    api_free(server->api);
    controller_close(server->controller, broker_controller_closed, server);
}

static void broker_net_closed(void *arg)
{
    struct server *server = arg;

    coordinator_close(server->coordinator, broker_coordinator_closed, server);
}

/* The first step down; the others follow from it. */
static void broker_stop_clients(struct server *server)
{
    coordinator_stop(server->coordinator);
    net_close(server->net, STOP_GRACE_MS, broker_net_closed, server);
}

/* The disk is slow, or there are very many partitions: no more waiting. */
static void broker_stop_over(struct env_timer *timer)
{
    const struct server *server =
        container_of(timer, struct server, stop_timer);
    int32_t unsealed = server->controller == NULL
                           ? 0
                           : controller_unsealed(server->controller);

    printf("tidemark stopped after %d s, with %d partitions not sealed: the "
           "next start recovers, nothing acknowledged is lost; the data is in "
           "%s\n",
           STOP_MS / 1000, (int)unsealed, server->settings->node.data_dir);
    fflush(NULL);
    _exit(0);
}

static void broker_stop(struct server *server)
{
    struct env *env = loop_env(loops_at(server->loops, 0));

    if (server->stopping) {
        return;
    }
    server->stopping = true;
    server->stop_begun_ms = env_now_ms(env);
    server->stop_timer.fire = broker_stop_over;
    env_timer_set(env, &server->stop_timer, STOP_MS);
    deadline_set(STOP_HANGS_MS,
                 mem_printf("tidemark stopped after %d s: the disk does not "
                            "answer; the next start recovers, nothing "
                            "acknowledged is lost; the data is in %s\n",
                            STOP_HANGS_MS / 1000,
                            server->settings->node.data_dir));
    if (server->ready) {
        broker_stop_clients(server);
    }
}

/* SIGUSR1 asks what runs. Of the others, the first asks politely for the end,
 * the second does not. */
static void broker_signal(void *arg, int signal)
{
    struct server *server = arg;

    if (signal == SIGUSR1) {
        if (server->ready && !server->stopping) {
            report_running(server->api, server->net);
        } else {
            trace(TRACE_INFO, "runs: nothing, it %s",
                  server->stopping ? "stops" : "starts");
        }
        return;
    }
    if (server->stopping) {
        if (env_now_ms(loop_env(loops_at(server->loops, 0))) -
                server->stop_begun_ms <
            STOP_TWICE_MS) {
            return; /* one request, sent to the process and to its group */
        }
        fprintf(stderr, "tidemark: stopped at once; the next start recovers\n");
        _exit(128 + signal);
    }
    broker_stop(server);
}

/* Who asks what runs before anything does, or when nothing does any more, gets
 * no answer: the system's own would be to end the process. */
static void broker_block_questions(void)
{
    sigset_t questions;

    sigemptyset(&questions);
    sigaddset(&questions, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &questions, NULL);
}

/* As many descriptors as the system lets us have: connections and segments. */
static uint64_t broker_raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

int broker_serve(const struct settings *settings)
{
    struct server server = {.settings = settings};
    unsigned loops = settings->limits.loops;
    struct why why = {""};

    (void)signal(SIGUSR1, SIG_IGN);
    server.descriptors = broker_raise_limits();
    clock_gettime(CLOCK_MONOTONIC, &server.begun);
    if (folder_open(settings->node.data_dir, &server.folder,
                    &server.clean_start, &why) != ERR_NONE ||
        loops_open(loops == 0 ? loops_default_count() : loops,
                   settings->limits.disk_threads, &server.loops,
                   &why) != ERR_NONE) {
        fprintf(stderr, "tidemark: %s\n", why.text);
        return 1;
    }
    server.reserve = reserve_open(disk_real(), settings->node.data_dir,
                                  folder_reserve_bytes(server.folder));
    loops_on_signal(server.loops, broker_signal, &server);
    loops_run(server.loops, broker_start, &server);
    broker_block_questions();
    loops_close(server.loops);
    reserve_close(server.reserve);
    folder_close(server.folder);
    mem_free(server.api_listeners);
    mem_free(server.registered);
    mem_free(server.ports);
    printf("tidemark stopped; the data is in %s\n", settings->node.data_dir);
    return 0;
}
