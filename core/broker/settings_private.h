/* settings_private.h - what the parts of settings_*.c share.
 *
 * Values are taken from the file and from --set first (settings_take.c): each
 * lands in the slot of its setting, whatever name it came under. Then every
 * slot is checked and stored (settings_check.c): a setting is checked once, by
 * one line of the table. */
#ifndef BROKER_SETTINGS_PRIVATE_H
#define BROKER_SETTINGS_PRIVATE_H

#include "broker/settings.h"
#include "script/complaint.h"

enum setting_type {
    SETTING_INT,
    SETTING_SIZE,     /* "256MiB", or a number of bytes */
    SETTING_MEMORY,   /* the same, or "25%" of the machine's memory */
    SETTING_DURATION, /* "3s"; a bare number only under a name that ends in
                         .ms */
    SETTING_TEXT,     /* min and max are bytes */
    SETTING_FLAG,     /* true or false */
    SETTING_WORD,     /* one of words: stored is its place in the list */
    SETTING_CONFIG,   /* stands for the topic config named in field_name */
};

/* A line of the table. */
struct setting {
    const char *path; /* "limits.memory"; in a listener or topic: "bind" */
    enum setting_type type;
    const char *initial; /* as in config.lua; NULL: must be given */
    int64_t min;
    int64_t max;
    size_t offset;            /* of the field in its struct ... */
    size_t bytes;             /* ... and its size */
    const char *const *words; /* of SETTING_WORD; ends with NULL */
    const char *kafka;        /* Kafka's name for it; NULL: none */
    const char *config;       /* of SETTING_CONFIG */
    const char *about;        /* one sentence */
};

/* Another name of Kafka's for a setting or "defaults.config.*", whose numbers
 * are so many of ours. */
struct setting_alias {
    const char *kafka;
    const char *path;
    int64_t factor;
};

struct setting_hint {
    const char *kafka;
    const char *instead;
};

enum setting_source { SETTING_NOT_GIVEN, SETTING_FROM_FILE, SETTING_FROM_SET };

/* A value that somebody gave, under the name that he used. */
struct setting_given {
    const struct value *value;
    const char *path;
    enum setting_source source;
};

/* A topic config that somebody gave. */
struct setting_config_given {
    const char *name;
    struct setting_given given;
    struct setting_config_given *next;
};

enum {
    SETTINGS_SCALARS_MAX = 40,
    SETTINGS_LISTENERS_MAX = 16,
    LISTENER_NAME = 0, /* the places of their fields in the table */
    LISTENER_BIND,
    LISTENER_ADVERTISE,
    LISTENER_ALLOW_INSECURE,
    LISTENER_FIELDS,
    TOPIC_PARTITIONS = 0,
    TOPIC_REPLICATION_FACTOR,
    TOPIC_STATE,
    TOPIC_FIELDS,
};

/* The fields of a listener as they are written. */
struct listener_given {
    struct value_place place;
    struct setting_given fields[LISTENER_FIELDS];
    /* Parsed from them: */
    const char *name;
    const char *bind;
    const char *advertise;
    bool allow_insecure;
};

struct topic_given {
    const char *name;
    struct value_place place;
    struct setting_given fields[TOPIC_FIELDS];
    struct setting_config_given *configs; /* newest first */
    int32_t state;                        /* parsed: 0 present, 1 absent */
    struct topic_given *next;
};

struct settings_work {
    struct settings *out;
    const struct settings_input *input;
    struct complaints complaints;
    struct setting_given scalars[SETTINGS_SCALARS_MAX];
    struct setting_config_given *configs; /* defaults.config */
    struct listener_given listeners[SETTINGS_LISTENERS_MAX];
    size_t listener_count;
    struct topic_given *topics;
    size_t topic_count;
};

/* settings_table.c */
extern const struct setting settings_scalars[];
extern const size_t settings_scalar_count;
extern const struct setting settings_of_listener[LISTENER_FIELDS];
extern const struct setting settings_of_topic[TOPIC_FIELDS];
/* The names of the globals of config.lua that have a meaning, also those that
 * this version lacks. */
extern const char *const settings_roots[];
extern const size_t settings_root_count;
/* Whether path is known but not in this version. */
bool settings_is_later(const char *path);

/* settings_kafka.c */
const struct setting_alias *settings_alias_find(struct str name);
const char *settings_kafka_hint(struct str name); /* NULL: none */
bool settings_is_kafka_name(struct str name);
const char *settings_kafka_nearest(struct str name);

/* settings_take.c */
void settings_take_file(struct settings_work *work, const struct value *root);
/* set: "PATH=VALUE". */
void settings_take_set(struct settings_work *work, const char *set);

/* settings_text.c: false when the text is none. */
MUST_USE bool settings_percent(struct str text, int64_t *percent);
/* "127.0.0.1:9092", "[::1]:9092", "name" (port 0). host: in the arena. */
MUST_USE bool settings_address(struct arena *arena, struct str text,
                               const char **host, uint16_t *port);

/* settings_check.c */
void settings_check(struct settings_work *work);
/* Parses what was given, or the default, into the field of base. False, and a
 * complaint, when it is wrong; the field then holds the default. */
bool settings_store(struct settings_work *work, const struct setting *setting,
                    const struct setting_given *given, void *base);

/* settings_configs.c: defaults.config, and the settings that stand for one of
 * it. */
void settings_check_configs(struct settings_work *work);
/* Checks topic configs into out, sorted; path for messages. */
void settings_store_configs(struct settings_work *work,
                            struct setting_config_given *given,
                            struct settings_configs *out);

/* settings_listeners.c, settings_topics.c */
void settings_check_listeners(struct settings_work *work);
void settings_check_topics(struct settings_work *work);

#endif
