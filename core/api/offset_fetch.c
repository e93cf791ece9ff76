/* offset_fetch.c - the OffsetFetch request (api key 9).
 *
 * One group until version 7, many from version 8 on; topics by name until 9, by
 * id from 10 on; null topics are all that the group has committed. There are no
 * transactions, so whatever is committed is stable.
 *
 * Source: KIP-88 (all topics), KIP-447 (stable), KIP-709 (many groups),
 * KIP-848; behaviours 4. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "coord/committed.h"
#include "wire/offset_fetch.h"

struct offset_fetch {
    struct api_request *r;
    struct committed_fetch fetch;
};

/* Until version 7. An error of the group has a field from version 2 on. */
static void offset_fetch_answer_one(const struct api_request *r,
                                    const struct committed_group *group,
                                    struct offset_fetch_response *response)
{
    response->error_code = err_wire(group->err);
    response->topics_count = group->topics_count;
    response->topics = arena_array(r->arena, (size_t)group->topics_count,
                                   sizeof(*response->topics));
    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct committed_topic *topic = &group->topics[i];
        struct offset_fetch_response_topic *out = &response->topics[i];

        out->name = topic->name;
        out->partitions_count = topic->partitions_count;
        out->partitions = arena_array(r->arena, (size_t)topic->partitions_count,
                                      sizeof(*out->partitions));
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct committed_partition *p = &topic->partitions[j];

            out->partitions[j] = (struct offset_fetch_response_partition){
                .partition_index = p->index,
                .committed_offset = p->offset,
                .committed_leader_epoch = p->leader_epoch,
                .metadata = p->metadata,
                .error_code =
                    err_wire(group->err != ERR_NONE ? group->err : p->err)};
        }
    }
}

static void
offset_fetch_answer_group(const struct api_request *r,
                          const struct committed_group *group,
                          struct offset_fetch_response_group *response)
{
    offset_fetch_response_group_init(response);
    response->group_id = group->group_id;
    response->error_code = err_wire(group->err);
    response->topics_count = group->err == ERR_NONE ? group->topics_count : 0;
    response->topics = arena_array(r->arena, (size_t)response->topics_count,
                                   sizeof(*response->topics));
    for (int32_t i = 0; i < response->topics_count; i++) {
        const struct committed_topic *topic = &group->topics[i];
        struct offset_fetch_response_topics *out = &response->topics[i];

        out->name = topic->name;
        out->topic_id = topic->id;
        out->partitions_count = topic->partitions_count;
        out->partitions = arena_array(r->arena, (size_t)topic->partitions_count,
                                      sizeof(*out->partitions));
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct committed_partition *p = &topic->partitions[j];

            out->partitions[j] = (struct offset_fetch_response_partitions){
                .partition_index = p->index,
                .committed_offset = p->offset,
                .committed_leader_epoch = p->leader_epoch,
                .metadata = p->metadata,
                .error_code = err_wire(p->err)};
        }
    }
}

static void offset_fetch_done(struct coordinator_ask *ask)
{
    struct offset_fetch *f = container_of(ask, struct offset_fetch, fetch.ask);
    struct api_request *r = f->r;
    struct offset_fetch_response response;

    offset_fetch_response_init(&response);
    if (r->version < 8) {
        offset_fetch_answer_one(r, &f->fetch.groups[0], &response);
    } else {
        response.groups_count = f->fetch.groups_count;
        response.groups = arena_array(r->arena, (size_t)response.groups_count,
                                      sizeof(*response.groups));
        for (int32_t i = 0; i < response.groups_count; i++) {
            offset_fetch_answer_group(r, &f->fetch.groups[i],
                                      &response.groups[i]);
        }
    }
    offset_fetch_response_encode(api_answer_begin(r, 256), r->version,
                                 &response);
    api_answer_end(r);
}

/* An offset that nobody has looked up yet. */
static struct committed_partition *
offset_fetch_partitions(struct arena *arena, const int32_t *indexes,
                        int32_t count)
{
    struct committed_partition *partitions =
        arena_array(arena, (size_t)MAX(count, 0), sizeof(*partitions));

    for (int32_t i = 0; i < count; i++) {
        partitions[i] = (struct committed_partition){.index = indexes[i],
                                                     .leader_epoch = -1,
                                                     .offset = -1,
                                                     .metadata = STR_LIT("")};
    }
    return partitions;
}

static void offset_fetch_fill_one(const struct api_request *r,
                                  const struct offset_fetch_request *body,
                                  struct committed_group *group)
{
    group->group_id = body->group_id;
    group->all = body->topics_count < 0;
    group->topics_count = MAX(body->topics_count, 0);
    group->topics = arena_array(r->arena, (size_t)group->topics_count,
                                sizeof(*group->topics));
    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct offset_fetch_request_topic *in = &body->topics[i];

        group->topics[i] = (struct committed_topic){
            .name = in->name,
            .partitions = offset_fetch_partitions(
                r->arena, in->partition_indexes, in->partition_indexes_count),
            .partitions_count = MAX(in->partition_indexes_count, 0)};
    }
}

static void offset_fetch_fill_group(const struct api_request *r,
                                    const struct offset_fetch_request_group *in,
                                    struct committed_group *group)
{
    group->group_id = in->group_id;
    group->all = in->topics_count < 0;
    group->topics_count = MAX(in->topics_count, 0);
    group->topics = arena_array(r->arena, (size_t)group->topics_count,
                                sizeof(*group->topics));
    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct offset_fetch_request_topics *topic = &in->topics[i];

        group->topics[i] = (struct committed_topic){
            .by_id = r->version >= 10,
            .name = topic->name,
            .id = topic->topic_id,
            .partitions =
                offset_fetch_partitions(r->arena, topic->partition_indexes,
                                        topic->partition_indexes_count),
            .partitions_count = MAX(topic->partition_indexes_count, 0)};
    }
}

void handle_offset_fetch(struct api_request *r)
{
    struct offset_fetch *f = ARENA_NEW(r->arena, struct offset_fetch);
    struct offset_fetch_request body;

    offset_fetch_request_init(&body);
    offset_fetch_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    f->r = r;
    f->fetch.ask = ask_make(r, STR_NULL, offset_fetch_done);
    f->fetch.groups_count = r->version < 8 ? 1 : MAX(body.groups_count, 0);
    f->fetch.groups = arena_array(r->arena, (size_t)f->fetch.groups_count,
                                  sizeof(*f->fetch.groups));
    if (r->version < 8) {
        offset_fetch_fill_one(r, &body, &f->fetch.groups[0]);
    } else {
        for (int32_t i = 0; i < f->fetch.groups_count; i++) {
            offset_fetch_fill_group(r, &body.groups[i], &f->fetch.groups[i]);
        }
    }
    committed_fetch(&f->fetch);
}
