/* assign.c - the strategy "range", as every client knows it.
 *
 * 1. The subscriptions of all members are read, and their topics looked up.
 * 2. Members are sorted by id: every leader would assign the same.
 * 3. Each topic's partitions are cut into stretches, one for each member that
 *    subscribes to it; the first ones get one more where it does not divide.
 * 4. Each member's stretches become its assignment.
 *
 * Source: Kafka's RangeAssignor; protocol guide, "consumer protocol". */
#include "cli/assign.h"
#include "base/must.h"
#include "wire/consumer_protocol.h"
#include <stdlib.h>

/* A member's subscription, and what it gets. */
struct assign_state {
    const struct assign_member *member;
    int32_t place; /* in the order of the ids */
    struct consumer_protocol_subscription subscription;
    struct consumer_protocol_assignment assignment;
};

void assign_stretch(int32_t partition_count, int32_t member_count,
                    int32_t place, int32_t *first, int32_t *count)
{
    int32_t each;
    int32_t more;

    must(member_count > 0);
    each = partition_count / member_count;
    more = partition_count % member_count;
    *first = each * place + MIN(place, more);
    *count = each + (place < more ? 1 : 0);
}

/* Versions above 3 are read as 3: they only add to it. */
static enum err assign_read(struct assign_state *state, struct arena *arena,
                            struct why *why)
{
    struct str bytes = state->member->metadata;
    struct reader r;
    int16_t version;

    reader_init(&r, bytes.ptr, bytes.len);
    version = reader_i16(&r);
    consumer_protocol_subscription_init(&state->subscription);
    consumer_protocol_subscription_decode(
        &r, arena, MIN(MAX(version, (int16_t)0), (int16_t)3),
        &state->subscription);
    if (r.failed) {
        return why_set(why, ERR_MALFORMED,
                       "the subscription of member \"%.*s\" cannot be read",
                       STR_ARG(state->member->id));
    }
    return ERR_NONE;
}

static bool assign_subscribes(const struct assign_state *state,
                              struct str topic)
{
    for (int32_t i = 0; i < state->subscription.topics_count; i++) {
        if (str_eq(state->subscription.topics[i], topic)) {
            return true;
        }
    }
    return false;
}

/* All topics that anybody subscribes to, each once. */
static struct str *assign_topics(const struct assign_state *states,
                                 int32_t count, struct arena *arena,
                                 int32_t *topic_count)
{
    size_t most = 0;
    struct str *topics;

    for (int32_t i = 0; i < count; i++) {
        most += (size_t)MAX(states[i].subscription.topics_count, 0);
    }
    topics = arena_array(arena, most, sizeof(*topics));
    *topic_count = 0;
    for (int32_t i = 0; i < count; i++) {
        for (int32_t t = 0; t < states[i].subscription.topics_count; t++) {
            struct str topic = states[i].subscription.topics[t];
            bool known = false;

            for (int32_t k = 0; k < *topic_count; k++) {
                known = known || str_eq(topics[k], topic);
            }
            if (!known) {
                topics[(*topic_count)++] = topic;
            }
        }
    }
    return topics;
}

static int assign_compare(const void *a, const void *b)
{
    const struct assign_state *x = *(struct assign_state *const *)a;
    const struct assign_state *y = *(struct assign_state *const *)b;

    return str_cmp(x->member->id, y->member->id);
}

/* One topic's partitions to those who subscribe to it. */
static void assign_topic(struct assign_state **sorted, int32_t count,
                         const struct metadata_response_topic *topic,
                         struct arena *arena)
{
    int32_t subscribers = 0;
    int32_t place = 0;

    for (int32_t i = 0; i < count; i++) {
        subscribers += assign_subscribes(sorted[i], topic->name) ? 1 : 0;
    }
    for (int32_t i = 0; i < count; i++) {
        struct consumer_protocol_assignment *given = &sorted[i]->assignment;
        struct consumer_protocol_assignment_topic_partition *out;
        int32_t first;

        if (!assign_subscribes(sorted[i], topic->name)) {
            continue;
        }
        out = &given->assigned_partitions[given->assigned_partitions_count];
        out->topic = topic->name;
        assign_stretch(topic->partitions_count, subscribers, place++, &first,
                       &out->partitions_count);
        if (out->partitions_count == 0) {
            continue;
        }
        given->assigned_partitions_count++;
        out->partitions =
            arena_array(arena, (size_t)out->partitions_count, sizeof(int32_t));
        for (int32_t p = 0; p < out->partitions_count; p++) {
            out->partitions[p] = first + p;
        }
    }
}

static struct str assign_write(const struct assign_state *state,
                               struct arena *arena)
{
    struct writer w;

    writer_init(&w, arena, 64);
    writer_i16(&w, 0);
    consumer_protocol_assignment_encode(&w, 0, &state->assignment);
    return writer_output(&w);
}

enum err assign_range(struct client *client,
                      const struct assign_member *members, int32_t count,
                      struct arena *arena,
                      struct sync_group_request_assignment *out,
                      struct why *why)
{
    struct assign_state *states =
        arena_array(arena, (size_t)count, sizeof(*states));
    struct assign_state **sorted =
        arena_array(arena, (size_t)count, sizeof(struct assign_state *));
    struct metadata_response metadata;
    struct client_topics wanted;
    struct str *topics;
    int32_t topic_count;
    enum err err = ERR_NONE;

    for (int32_t i = 0; !err && i < count; i++) {
        states[i].member = &members[i];
        sorted[i] = &states[i];
        err = assign_read(&states[i], arena, why);
    }
    if (err) {
        return err;
    }
    topics = assign_topics(states, count, arena, &topic_count);
    wanted = (struct client_topics){.names = topics, .count = topic_count};
    err = client_metadata(client, &wanted, arena, &metadata, why);
    if (err) {
        return err;
    }
    qsort(sorted, (size_t)count, sizeof(struct assign_state *), assign_compare);
    for (int32_t i = 0; i < count; i++) {
        consumer_protocol_assignment_init(&states[i].assignment);
        states[i].assignment.user_data = STR_NULL;
        states[i].assignment.assigned_partitions =
            arena_array(arena, (size_t)MAX(metadata.topics_count, 1),
                        sizeof(*states[i].assignment.assigned_partitions));
    }
    for (int32_t t = 0; t < metadata.topics_count; t++) {
        assign_topic(sorted, count, &metadata.topics[t], arena);
    }
    for (int32_t i = 0; i < count; i++) {
        out[i].assignment = assign_write(&states[i], arena);
    }
    return ERR_NONE;
}
