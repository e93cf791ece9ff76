/* topic_config_core.c - one table, and what reads it.
 *
 * Adding a config that Kafka has but we only know: a line of KNOWN(). Making
 * it real: turn the line into a field of struct topic_settings. The table is
 * sorted by name: topic_config_find() halves it. */
#include "meta/topic_config_core.h"

#include "base/mem.h"
#include "base/must.h"

static const struct topic_config_word flush_words[] = {
    {"commit", TOPIC_FLUSH_COMMIT}, {"async", TOPIC_FLUSH_ASYNC}, {NULL, 0}};

static const struct topic_config_word timestamp_words[] = {
    {"CreateTime", TOPIC_CREATE_TIME},
    {"LogAppendTime", TOPIC_LOG_APPEND_TIME},
    {NULL, 0}};

static const struct topic_config_word compression_words[] = {
    {"producer", TOPIC_COMPRESSION_PRODUCER},
    {"uncompressed", TOPIC_COMPRESSION_NONE},
    {"gzip", TOPIC_COMPRESSION_GZIP},
    {"snappy", TOPIC_COMPRESSION_SNAPPY},
    {"lz4", TOPIC_COMPRESSION_LZ4},
    {"zstd", TOPIC_COMPRESSION_ZSTD},
    {NULL, 0}};

/* Compaction is known, not in this version: the word is missing here. */
static const struct topic_config_word cleanup_words[] = {
    {"delete", TOPIC_CLEANUP_DELETE}, {NULL, 0}};

#define FIELD(member) offsetof(struct topic_settings, member)
#define NUMBER(NAME, BROKER, TYPE, MEMBER, INITIAL, MIN, ABOUT)                \
    {                                                                          \
        .name = NAME, .broker_name = BROKER, .about = ABOUT,                   \
        .type = TOPIC_CONFIG_##TYPE, .initial = INITIAL, .min = MIN,           \
        .max =                                                                 \
            TOPIC_CONFIG_##TYPE == TOPIC_CONFIG_INT ? INT32_MAX : INT64_MAX,   \
        .field = FIELD(MEMBER)                                                 \
    }
#define RANGE(NAME, BROKER, MEMBER, INITIAL, MIN, MAX, ABOUT)                  \
    {                                                                          \
        .name = NAME, .broker_name = BROKER, .about = ABOUT,                   \
        .type = TOPIC_CONFIG_INT, .initial = INITIAL, .min = MIN, .max = MAX,  \
        .field = FIELD(MEMBER)                                                 \
    }
#define WORD(NAME, BROKER, TYPE, MEMBER, INITIAL, WORDS, ABOUT)                \
    {                                                                          \
        .name = NAME, .broker_name = BROKER, .about = ABOUT,                   \
        .type = TOPIC_CONFIG_##TYPE, .initial = INITIAL, .words = WORDS,       \
        .field = FIELD(MEMBER)                                                 \
    }
#define KNOWN(NAME, BROKER, TYPE, TEXT, ABOUT)                                 \
    {                                                                          \
        .name = NAME, .broker_name = BROKER, .about = ABOUT,                   \
        .type = TOPIC_CONFIG_##TYPE, .fixed = true, .fixed_text = TEXT         \
    }

