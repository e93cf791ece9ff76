/* settings_table.c - the table of all settings.
 *
 * A setting is one entry here and one field in struct settings: its path in
 * config.lua and for --set, its field, its default (as one would write it), its
 * limits, Kafka's name where Kafka has one, and a sentence. Topic configs have
 * a table of their own: meta/topic_config_core.c. */
#include "broker/settings_private.h"

#define ENTRY(PATH, TYPE, STRUCT, MEMBER, INITIAL, MIN, MAX, KAFKA, ABOUT)     \
    {                                                                          \
        .path = PATH, .type = SETTING_##TYPE, .initial = INITIAL, .min = MIN,  \
        .max = MAX, .offset = offsetof(STRUCT, MEMBER),                        \
        .bytes = sizeof(((STRUCT *)0)->MEMBER), .kafka = KAFKA, .about = ABOUT \
    }
#define SETTING(PATH, TYPE, MEMBER, INITIAL, MIN, MAX, KAFKA, ABOUT)           \
    ENTRY(PATH, TYPE, struct settings, MEMBER, INITIAL, MIN, MAX, KAFKA, ABOUT)
#define WORD(PATH, STRUCT, MEMBER, INITIAL, WORDS, KAFKA, ABOUT)               \
    {                                                                          \
        .path = PATH, .type = SETTING_WORD, .initial = INITIAL,                \
        .offset = offsetof(STRUCT, MEMBER),                                    \
        .bytes = sizeof(((STRUCT *)0)->MEMBER), .words = WORDS,                \
        .kafka = KAFKA, .about = ABOUT                                         \
    }
#define TOPIC_CONFIG(PATH, NAME, ABOUT)                                        \
    {                                                                          \
        .path = PATH, .type = SETTING_CONFIG, .initial = "", .config = NAME,   \
        .about = ABOUT                                                         \
    }

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR,
    MILLION = 1000000,
};

static const char *const settings_auto_create_words[] = {"loopback", "true",
                                                         "false", NULL};
static const char *const settings_state_words[] = {"present", "absent", NULL};

const struct setting settings_scalars[] = {
    SETTING("node.id", INT, node.id, "1", 0, INT32_MAX, "node.id",
            "This node's number; never changed once there is data."),
    SETTING("node.rack", TEXT, node.rack, "", 0, 255, "broker.rack",
            "Where the node stands, as clients are told."),
    SETTING("node.data_dir", TEXT, node.data_dir, "./data", 1, 4000, NULL,
            "The folder of everything; relative to the file that says so."),

    WORD("auto_create", struct settings, auto_create, "loopback",
         settings_auto_create_words, "auto.create.topics.enable",
         "Whether asking for a topic that is not there creates it."),
    SETTING("allow_insecure", FLAG, allow_insecure, "false", 0, 1, NULL,
            "Whether listeners without authentication may be reachable."),

    TOPIC_CONFIG("storage.segment", "segment.bytes",
                 "A file of a log ends at this size."),
    TOPIC_CONFIG("storage.segment_age", "segment.ms",
                 "A file of a log ends at this age."),
    TOPIC_CONFIG("storage.flush", "tidemark.flush",
                 "When an answer may leave: \"commit\", once the records are "
                 "on disk, or \"async\"."),
    SETTING("storage.retention_check", DURATION, storage.retention_check_ms,
            "5m", 10, DAY, "log.retention.check.interval.ms",
            "How often old segments are looked for."),

    SETTING("defaults.partitions", INT, defaults.partitions, "1", 1, 100000,
            "num.partitions", "Partitions of a topic that does not say."),
    SETTING("defaults.replication_factor", INT, defaults.replication_factor,
            "-1", -1, INT16_MAX, "default.replication.factor",
            "Copies of a topic that does not say; -1: three, or as many as "
            "there are brokers."),

    SETTING("limits.memory", MEMORY, limits.memory_bytes, "25%", 16 * MIB,
            INT64_MAX, NULL, "Memory for requests and answers in flight."),
    SETTING("limits.connections", INT, limits.connections, "10000", 1, MILLION,
            "max.connections", "Connections at one time."),
    SETTING("limits.connections_per_ip", INT, limits.connections_per_ip, "1000",
            1, MILLION, "max.connections.per.ip",
            "Connections at one time from one address beyond loopback."),
    SETTING("limits.frame", SIZE, limits.frame_bytes, "100MiB", 16 * KIB,
            INT32_MAX, "socket.request.max.bytes", "The largest request."),
    SETTING("limits.idle", DURATION, limits.idle_ms, "10m", SECOND,
            365 * (int64_t)DAY, "connections.max.idle.ms",
            "A connection that is silent so long is closed."),
    SETTING("limits.frame_wait", DURATION, limits.frame_ms, "30s", SECOND, DAY,
            NULL,
            "A connection that stops so long inside a request is "
            "closed."),
    SETTING("limits.loops", INT, limits.loops, "0", 0, 16,
            "num.network.threads",
            "Worker threads; 0: by the number of processors."),
    SETTING("limits.disk_threads", INT, limits.disk_threads, "4", 1, 64,
            "num.io.threads", "Threads that wait for disks."),
    SETTING("limits.fetch_sessions", INT, limits.fetch_sessions, "1000", 0,
            MILLION, "max.incremental.fetch.session.cache.slots",
            "Consumers whose position is remembered between fetches."),
    SETTING("limits.partitions_per_topic", INT, limits.partitions_per_topic,
            "10000", 1, 100000, NULL,
            "The most partitions that a topic may have."),
    SETTING("limits.partitions", INT, limits.partitions, "200000", 1, MILLION,
            NULL, "The most partitions of all topics together."),
    SETTING("limits.producers", INT, limits.producers, "10000", 1, MILLION,
            NULL,
            "The most idempotent producers that a partition remembers, for "
            "duplicates: the one that was silent longest goes first."),
    SETTING("limits.groups", INT, limits.groups, "50000", 1, MILLION, NULL,
            "The most consumer groups."),
    SETTING("limits.slow_request", DURATION, limits.slow_request_ms, "0", 0,
            DAY, NULL,
            "A request that takes so long is told of on stderr, with the "
            "time of each step; 0: none."),

    SETTING("coordinator.initial_rebalance_delay", DURATION,
            coordinator.initial_rebalance_delay_ms, "3s", 0, HOUR,
            "group.initial.rebalance.delay.ms",
            "How long a new group waits for more members."),
    SETTING("coordinator.session_min", DURATION, coordinator.session_ms_min,
            "6s", 1, INT32_MAX, "group.min.session.timeout.ms",
            "The shortest session time-out that a member may ask for."),
    SETTING("coordinator.session_max", DURATION, coordinator.session_ms_max,
            "30m", 1, INT32_MAX, "group.max.session.timeout.ms",
            "The longest session time-out that a member may ask for."),
    SETTING("coordinator.group_members", INT, coordinator.group_members, "5000",
            1, MILLION, "group.max.size",
            "The most members of a group; together they may have 8 MiB of "
            "subscriptions and assignments."),
    SETTING("coordinator.offset_metadata", SIZE,
            coordinator.offset_metadata_bytes, "4KiB", 0, MIB,
            "offset.metadata.max.bytes",
            "The most text beside a committed offset."),
};
const size_t settings_scalar_count = ARRAY_COUNT(settings_scalars);
static_assert(ARRAY_COUNT(settings_scalars) <= SETTINGS_SCALARS_MAX,
              "every setting has a slot");

