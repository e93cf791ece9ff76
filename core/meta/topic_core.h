/* topic_core.h - a topic: its partitions, configs and what they come to.
 *
 * A struct topic never changes: a change makes another one. So the state of
 * the control loop and the images of all loops share the same ones, and who
 * holds a reference reads without asking anybody. Counted atomically, as the
 * last reader may be on any loop. One block of memory each.
 * Pure; any thread. */
#ifndef META_TOPIC_CORE_H
#define META_TOPIC_CORE_H

#include "base/uuid.h"
#include "meta/topic_config_core.h"
#include <stdatomic.h>

struct topic_partition {
    int32_t leader; /* -1: none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int32_t replicas_count;
    int32_t isr_count;
    const int32_t *replicas;
    const int32_t *isr;
};

/* One that was set for this topic. */
struct topic_override {
    struct str name;
    struct str value;
};

struct topic {
    _Atomic uint32_t refs; /* private */
    int32_t partitions_count;
    int32_t overrides_count;
    struct uuid id;
    struct str name;   /* with a NUL behind it */
    struct str source; /* who made it: "kafka", "auto", "config.lua", ... */
    int64_t created_at_ms;
    const struct topic_partition *partitions;
    const struct topic_override *overrides; /* sorted by name */
    struct topic_settings settings;         /* defaults, overridden */
};

/* What a topic is made of; all borrowed for the call of topic_new(). */
struct topic_parts {
    struct str name;
    struct uuid id;
    struct str source;
    int64_t created_at_ms;
    const struct topic_partition *partitions;
    int32_t partitions_count;
    const struct topic_override *overrides; /* in any order */
    int32_t overrides_count;
    const struct topic_settings *defaults;
};

/* Gives a reference. An override that this version does not know, or whose
 * value it does not accept, stays a text without effect: it was checked by
 * whoever proposed it, with a table of another version. */
struct topic *topic_new(const struct topic_parts *parts);
struct topic *topic_ref(struct topic *topic);
/* topic: NULL is accepted. */
void topic_unref(struct topic *topic);

/* The value that was set, null when there is none. */
struct str topic_find_override(const struct topic *topic, struct str name);

#endif
