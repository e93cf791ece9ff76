/* settings.h - what config.lua and --set say, checked, as plain data.
 *
 * The order is: default, file, --set. The table of all settings (path, type,
 * unit, default, limits, Kafka's name, a sentence) is settings_table.c; nothing
 * else knows a default. Read once at start, before any port or folder is
 * opened, and constant from then on: any thread may read it. All memory belongs
 * to the struct settings and ends with settings_free(). */
#ifndef BROKER_SETTINGS_H
#define BROKER_SETTINGS_H

#include "base/arena.h"
#include "base/err.h"

enum settings_auto_create {
    AUTO_CREATE_LOOPBACK, /* for clients of loopback listeners only */
    AUTO_CREATE_ON,
    AUTO_CREATE_OFF,
};

struct settings_listener {
    const char *name;      /* "PLAINTEXT" unless named */
    const char *bind_host; /* an IPv4 or IPv6 address, without brackets */
    uint16_t bind_port;    /* 0: any that is free */
    /* What Metadata tells clients; NULL and 0: the address and port that the
     * client has connected to. */
    const char *advertise_host;
    uint16_t advertise_port; /* 0: the one that was bound */
    bool loopback;           /* bind_host is 127.0.0.0/8 or ::1 */
    bool optional; /* the default [::1]: skipped where there is no IPv6 */
};

/* A topic config, checked, the value as Kafka would write it: "604800000". */
struct settings_config {
    const char *name;
    const char *value;
};

struct settings_configs {
    struct settings_config *items;
    size_t count;
};

struct settings_topic {
    const char *name;
    int32_t partitions;         /* -1: defaults.partitions */
    int16_t replication_factor; /* -1: defaults.replication_factor */
    struct settings_configs configs;
    bool absent; /* state = "absent": not created at start */
};

struct settings {
    const char *config_path; /* NULL: no file was read */

    struct {
        int32_t id;           /* 0 or above */
        const char *rack;     /* "" : none */
        const char *data_dir; /* absolute, or relative to the current folder */
    } node;

    struct settings_listener *listeners; /* at least one */
    size_t listener_count;

    struct {
        int64_t retention_check_ms;
    } storage;

    struct {
        int32_t partitions;
        int16_t replication_factor; /* -1: min(3, brokers) */
        /* What topics get that do not say otherwise; what storage.segment,
         * storage.segment_age and storage.flush say stands here, as
         * "segment.bytes", "segment.ms" and "tidemark.flush". */
        struct settings_configs configs;
    } defaults;

    struct {
        uint64_t memory_bytes;       /* of requests in flight, all loops */
        uint32_t connections;        /* at one time */
        uint32_t connections_per_ip; /* never counted on loopback */
        uint32_t frame_bytes;        /* of one request */
        int64_t idle_ms;             /* a connection without a request */
        int64_t frame_ms;            /* for the rest of a begun frame */
        uint32_t loops;              /* 0: by the number of processors */
        uint32_t disk_threads;
        uint32_t fetch_sessions;
        uint32_t partitions_per_topic;
        uint32_t partitions; /* of the whole broker */
        uint32_t producers;  /* idempotent ones, of one partition */
        uint32_t groups;
        int64_t slow_request_ms; /* told of on stderr; 0: none */
    } limits;

    struct {
        int64_t initial_rebalance_delay_ms;
        int64_t session_ms_min;
        int64_t session_ms_max;
        uint32_t group_members; /* of one group */
        uint32_t offset_metadata_bytes;
    } coordinator;

    enum settings_auto_create auto_create;

    struct settings_topic *topics; /* sorted by name */
    size_t topic_count;

    bool allow_insecure; /* private from here on */
    struct arena arena;  /* holds all of the above */
};

/* Where the values come from. All borrowed until settings_load() returns. */
struct settings_input {
    const char *config_path; /* NULL: no file */
    const char *const *sets; /* "path=value", in the order given */
    size_t set_count;
    uint64_t machine_bytes;               /* what "25%" is a part of */
    const char *(*env)(const char *name); /* NULL: getenv() */
};

/* Evaluates and checks. On success *out is the caller's, with settings_free().
 *
 * report: takes one line each, all of them at once, "FILE:LINE: path: text"
 *         (a --set is "--set: path: text"); allocated with mem_, never NULL,
 *         empty on success.
 * Errors: ERR_INVALID (see report; also where there is no such file). */
MUST_USE enum err settings_load(const struct settings_input *input,
                                struct settings **out, char **report);

/* settings: NULL is accepted. */
void settings_free(struct settings *settings);

/* All settings, a line each: path, default, sentence; from mem_. */
char *settings_describe(void);

#endif
