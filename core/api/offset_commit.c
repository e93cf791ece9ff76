/* offset_commit.c - the OffsetCommit request (api key 8).
 *
 * Partitions fail one by one; an error of the group is an error of each. What
 * is answered is on disk (coord/committed.h).
 *
 * Source: KIP-211, KIP-320, KIP-345, KIP-848 (topic ids); behaviours 4. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "coord/committed.h"
#include "wire/offset_commit.h"

struct offset_commit {
    struct api_request *r;
    struct offset_commit_request body;
    struct committed_commit commit;
};

static void offset_commit_done(struct coordinator_ask *ask)
{
    struct offset_commit *c =
        container_of(ask, struct offset_commit, commit.ask);
    struct arena *arena = c->r->arena;
    struct offset_commit_response response;

    offset_commit_response_init(&response);
    response.topics_count = c->commit.topics_count;
    response.topics = arena_array(arena, (size_t)response.topics_count,
                                  sizeof(*response.topics));
    for (int32_t i = 0; i < response.topics_count; i++) {
        const struct committed_topic *topic = &c->commit.topics[i];
        struct offset_commit_response_topic *out = &response.topics[i];

        out->name = topic->name;
        out->topic_id = topic->id;
        out->partitions_count = topic->partitions_count;
        out->partitions = arena_array(arena, (size_t)topic->partitions_count,
                                      sizeof(*out->partitions));
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            out->partitions[j].partition_index = topic->partitions[j].index;
            out->partitions[j].error_code = err_wire(
                ask->err != ERR_NONE ? ask->err : topic->partitions[j].err);
        }
    }
    offset_commit_response_encode(api_answer_begin(c->r, 256), c->r->version,
                                  &response);
    api_answer_end(c->r);
}

static void
offset_commit_fill_topic(const struct api_request *r,
                         const struct offset_commit_request_topic *in,
                         struct committed_topic *out)
{
    *out = (struct committed_topic){.by_id = r->version >= 10,
                                    .name = in->name,
                                    .id = in->topic_id,
                                    .partitions_count =
                                        MAX(in->partitions_count, 0)};
    out->partitions = arena_array(r->arena, (size_t)out->partitions_count,
                                  sizeof(*out->partitions));
    for (int32_t i = 0; i < out->partitions_count; i++) {
        out->partitions[i] = (struct committed_partition){
            .index = in->partitions[i].partition_index,
            .leader_epoch = in->partitions[i].committed_leader_epoch,
            .offset = in->partitions[i].committed_offset,
            .metadata = in->partitions[i].committed_metadata};
    }
}

void handle_offset_commit(struct api_request *r)
{
    struct offset_commit *c = ARENA_NEW(r->arena, struct offset_commit);
    struct offset_commit_request *body = &c->body;
    struct committed_commit *commit = &c->commit;

    offset_commit_request_init(body);
    offset_commit_request_decode(&r->body, r->arena, r->version, body);
    if (!api_decoded(r)) {
        return;
    }
    c->r = r;
    commit->ask = ask_make(r, body->group_id, offset_commit_done);
    commit->in = (struct group_caller){.member_id = body->member_id,
                                       .instance_id = body->group_instance_id,
                                       .generation =
                                           body->generation_id_or_member_epoch};
    commit->tells_missing = r->version >= 9;
    commit->retention_ms = body->retention_time_ms;
    commit->topics_count = MAX(body->topics_count, 0);
    commit->topics = arena_array(r->arena, (size_t)commit->topics_count,
                                 sizeof(*commit->topics));
    for (int32_t i = 0; i < commit->topics_count; i++) {
        offset_commit_fill_topic(r, &body->topics[i], &commit->topics[i]);
    }
    committed_commit(commit);
}