const struct setting settings_of_listener[LISTENER_FIELDS] = {
    [LISTENER_NAME] =
        ENTRY("name", TEXT, struct listener_given, name, "PLAINTEXT", 1, 64,
              NULL, "What the listener is called."),
    [LISTENER_BIND] =
        ENTRY("bind", TEXT, struct listener_given, bind, NULL, 1, 64, NULL,
              "The address and port to listen on; port 0: any that is free."),
    [LISTENER_ADVERTISE] = ENTRY(
        "advertise", TEXT, struct listener_given, advertise, "", 0, 300, NULL,
        "The address that clients are told; by default the one "
        "they connected to."),
    [LISTENER_ALLOW_INSECURE] = ENTRY(
        "allow_insecure", FLAG, struct listener_given, allow_insecure, "false",
        0, 1, NULL, "Whether it may be reachable without authentication."),
};

const struct setting settings_of_topic[TOPIC_FIELDS] = {
    [TOPIC_PARTITIONS] =
        ENTRY("partitions", INT, struct settings_topic, partitions, "-1", 1,
              100000, NULL, "How many; by default defaults.partitions."),
    [TOPIC_REPLICATION_FACTOR] =
        ENTRY("replication_factor", INT, struct settings_topic,
              replication_factor, "-1", 1, INT16_MAX, NULL, "How many copies."),
    [TOPIC_STATE] =
        WORD("state", struct topic_given, state, "present",
             settings_state_words, NULL, "\"absent\": not created at start."),
};

const char *const settings_roots[] = {
    "node",        "listeners",   "storage",        "defaults", "limits",
    "coordinator", "topics",      "cluster",        "security", "plugins",
    "groups",      "auto_create", "allow_insecure",
};
const size_t settings_root_count = ARRAY_COUNT(settings_roots);

/* What plugins, security, clusters and plan/apply will bring. A '*' is one
 * name; what lies below a path is meant too. */
static const char *const settings_later[] = {
    "apply_on_start",
    "cluster",
    "config_mode",
    "drift",
    "groups",
    "limits.plugin_memory",
    "limits.plugin_threads",
    "listeners.*.http",
    "listeners.*.sasl",
    "listeners.*.tls",
    "plugins",
    "security",
    "storage.sqlite",
    "topics.*.config_mode",
    "topics.*.dead_letter",
    "topics.*.drift",
    "topics.*.partitioner",
    "topics.*.routes",
    "topics.*.serializers",
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
