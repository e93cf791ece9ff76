/* topic_config_core.h - the configs of a topic: names, types, limits, defaults.
 *
 * One table holds every topic config of Kafka's and ours ("tidemark.*"). Most
 * are honoured; a few are known and fixed in this version: they are accepted
 * with their default value only and refused by name with any other, so that
 * nobody believes in something that does not happen. Values are texts on the
 * wire, in commands and in SQLite; struct topic_settings is what they mean.
 * Pure; any thread.
 * Source: Kafka's topic configs, 4.4; design decisions 6, 18, 19. */
#ifndef META_TOPIC_CONFIG_CORE_H
#define META_TOPIC_CONFIG_CORE_H

#include "base/arena.h"
#include "base/err.h"

enum topic_flush { TOPIC_FLUSH_COMMIT, TOPIC_FLUSH_ASYNC };
enum topic_timestamp { TOPIC_CREATE_TIME, TOPIC_LOG_APPEND_TIME };
enum topic_cleanup { TOPIC_CLEANUP_DELETE = 1, TOPIC_CLEANUP_COMPACT = 2 };

/* compression.type: -1, or the codec's number in a record batch. */
enum topic_compression {
    TOPIC_COMPRESSION_PRODUCER = -1,
    TOPIC_COMPRESSION_NONE,
    TOPIC_COMPRESSION_GZIP,
    TOPIC_COMPRESSION_SNAPPY,
    TOPIC_COMPRESSION_LZ4,
    TOPIC_COMPRESSION_ZSTD,
};

/* What the configs of one topic come to. All numbers, enums too, so that the
 * table can reach them; -1 for ever or any size where Kafka says so. */
struct topic_settings {
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_index_bytes;
    int64_t index_interval_bytes;
    int64_t retention_bytes;
    int64_t retention_ms;
    int64_t file_delete_delay_ms;
    int64_t flush;          /* enum topic_flush */
    int64_t flush_messages; /* tightens async; INT64_MAX: never by count */
    int64_t flush_ms;       /* tightens async; INT64_MAX: never by time */
    int64_t cleanup_policy; /* enum topic_cleanup, or-ed */
    int64_t max_message_bytes;
    int64_t timestamp_type; /* enum topic_timestamp */
    int64_t timestamp_before_ms_max;
    int64_t timestamp_after_ms_max;
    int64_t min_insync_replicas;
    int64_t compression_type; /* enum topic_compression */
    int64_t gzip_level;       /* -1: the library's default */
    int64_t lz4_level;
    int64_t zstd_level;
};

/* The numbers that DescribeConfigs uses for types. */
enum topic_config_type {
    TOPIC_CONFIG_BOOLEAN = 1,
    TOPIC_CONFIG_STRING = 2,
    TOPIC_CONFIG_INT = 3,
    TOPIC_CONFIG_LONG = 5,
    TOPIC_CONFIG_DOUBLE = 6,
    TOPIC_CONFIG_LIST = 7,
};

/* A word that a config of type string or list may have. */
struct topic_config_word {
    const char *text;
    int64_t value;
};

struct topic_config {
    const char *name;
    const char *broker_name; /* Kafka's broker config behind it; NULL: none */
    const char *about;       /* one sentence */
    enum topic_config_type type;
    bool fixed;             /* known, not in this version */
    const char *fixed_text; /* the only accepted value of a fixed one */
    int64_t initial;        /* the default of a broker that was told nothing */
    int64_t min;
    int64_t max;
    const struct topic_config_word *words; /* ends with a NULL text */
    size_t field; /* offset in struct topic_settings; of honoured ones */
};

/* Of the table. */
size_t topic_config_count(void);
/* In the order of their names. index: below topic_config_count(). */
const struct topic_config *topic_config_at(size_t index);
/* NULL when there is none of this name. */
const struct topic_config *topic_config_find(struct str name);

/* All honoured configs at their defaults. */
void topic_settings_init(struct topic_settings *settings);

/* Sets what `name=value` says. A fixed config with its one value sets nothing.
 *
 * settings: may be NULL: only checks.
 * Errors: ERR_INVALID_CONFIG, why says which name, what is wrong, and the
 *         nearest name when there is none like it. */
MUST_USE enum err topic_config_set(struct topic_settings *settings,
                                   struct str name, struct str value,
                                   struct why *why);

/* The value of a config as Kafka writes it. In the arena, or constant. */
struct str topic_config_text(const struct topic_config *config,
                             const struct topic_settings *settings,
                             struct arena *arena);

/* Whether a topic may have this name: 1 to 249 of [A-Za-z0-9._-], neither "."
 * nor "..".
 * Errors: ERR_INVALID_TOPIC_EXCEPTION. */
MUST_USE enum err topic_name_check(struct str name, struct why *why);

/* Names that are never a client's to create, produce to or delete: those of
 * Kafka's internal topics and its quorum, and "__lanes." of ours. */
bool topic_name_is_reserved(struct str name);

enum { TOPIC_NAME_BYTES_MAX = 249 };

#endif
