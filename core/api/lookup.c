/* lookup.c - names and ids to topics, partitions to replicas. */
#include "api/lookup.h"

#include "base/bytes.h"
#include "cluster/replicas.h"

const struct topic *lookup_topic(const struct api_request *r,
                                 const struct lookup_topic *named)
{
    const struct image *image = controller_image(r->api->options.controller);

    return named->by_id ? image_find_topic_id(image, named->id)
                        : image_find_topic(image, named->name);
}

enum err lookup_unknown(const struct lookup_topic *named)
{
    return named->by_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

struct str lookup_key(struct arena *arena, struct str topic, int32_t partition)
{
    uint8_t *key = arena_raw(arena, 4 + topic.len);

    bytes_put_i32(key, partition);
    if (topic.len > 0) {
        memcpy(key + 4, topic.ptr, topic.len);
    }
    return str_sub(key, 4 + topic.len);
}

enum err lookup_partition(const struct api_request *r,
                          const struct lookup_topic *named, int32_t index,
                          struct lookup_partition *out)
{
    out->topic = lookup_topic(r, named);
    if (out->topic == NULL) {
        return lookup_unknown(named);
    }
    if (index < 0 || index >= out->topic->partitions_count) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    out->partition = &out->topic->partitions[index];
    out->replica =
        replicas_find(r->api->options.replicas, out->topic->id, index);
    if (out->replica == NULL &&
        replicas_has(r->api->options.replicas, out->topic->id)) {
        return ERR_KAFKA_STORAGE_ERROR; /* its log could not be opened yet */
    }
    if (out->replica == NULL || !replica_is_open(out->replica)) {
        return ERR_NOT_LEADER_OR_FOLLOWER;
    }
    return ERR_NONE;
}

enum err lookup_check_epoch(const struct replica *replica, int32_t leader_epoch)
{
    int32_t current = replica_leader_epoch(replica);

    if (leader_epoch == -1 || leader_epoch == current) {
        return ERR_NONE;
    }
    return leader_epoch < current ? ERR_FENCED_LEADER_EPOCH
                                  : ERR_UNKNOWN_LEADER_EPOCH;
}