static const struct topic_config configs[] = {
    WORD("cleanup.policy", "log.cleanup.policy", LIST, cleanup_policy,
         TOPIC_CLEANUP_DELETE, cleanup_words,
         "what becomes of old segments; this version deletes them"),
    RANGE("compression.gzip.level", "compression.gzip.level", gzip_level, -1,
          -1, 9, "level for batches that the broker compresses; -1: default"),
    RANGE("compression.lz4.level", "compression.lz4.level", lz4_level, 9, 1, 17,
          "level for batches that the broker compresses"),
    WORD("compression.type", "compression.type", STRING, compression_type,
         TOPIC_COMPRESSION_PRODUCER, compression_words,
         "the codec on disk; producer: as the batch came"),
    RANGE("compression.zstd.level", "compression.zstd.level", zstd_level, 3,
          -131072, 22, "level for batches that the broker compresses"),
    KNOWN("delete.retention.ms", "log.cleaner.delete.retention.ms", LONG,
          "86400000", "how long compaction keeps tombstones"),
    KNOWN("errors.deadletterqueue.group.enable", NULL, BOOLEAN, "false",
          "whether share groups may send dead letters here"),
    NUMBER("file.delete.delay.ms", "log.segment.delete.delay.ms", LONG,
           file_delete_delay_ms, 60000, 0,
           "how long a deleted segment's file stays"),
    NUMBER("flush.messages", "log.flush.interval.messages", LONG,
           flush_messages, INT64_MAX, 1,
           "with tidemark.flush=async: sync after so many records"),
    NUMBER("flush.ms", "log.flush.interval.ms", LONG, flush_ms, INT64_MAX, 0,
           "with tidemark.flush=async: sync after so long"),
    KNOWN("follower.replication.throttled.replicas", NULL, LIST, "",
          "replicas whose fetching is throttled"),
    NUMBER("index.interval.bytes", "log.index.interval.bytes", INT,
           index_interval_bytes, 4096, 0,
           "bytes of records between two entries of an index"),
    KNOWN("leader.replication.throttled.replicas", NULL, LIST, "",
          "replicas whose serving is throttled"),
    KNOWN("local.retention.bytes", "log.local.retention.bytes", LONG, "-2",
          "bytes kept here of a topic with remote storage"),
    KNOWN("local.retention.ms", "log.local.retention.ms", LONG, "-2",
          "time kept here of a topic with remote storage"),
    KNOWN("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", LONG,
          "9223372036854775807", "a record is compacted at the latest then"),
    NUMBER("max.message.bytes", "message.max.bytes", INT, max_message_bytes,
           1048588, 0, "the largest record batch that is accepted"),
    NUMBER("message.timestamp.after.max.ms",
           "log.message.timestamp.after.max.ms", LONG, timestamp_after_ms_max,
           3600000, 0, "how far ahead of the clock a timestamp may be"),
    NUMBER("message.timestamp.before.max.ms",
           "log.message.timestamp.before.max.ms", LONG, timestamp_before_ms_max,
           INT64_MAX, 0, "how far behind the clock a timestamp may be"),
    WORD("message.timestamp.type", "log.message.timestamp.type", STRING,
         timestamp_type, TOPIC_CREATE_TIME, timestamp_words,
         "whose clock the timestamps are from"),
    KNOWN("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio",
          DOUBLE, "0.5", "the part of a log that starts a compaction"),
    KNOWN("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", LONG,
          "0", "a record is compacted at the earliest then"),
    NUMBER("min.insync.replicas", "min.insync.replicas", INT,
           min_insync_replicas, 1, 1,
           "with acks=all: replicas that must have a record; a new topic gets "
           "half its replication factor, plus one"),
    KNOWN("preallocate", "log.preallocate", BOOLEAN, "false",
          "whether a segment's file is made at full size"),
    KNOWN("remote.copy.lag.bytes", "log.remote.copy.lag.bytes", LONG, "-1",
          "bytes that remote storage may be behind"),
    KNOWN("remote.copy.lag.ms", "log.remote.copy.lag.ms", LONG, "0",
          "time that remote storage may be behind"),
    KNOWN("remote.log.copy.disable", NULL, BOOLEAN, "false",
          "whether copying to remote storage pauses"),
    KNOWN("remote.log.delete.on.disable", NULL, BOOLEAN, "false",
          "whether remote data goes with remote storage"),
    KNOWN("remote.storage.enable", NULL, BOOLEAN, "false",
          "whether segments move to remote storage"),
    NUMBER("retention.bytes", "log.retention.bytes", LONG, retention_bytes, -1,
           -1, "bytes kept of each partition; -1: any size"),
    NUMBER("retention.ms", "log.retention.ms", LONG, retention_ms, 604800000,
           -1, "how long records are kept; -1: for ever"),
    NUMBER("segment.bytes", "log.segment.bytes", INT, segment_bytes, 1073741824,
           1048576, "a segment's file ends at this size"),
    NUMBER("segment.index.bytes", "log.index.size.max.bytes", INT,
           segment_index_bytes, 10485760, 4,
           "the size of a full index; below 4 KiB as 4 KiB"),
    KNOWN("segment.jitter.ms", "log.roll.jitter.ms", LONG, "0",
          "a random part of segment.ms"),
    NUMBER("segment.ms", "log.roll.ms", LONG, segment_ms, 604800000, 1,
           "a segment's file ends at this age; not below a second"),
    WORD("tidemark.flush", NULL, STRING, flush, TOPIC_FLUSH_COMMIT, flush_words,
         "commit: acknowledged means on disk; async: as Kafka does it"),
    KNOWN("unclean.leader.election.enable", "unclean.leader.election.enable",
          BOOLEAN, "false", "whether a replica that lost records may lead"),
};

