/* settings_table.c - the table of all settings.
 *
 * A setting is one line here and one field in struct settings: its path in
 * config.lua and for --set, type, default (as one would write it), limits,
 * Kafka's name where Kafka has one, and a sentence. Topic configs have a table
 * of their own: meta/topic_config_core.c. */
#include "broker/settings_private.h"

#define FIELD(member)                                                          \
    .offset = offsetof(struct settings, member),                               \
    .bytes = sizeof(((struct settings *)0)->member)
#define OF(type, member)                                                       \
    .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

enum { KIB = 1 << 10, MIB = 1 << 20, SECOND = 1000, MINUTE = 60 * SECOND };
#define DAY (24 * 60 * (int64_t)MINUTE)

static const char *const settings_auto_create_words[] = {"loopback", "true",
                                                         "false", NULL};
static const char *const settings_state_words[] = {"present", "absent", NULL};

const struct setting settings_scalars[] = {
    {.path = "node.id", .type = SETTING_INT, .initial = "1", .min = 0,
     .max = INT32_MAX, FIELD(node.id), .kafka = "node.id",
     .about = "This node's number; never changed once there is data."},
    {.path = "node.rack", .type = SETTING_TEXT, .initial = "", .max = 255,
     FIELD(node.rack), .kafka = "broker.rack",
     .about = "Where the node stands, as clients are told."},
    {.path = "node.data_dir", .type = SETTING_TEXT, .initial = "./data",
     .min = 1, .max = 4000, FIELD(node.data_dir),
     .about = "The folder of everything; relative to the file that says so."},

    {.path = "auto_create", .type = SETTING_WORD, .initial = "loopback",
     FIELD(auto_create), .words = settings_auto_create_words,
     .kafka = "auto.create.topics.enable",
     .about = "Whether asking for a topic that is not there creates it."},
    {.path = "allow_insecure", .type = SETTING_FLAG, .initial = "false",
     FIELD(allow_insecure),
     .about = "Whether listeners without authentication may be reachable."},

    {.path = "storage.segment", .type = SETTING_CONFIG, .initial = "",
     .config = "segment.bytes", .about = "A file of a log ends at this size."},
    {.path = "storage.segment_age", .type = SETTING_CONFIG, .initial = "",
     .config = "segment.ms", .about = "A file of a log ends at this age."},
    {.path = "storage.flush", .type = SETTING_CONFIG, .initial = "",
     .config = "tidemark.flush",
     .about = "When an answer may leave: \"commit\", once the records are on "
              "disk, or \"async\"."},
    {.path = "storage.retention_check", .type = SETTING_DURATION,
     .initial = "5m", .min = 10, .max = DAY,
     FIELD(storage.retention_check_ms),
     .kafka = "log.retention.check.interval.ms",
     .about = "How often old segments are looked for."},

    {.path = "defaults.partitions", .type = SETTING_INT, .initial = "1",
     .min = 1, .max = 100000, FIELD(defaults.partitions),
     .kafka = "num.partitions",
     .about = "Partitions of a topic that does not say."},
    {.path = "defaults.replication_factor", .type = SETTING_INT,
     .initial = "-1", .min = -1, .max = INT16_MAX,
     FIELD(defaults.replication_factor), .kafka = "default.replication.factor",
     .about = "Copies of a topic that does not say; -1: three, or as many as "
              "there are brokers."},

    {.path = "limits.memory", .type = SETTING_MEMORY, .initial = "25%",
     .min = 16 * MIB, .max = INT64_MAX, FIELD(limits.memory_bytes),
     .about = "Memory for requests and answers in flight."},
    {.path = "limits.connections", .type = SETTING_INT, .initial = "10000",
     .min = 1, .max = 1000000, FIELD(limits.connections),
     .kafka = "max.connections", .about = "Connections at one time."},
    {.path = "limits.connections_per_ip", .type = SETTING_INT,
     .initial = "1000", .min = 1, .max = 1000000,
     FIELD(limits.connections_per_ip), .kafka = "max.connections.per.ip",
     .about = "Connections at one time from one address beyond loopback."},
    {.path = "limits.frame", .type = SETTING_SIZE, .initial = "100MiB",
     .min = 16 * KIB, .max = INT32_MAX, FIELD(limits.frame_bytes),
     .kafka = "socket.request.max.bytes", .about = "The largest request."},
    {.path = "limits.idle", .type = SETTING_DURATION, .initial = "10m",
     .min = SECOND, .max = 365 * DAY, FIELD(limits.idle_ms),
     .kafka = "connections.max.idle.ms",
     .about = "A connection that is silent so long is closed."},
    {.path = "limits.frame_wait", .type = SETTING_DURATION, .initial = "30s",
     .min = SECOND, .max = DAY, FIELD(limits.frame_ms),
     .about = "A connection that stops so long inside a request is closed."},
    {.path = "limits.loops", .type = SETTING_INT, .initial = "0", .min = 0,
     .max = 16, FIELD(limits.loops), .kafka = "num.network.threads",
     .about = "Worker threads; 0: by the number of processors."},
    {.path = "limits.disk_threads", .type = SETTING_INT, .initial = "4",
     .min = 1, .max = 64, FIELD(limits.disk_threads), .kafka = "num.io.threads",
     .about = "Threads that wait for disks."},
    {.path = "limits.fetch_sessions", .type = SETTING_INT, .initial = "1000",
     .min = 0, .max = 1000000, FIELD(limits.fetch_sessions),
     .kafka = "max.incremental.fetch.session.cache.slots",
     .about = "Consumers whose position is remembered between fetches."},
    {.path = "limits.partitions_per_topic", .type = SETTING_INT,
     .initial = "10000", .min = 1, .max = 100000,
     FIELD(limits.partitions_per_topic),
     .about = "The most partitions that a topic may have."},
    {.path = "limits.partitions", .type = SETTING_INT, .initial = "200000",
     .min = 1, .max = 1000000, FIELD(limits.partitions),
     .about = "The most partitions of all topics together."},
    {.path = "limits.groups", .type = SETTING_INT, .initial = "50000",
     .min = 1, .max = 1000000, FIELD(limits.groups),
     .about = "The most consumer groups."},
    {.path = "limits.producer_ids", .type = SETTING_INT, .initial = "10000",
     .min = 1, .max = 1000000, FIELD(limits.producer_ids_per_partition),
     .about = "Idempotent producers that a partition remembers."},

    {.path = "coordinator.initial_rebalance_delay", .type = SETTING_DURATION,
     .initial = "3s", .min = 0, .max = 60 * (int64_t)MINUTE,
     FIELD(coordinator.initial_rebalance_delay_ms),
     .kafka = "group.initial.rebalance.delay.ms",
     .about = "How long a new group waits for more members."},
    {.path = "coordinator.session_min", .type = SETTING_DURATION,
     .initial = "6s", .min = 1, .max = INT32_MAX,
     FIELD(coordinator.session_ms_min), .kafka = "group.min.session.timeout.ms",
     .about = "The shortest session time-out that a member may ask for."},
    {.path = "coordinator.session_max", .type = SETTING_DURATION,
     .initial = "30m", .min = 1, .max = INT32_MAX,
     FIELD(coordinator.session_ms_max), .kafka = "group.max.session.timeout.ms",
     .about = "The longest session time-out that a member may ask for."},
    {.path = "coordinator.group_members", .type = SETTING_INT,
     .initial = "5000", .min = 1, .max = 1000000,
     FIELD(coordinator.group_members), .kafka = "group.max.size",
     .about = "The most members of a group."},
    {.path = "coordinator.offset_metadata", .type = SETTING_SIZE,
     .initial = "4KiB", .min = 0, .max = MIB,
     FIELD(coordinator.offset_metadata_bytes),
     .kafka = "offset.metadata.max.bytes",
     .about = "The most text beside a committed offset."},
};
const size_t settings_scalar_count = ARRAY_COUNT(settings_scalars);
static_assert(ARRAY_COUNT(settings_scalars) <= SETTINGS_SCALARS_MAX,
              "every setting has a slot");

