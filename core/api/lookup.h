/* lookup.h - what a request names, found in the image and among the replicas.
 *
 * Borrowed for the turn. */
#ifndef API_LOOKUP_H
#define API_LOOKUP_H

#include "api/api.h"
#include "meta/topic_core.h"

/* A topic by name or, where by_id, by id. */
struct lookup_topic {
    struct str name;
    struct uuid id;
    bool by_id;
};

/* NULL: there is none; lookup_unknown() says which error that is. */
const struct topic *lookup_topic(const struct api_request *r,
                                 const struct lookup_topic *named);
enum err lookup_unknown(const struct lookup_topic *named);

/* Topic and partition as one run of bytes, for a map. */
struct str lookup_key(struct arena *arena, struct str topic, int32_t partition);

struct lookup_partition {
    const struct topic *topic;
    const struct topic_partition *partition;
    struct replica *replica;
};

/* A partition that this node leads.
 * Errors: ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_UNKNOWN_TOPIC_ID,
 *         ERR_NOT_LEADER_OR_FOLLOWER. */
MUST_USE enum err lookup_partition(const struct api_request *r,
                                   const struct lookup_topic *named,
                                   int32_t index, struct lookup_partition *out);

/* Checks the leader epoch that a client believes in, -1: it does not say.
 * Errors: ERR_FENCED_LEADER_EPOCH, ERR_UNKNOWN_LEADER_EPOCH.
 * Source: KIP-320. */
MUST_USE enum err lookup_check_epoch(const struct replica *replica,
                                     int32_t leader_epoch);

#endif
