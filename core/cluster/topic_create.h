/* topic_create.h - from what somebody wants a topic to be to the command that
 * makes it: defaults, placement, checks. For CreateTopics, for topics that make
 * themselves, and for those of config.lua.
 *
 * Source: KIP-464 (defaults), KIP-525; design decisions 18, 23. */
#ifndef CLUSTER_TOPIC_CREATE_H
#define CLUSTER_TOPIC_CREATE_H

#include "cluster/controller.h"

/* The brokers of one partition, by its number. */
struct topic_create_assignment {
    int32_t partition;
    const int32_t *brokers;
    int32_t brokers_count;
};

/* What is wanted. All borrowed until the change is done. */
struct topic_create_spec {
    struct str name;
    int32_t partitions;         /* -1: the default */
    int16_t replication_factor; /* -1: the default */
    const struct topic_create_assignment *assignments;
    int32_t assignments_count; /* 0: placed by us */
    const struct topic_override *configs;
    int32_t configs_count;
    const char *source; /* "client", "auto", "config.lua" */
};

struct topic_create_defaults {
    int32_t partitions;
    int16_t replication_factor; /* -1: min(3, brokers) */
    int32_t partitions_max;     /* of one topic */
};

struct topic_create {
    struct controller_change change; /* first start it, then wait for done */
    const struct topic_create_spec *spec;
    struct topic_create_defaults defaults;
    struct uuid topic_id; /* drawn by topic_create_start() */
    int64_t at_ms;
    struct topic_settings settings; /* out: what the configs come to */
};

/* Any loop. Fills in what is private and starts the change; done, controller
 * and check_only of the change are the caller's to set before. What was, or
 * with check_only would be, created stands in change.command. A config that is
 * named twice has its last value, as Kafka does it. Errors (in change.err):
 * ERR_INVALID_TOPIC_EXCEPTION, ERR_TOPIC_ALREADY_EXISTS,
 *     ERR_INVALID_PARTITIONS, ERR_INVALID_REPLICATION_FACTOR,
 *     ERR_INVALID_REPLICA_ASSIGNMENT, ERR_INVALID_CONFIG,
 *     ERR_POLICY_VIOLATION (more partitions than limits allow), ERR_FULL. */
void topic_create_start(struct topic_create *create, struct env *env);

#endif
