/* place.c - places in a topic, as people say them, to offsets.
 *
 * place_parse() makes a number of the words: an offset, or a time for
 * ListOffsets (its own words for first and end are negative times).
 * place_find() asks the leaders of all partitions for that time; a partition
 * that has nothing so late gives its end, which a second round of questions
 * finds. */
#include "cli/place.h"
#include "base/units.h"
#include "wire/list_offsets.h"
#include <time.h>

enum err place_parse(const char *text, int64_t now_ms, struct place *out,
                     struct why *why)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ",
                                        "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d"};
    int64_t ago_ms;

    *out = (struct place){.is_offset = false};
    if (strcmp(text, "first") == 0) {
        out->number = PLACE_FIRST;
        return ERR_NONE;
    }
    if (strcmp(text, "end") == 0) {
        out->number = PLACE_END;
        return ERR_NONE;
    }
    if (str_to_i64(str_of(text), &out->number) && out->number >= 0) {
        out->is_offset = true;
        return ERR_NONE;
    }
    if (units_duration(str_of(text), &ago_ms)) {
        out->number = MAX(now_ms - ago_ms, 0);
        return ERR_NONE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);

        if (end != NULL && *end == '\0') {
            out->number = MAX((int64_t)timegm(&tm) * 1000, 0);
            return ERR_NONE;
        }
    }
    return why_set(why, ERR_INVALID,
                   "expected first, end, an offset, a duration such as 10m "
                   "(ago) or a time such as 2026-11-25T10:00:00Z, got \"%s\"",
                   text);
}

/* Puts the partitions that a node leads into a request; gives their number. */
static int32_t place_request(const struct metadata_response_topic *topic,
                             int32_t node, int64_t timestamp_ms,
                             struct list_offsets_request_partition *parts)
{
    int32_t count = 0;

    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (topic->partitions[i].leader_id == node) {
            list_offsets_request_partition_init(&parts[count]);
            parts[count].partition_index = topic->partitions[i].partition_index;
            parts[count].timestamp = timestamp_ms;
            count++;
        }
    }
    return count;
}

/* One answer; its partitions may come in any order. */
static enum err place_answer(const struct metadata_response_topic *topic,
                             const struct list_offsets_response *response,
                             int64_t *out, struct why *why)
{
    for (int32_t t = 0; t < response->topics_count; t++) {
        for (int32_t p = 0; p < response->topics[t].partitions_count; p++) {
            const struct list_offsets_response_partition *part =
                &response->topics[t].partitions[p];
            enum err err = client_error(part->error_code);

            if (err) {
                return why_set(why, err, "partition \"%.*s-%d\": %s",
                               STR_ARG(topic->name), part->partition_index,
                               err_text(err));
            }
            for (int32_t i = 0; i < topic->partitions_count; i++) {
                if (topic->partitions[i].partition_index ==
                    part->partition_index) {
                    out[i] = part->offset;
                }
            }
        }
    }
    return ERR_NONE;
}

/* What is looked for, of all partitions of a topic. Borrows everything. */
struct place_search {
    struct client *client;
    const struct metadata_response_topic *topic;
    int64_t timestamp_ms; /* or one of PLACE_ */
    int64_t *out;         /* an offset a partition; -1: none known yet */
    struct arena *arena;
};

/* Asks one leader for its partitions. */
static enum err place_ask(const struct place_search *search, int32_t node,
                          struct why *why)
{
    const struct metadata_response_topic *topic = search->topic;
    struct arena *arena = search->arena;
    struct list_offsets_response response;
    struct list_offsets_request request;
    struct list_offsets_request_topic asked;
    struct exchange x = {.arena = arena};
    enum err err =
        client_exchange(search->client, node, &x, API_LIST_OFFSETS, 7, why);

    if (err) {
        return err;
    }
    list_offsets_request_topic_init(&asked);
    asked.name = topic->name;
    asked.partitions = arena_array(arena, (size_t)topic->partitions_count,
                                   sizeof(*asked.partitions));
    asked.partitions_count =
        place_request(topic, node, search->timestamp_ms, asked.partitions);
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &asked;
    request.topics_count = 1;
    err = EXCHANGE_ASK(list_offsets, &x, &request, &response, why);
    return err ? err : place_answer(topic, &response, search->out, why);
}

enum err place_find(struct client *client,
                    const struct metadata_response_topic *topic,
                    int64_t timestamp_ms, int64_t *out, struct arena *arena,
                    struct why *why)
{
    struct place_search search = {client, topic, timestamp_ms, out, arena};
    bool late = false;
    enum err err = ERR_NONE;

    for (int32_t i = 0; i < topic->partitions_count; i++) {
        out[i] = -1;
    }
    for (int32_t i = 0; !err && i < topic->partitions_count; i++) {
        int32_t node = topic->partitions[i].leader_id;
        bool first = true;

        for (int32_t j = 0; j < i; j++) {
            first = first && topic->partitions[j].leader_id != node;
        }
        if (first) {
            err = place_ask(&search, node, why);
        }
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        late = late || out[i] < 0;
    }
    if (!err && late && timestamp_ms != PLACE_END) {
        int64_t *end =
            arena_array(arena, (size_t)topic->partitions_count, sizeof(*end));

        err = place_find(client, topic, PLACE_END, end, arena, why);
        for (int32_t i = 0; !err && i < topic->partitions_count; i++) {
            out[i] = out[i] < 0 ? end[i] : out[i];
        }
    }
    return err;
}