const struct setting settings_of_listener[LISTENER_FIELDS] = {
    [LISTENER_NAME] = {.path = "name", .type = SETTING_TEXT,
                       .initial = "PLAINTEXT", .min = 1, .max = 64,
                       OF(struct listener_given, name),
                       .about = "What the listener is called."},
    [LISTENER_BIND] = {.path = "bind", .type = SETTING_TEXT, .min = 1,
                       .max = 64, OF(struct listener_given, bind),
                       .about = "The address and port to listen on."},
    [LISTENER_ADVERTISE] = {.path = "advertise", .type = SETTING_TEXT,
                            .initial = "", .max = 300,
                            OF(struct listener_given, advertise),
                            .about = "The address that clients are told; by "
                                     "default the one they connected to."},
    [LISTENER_ALLOW_INSECURE] = {.path = "allow_insecure",
                                 .type = SETTING_FLAG, .initial = "false",
                                 OF(struct listener_given, allow_insecure),
                                 .about = "Whether it may be reachable without "
                                          "authentication."},
};

const struct setting settings_of_topic[TOPIC_FIELDS] = {
    [TOPIC_PARTITIONS] = {.path = "partitions", .type = SETTING_INT,
                          .initial = "-1", .min = 1, .max = 100000,
                          OF(struct settings_topic, partitions),
                          .about = "How many; by default defaults.partitions."},
    [TOPIC_REPLICATION_FACTOR] = {.path = "replication_factor",
                                  .type = SETTING_INT, .initial = "-1",
                                  .min = 1, .max = INT16_MAX,
                                  OF(struct settings_topic, replication_factor),
                                  .about = "How many copies."},
    [TOPIC_STATE] = {.path = "state", .type = SETTING_WORD,
                     .initial = "present", OF(struct topic_given, state),
                     .words = settings_state_words,
                     .about = "\"absent\": not created at start."},
};

const char *const settings_roots[] = {
    "node",        "listeners", "storage",  "defaults", "limits",
    "coordinator", "topics",    "cluster",  "security", "plugins",
    "groups",      "auto_create", "allow_insecure",
};
const size_t settings_root_count = ARRAY_COUNT(settings_roots);

/* What plugins, security, clusters and plan/apply will bring. A '*' is one
 * name; what lies below a path is meant too. */
static const char *const settings_later[] = {
    "apply_on_start",       "cluster",          "config_mode",
    "drift",                "groups",           "limits.plugin_memory",
    "limits.plugin_threads", "listeners.*.http", "listeners.*.sasl",
    "listeners.*.tls",      "plugins",          "security",
    "storage.sqlite",       "topics.*.config_mode",
    "topics.*.dead_letter", "topics.*.drift",   "topics.*.partitioner",
    "topics.*.routes",      "topics.*.serializers",
    "topics.*.views",
};

static bool settings_is_below(const char *path, const char *pattern)
{
    while (*pattern != '\0') {
        if (*pattern == '*') {
            /* A topic's name may hold dots: the rest decides. */
            for (const char *at = path; *at != '\0'; at++) {
                if (*at == '.' && settings_is_below(at, pattern + 1)) {
                    return true;
                }
            }
            return false;
        }
        if (*path++ != *pattern++) {
            return false;
        }
    }
    return *path == '\0' || *path == '.';
}

bool settings_is_later(const char *path)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings_later); i++) {
        if (settings_is_below(path, settings_later[i])) {
            return true;
        }
    }
    return false;
}