size_t topic_config_count(void)
{
    return ARRAY_COUNT(configs);
}

const struct topic_config *topic_config_at(size_t index)
{
    must(index < ARRAY_COUNT(configs));
    return &configs[index];
}

const struct topic_config *topic_config_find(struct str name)
{
    size_t low = 0;
    size_t high = ARRAY_COUNT(configs);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(str_of(configs[middle].name), name);

        if (order == 0) {
            return &configs[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static int64_t *topic_config_field(const struct topic_config *config,
                                   struct topic_settings *settings)
{
    return (int64_t *)(void *)((char *)settings + config->field);
}

void topic_settings_init(struct topic_settings *settings)
{
    *settings = (struct topic_settings){0};
    for (size_t i = 0; i < ARRAY_COUNT(configs); i++) {
        if (!configs[i].fixed) {
            *topic_config_field(&configs[i], settings) = configs[i].initial;
        }
    }
}

static enum err topic_config_unknown(struct str name, struct why *why)
{
    const char *nearest = NULL;
    unsigned best = 4;

    for (size_t i = 0; i < ARRAY_COUNT(configs); i++) {
        unsigned distance = str_distance(name, str_of(configs[i].name), best);

        if (distance < best) {
            best = distance;
            nearest = configs[i].name;
        }
    }
    if (nearest != NULL) {
        return why_set(why, ERR_INVALID_CONFIG,
                       "unknown topic config \"%.*s\": did you mean \"%s\"?",
                       STR_ARG(name), nearest);
    }
    return why_set(why, ERR_INVALID_CONFIG, "unknown topic config \"%.*s\"",
                   STR_ARG(name));
}

/* Java's parsers take blanks around a value: so do we. */
static struct str topic_config_trim(struct str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static bool topic_config_same(struct str a, struct str b, bool fold)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        char c = a.ptr[i];

        if (fold && c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if (c != b.ptr[i]) {
            return false;
        }
    }
    return true;
}

static enum err topic_config_fixed(const struct topic_config *config,
                                   struct str value, struct why *why)
{
    if (topic_config_same(value, str_of(config->fixed_text),
                          config->type == TOPIC_CONFIG_BOOLEAN)) {
        return ERR_NONE;
    }
    return why_set(why, ERR_INVALID_CONFIG,
                   "%s=%.*s is known, not in this version: only \"%s\" is",
                   config->name, STR_ARG(value), config->fixed_text);
}

static enum err topic_config_word(const struct topic_config *config,
                                  struct str value, int64_t *out,
                                  struct why *why)
{
    char *names;
    enum err err;

    for (const struct topic_config_word *w = config->words; w->text; w++) {
        if (str_eq(value, str_of(w->text))) {
            *out = w->value;
            return ERR_NONE;
        }
    }
    if (config->words == cleanup_words) {
        return why_set(why, ERR_INVALID_CONFIG,
                       "cleanup.policy=%.*s is known, not in this version: "
                       "only \"delete\" is",
                       STR_ARG(value));
    }
    names = mem_dupz(config->words[0].text);
    for (const struct topic_config_word *w = config->words + 1; w->text; w++) {
        char *longer = mem_printf("%s, %s", names, w->text);

        mem_free(names);
        names = longer;
    }
    err = why_set(why, ERR_INVALID_CONFIG, "%s=%.*s: must be one of %s",
                  config->name, STR_ARG(value), names);
    mem_free(names);
    return err;
}

static enum err topic_config_number(const struct topic_config *config,
                                    struct str value, int64_t *out,
                                    struct why *why)
{
    struct str digits = value;

    if (digits.len > 1 && digits.ptr[0] == '+' && digits.ptr[1] != '-') {
        digits = str_sub(digits.ptr + 1, digits.len - 1);
    }
    if (!str_to_i64(digits, out)) {
        return why_set(why, ERR_INVALID_CONFIG,
                       "%s=%.*s: must be a whole number", config->name,
                       STR_ARG(value));
    }
    if (*out < config->min) {
        return why_set(why, ERR_INVALID_CONFIG,
                       "%s=%.*s: must be at least %lld", config->name,
                       STR_ARG(value), (long long)config->min);
    }
    if (*out > config->max) {
        return why_set(why, ERR_INVALID_CONFIG, "%s=%.*s: must be at most %lld",
                       config->name, STR_ARG(value), (long long)config->max);
    }
    return ERR_NONE;
}

enum err topic_config_set(struct topic_settings *settings, struct str name,
                          struct str value, struct why *why)
{
    const struct topic_config *config = topic_config_find(name);
    int64_t number = 0;
    enum err err;

    if (config == NULL) {
        return topic_config_unknown(name, why);
    }
    if (str_is_null(value)) {
        return why_set(why, ERR_INVALID_CONFIG, "%s has no value",
                       config->name);
    }
    value = topic_config_trim(value);
    if (config->fixed) {
        return topic_config_fixed(config, value, why);
    }
    err = config->words != NULL
              ? topic_config_word(config, value, &number, why)
              : topic_config_number(config, value, &number, why);
    if (err == ERR_NONE && settings != NULL) {
        *topic_config_field(config, settings) = number;
    }
    return err;
}

struct str topic_config_text(const struct topic_config *config,
                             const struct topic_settings *settings,
                             struct arena *arena)
{
    int64_t value;

    if (config->fixed) {
        return str_of(config->fixed_text);
    }
    memcpy(&value, (const char *)settings + config->field, sizeof(value));
    if (config->words == NULL) {
        return arena_printf(arena, "%lld", (long long)value);
    }
    for (const struct topic_config_word *w = config->words; w->text; w++) {
        if (w->value == value) {
            return str_of(w->text);
        }
    }
    unreachable();
}

enum err topic_name_check(struct str name, struct why *why)
{
    if (name.len == 0) {
        return why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                       "a topic's name cannot be empty");
    }
    if (str_eq(name, STR_LIT(".")) || str_eq(name, STR_LIT(".."))) {
        return why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                       "a topic's name cannot be \".\" or \"..\"");
    }
    if (name.len > TOPIC_NAME_BYTES_MAX) {
        return why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                       "a topic's name cannot be longer than %d characters: "
                       "this one has %zu",
                       TOPIC_NAME_BYTES_MAX, name.len);
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) {
            return why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                           "a topic's name can have letters, digits, \".\", "
                           "\"_\" and \"-\" only: \"%.*s\" has something "
                           "else at position %zu",
                           STR_ARG(name), i);
        }
    }
    return ERR_NONE;
}

bool topic_name_is_reserved(struct str name)
{
    static const struct str whole[] = {
        {"__consumer_offsets", 18},
        {"__transaction_state", 19},
        {"__share_group_state", 19},
        {"__cluster_metadata", 18},
    };
    struct str lanes = STR_LIT("__lanes.");

    for (size_t i = 0; i < ARRAY_COUNT(whole); i++) {
        if (str_eq(name, whole[i])) {
            return true;
        }
    }
    return name.len >= lanes.len && memcmp(name.ptr, lanes.ptr, lanes.len) == 0;
}
