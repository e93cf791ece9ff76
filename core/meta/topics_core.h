/* topics_core.h - all topics, by name and by id: a part of the state.
 *
 * Two names that differ only in "." and "_" would be one name to tools that
 * make metrics of them, so the second is refused, and one map, with "." read
 * as "_", serves for finding a name and for finding its collisions.
 * Pure; belongs to the control loop. */
#ifndef META_TOPICS_CORE_H
#define META_TOPICS_CORE_H

#include "base/map.h"
#include "meta/command_core.h"
#include "meta/rows_core.h"
#include "meta/topic_core.h"

enum {
    TOPIC_REPLICAS_MAX = 1000,        /* of one partition */
    TOPIC_OVERRIDES_MAX = 200,        /* of one topic */
    CONFIG_HISTORY_ROWS_MAX = 100000, /* config_history keeps the last ones */
};

struct topics {
    struct map by_name; /* private from here on; the name with "." as "_" */
    struct map by_id;
    struct topic_settings defaults;
    int64_t partitions_count;
    int64_t history_next;
};

/* defaults: what topics get that do not say otherwise; copied. */
void topics_init(struct topics *topics, const struct topic_settings *defaults);
void topics_fini(struct topics *topics);

/* Borrowed until the next command; NULL when there is none. */
struct topic *topics_find(const struct topics *topics, struct str name);
struct topic *topics_find_id(const struct topics *topics, struct uuid id);
size_t topics_count(const struct topics *topics);
/* Of all topics together. */
int64_t topics_partitions_count(const struct topics *topics);
/* Walks in no order: start with *at = 0; false at the end. */
MUST_USE bool topics_next(const struct topics *topics, size_t *at,
                          struct topic **out);

/* Whether such a topic could be made now: its name and its partitions; what a
 * proposer asks first, and what applying asks again.
 * Errors: ERR_INVALID_TOPIC_EXCEPTION (the name, or its collision with
 *         another), ERR_TOPIC_ALREADY_EXISTS, ERR_INVALID_PARTITIONS (none),
 *         ERR_INVALID_REPLICA_ASSIGNMENT, ERR_INVALID_CONFIG (one twice, or
 *         too many; what they say is not looked at), ERR_INVALID_REQUEST (the
 *         id). */
MUST_USE enum err topics_check(const struct topics *topics,
                               const struct command_create_topic *command,
                               struct why *why);

/* Applies. *after, *before: borrowed, as topics_find().
 * Errors: of topics_check(). */
MUST_USE enum err topics_create(struct topics *topics, uint64_t index,
                                const struct command_create_topic *command,
                                struct rows *rows, struct topic **after,
                                struct why *why);
/* Applies. Gives the reference that the state had, NULL when there is no such
 * topic. */
struct topic *topics_delete(struct topics *topics, uint64_t index,
                            const struct command_delete_topic *command,
                            struct rows *rows);

/* Takes the reference; at start, from the database, whose rows cannot collide
 * but through damage.
 * Errors: ERR_DAMAGED. */
MUST_USE enum err topics_load(struct topics *topics, struct topic *topic);

#endif
