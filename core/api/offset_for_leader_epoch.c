/* offset_for_leader_epoch.c - the OffsetForLeaderEpoch request (api key 23).
 *
 * Where did the log of a leader epoch end? A client whose position lies beyond
 * that has read records that were lost.
 *
 * Source: KIP-101, KIP-320; behaviours 8. */
#include "api/dispatch.h"
#include "api/lookup.h"
#include "cluster/replica.h"
#include "wire/offset_for_leader_epoch.h"

static void offset_for_leader_epoch_answer(
    const struct api_request *r, struct str topic,
    const struct offset_for_leader_epoch_request_partition *in,
    struct offset_for_leader_epoch_response_partition *out)
{
    struct lookup_topic named = {.name = topic};
    struct lookup_partition found;
    enum err err = lookup_partition(r, &named, in->partition, &found);

    offset_for_leader_epoch_response_partition_init(out);
    out->partition = in->partition;
    out->leader_epoch = -1;
    out->end_offset = -1;
    if (err == ERR_NONE) {
        err = lookup_check_epoch(found.replica, in->current_leader_epoch);
    }
    out->error_code = err_wire(err);
    if (err == ERR_NONE) {
        log_epoch_end(replica_log(found.replica), in->leader_epoch,
                      &out->leader_epoch, &out->end_offset);
    }
}

void handle_offset_for_leader_epoch(struct api_request *r)
{
    struct offset_for_leader_epoch_request body;
    struct offset_for_leader_epoch_response response;

    offset_for_leader_epoch_request_decode(&r->body, r->arena, r->version,
                                           &body);
    if (!api_decoded(r)) {
        return;
    }
    offset_for_leader_epoch_response_init(&response);
    response.topics_count = body.topics_count;
    response.topics = arena_array(r->arena, (size_t)body.topics_count,
                                  sizeof(*response.topics));
    for (int32_t i = 0; i < body.topics_count; i++) {
        const struct offset_for_leader_epoch_request_topic *in =
            &body.topics[i];
        struct offset_for_leader_epoch_response_topic *out =
            &response.topics[i];

        out->topic = in->topic;
        out->partitions_count = in->partitions_count;
        out->partitions = arena_array(r->arena, (size_t)in->partitions_count,
                                      sizeof(*out->partitions));
        for (int32_t j = 0; j < in->partitions_count; j++) {
            offset_for_leader_epoch_answer(r, in->topic, &in->partitions[j],
                                           &out->partitions[j]);
        }
    }
    offset_for_leader_epoch_response_encode(api_answer_begin(r, 256),
                                            r->version, &response);
    api_answer_end(r);
}
