/* offsets_core.c - three levels, the lower two sorted arrays.
 *
 * Empty levels do not stay: a group without offsets is not in the map. */
#include "meta/offsets_core.h"

#include "base/mem.h"
#include "base/must.h"
#include <stdlib.h>

static void offset_row_delete(struct str group_id, struct str topic_name,
                              int32_t partition, struct rows *rows)
{
    rows_add(rows, ROW_OFFSET_DELETE);
    rows_text(rows, group_id);
    rows_text(rows, topic_name);
    rows_i64(rows, partition);
}

static void offset_row_put(const struct offset_place *place,
                           const struct offset *value, struct rows *rows)
{
    rows_add(rows, ROW_OFFSET_PUT);
    rows_text(rows, place->group_id);
    rows_text(rows, place->topic_name);
    rows_i64(rows, place->partition);
    rows_i64(rows, value->offset);
    rows_i64(rows, value->leader_epoch);
    rows_text(rows, offset_metadata(value));
    rows_i64(rows, value->committed_at_ms);
    if (value->expire_at_ms < 0) {
        rows_null(rows);
    } else {
        rows_i64(rows, value->expire_at_ms);
    }
}

/* Room for one more element of size bytes at place at. */
static void *offsets_open(void *items, int32_t *count, int32_t *capacity,
                          int32_t at, size_t size)
{
    char *bytes = items;

    if (*count == *capacity) {
        *capacity = MAX(4, *capacity * 2);
        bytes = mem_realloc(items, (size_t)*capacity * size);
    }
    memmove(bytes + (size_t)(at + 1) * size, bytes + (size_t)at * size,
            (size_t)(*count - at) * size);
    memset(bytes + (size_t)at * size, 0, size);
    (*count)++;
    return bytes;
}

static void offsets_shut(void *items, int32_t *count, int32_t at, size_t size)
{
    char *bytes = items;

    memmove(bytes + (size_t)at * size, bytes + (size_t)(at + 1) * size,
            (size_t)(*count - at - 1) * size);
    (*count)--;
}

/* Where the partition is, or belongs. */
static int32_t offsets_topic_place(const struct offsets_topic *topic,
                                   int32_t partition)
{
    int32_t low = 0;
    int32_t high = topic->count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;

        if (topic->items[middle].partition < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int32_t offsets_group_place(const struct offsets_group *group,
                                   const struct uuid *id)
{
    int32_t low = 0;
    int32_t high = group->count;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;

        if (memcmp(group->topics[middle].topic_id.bytes, id->bytes,
                   sizeof(id->bytes)) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct offsets_topic *
offsets_group_find(const struct offsets_group *group, const struct uuid *id,
                   int32_t *place)
{
    *place = offsets_group_place(group, id);
    return *place < group->count && uuid_eq(group->topics[*place].topic_id, *id)
               ? &group->topics[*place]
               : NULL;
}

static struct offset *offsets_topic_find(const struct offsets_topic *topic,
                                         int32_t partition, int32_t *place)
{
    *place = offsets_topic_place(topic, partition);
    return *place < topic->count && topic->items[*place].partition == partition
               ? &topic->items[*place]
               : NULL;
}

static struct str offsets_group_key(const struct offsets_group *group)
{
    return str_sub(group->group_id, group->group_id_bytes);
}

static void offsets_topic_fini(struct offsets_topic *topic)
{
    for (int32_t i = 0; i < topic->count; i++) {
        mem_free(topic->items[i].metadata);
    }
    mem_free(topic->items);
}

static void offsets_group_free(struct offsets_group *group)
{
    for (int32_t i = 0; i < group->count; i++) {
        offsets_topic_fini(&group->topics[i]);
    }
    mem_free(group->topics);
    mem_free(group->group_id);
    mem_free(group);
}

void offsets_fini(struct offsets *offsets)
{
    size_t at = 0;
    struct str key;
    void *group;

    while (map_next(&offsets->groups, &at, &key, &group)) {
        offsets_group_free(group);
    }
    map_fini(&offsets->groups);
    offsets->count = 0;
}

int64_t offsets_count(const struct offsets *offsets)
{
    return offsets->count;
}

size_t offsets_group_count(const struct offsets *offsets)
{
    return map_count(&offsets->groups);
}

const struct offsets_group *offsets_find_group(const struct offsets *offsets,
                                               struct str group_id)
{
    return map_find(&offsets->groups, group_id);
}

const struct offset *offsets_find(const struct offsets *offsets,
                                  struct str group_id, struct uuid topic_id,
                                  int32_t partition)
{
    const struct offsets_group *group = map_find(&offsets->groups, group_id);
    const struct offsets_topic *topic;
    int32_t place;

    if (group == NULL) {
        return NULL;
    }
    topic = offsets_group_find(group, &topic_id, &place);
    return topic == NULL ? NULL : offsets_topic_find(topic, partition, &place);
}

bool offsets_next(const struct offsets *offsets, size_t *at,
                  const struct offsets_group **out)
{
    struct str key;
    void *group;

    if (!map_next(&offsets->groups, at, &key, &group)) {
        return false;
    }
    *out = group;
    return true;
}

static struct offsets_group *offsets_make_group(struct offsets *offsets,
                                                struct str group_id)
{
    struct offsets_group *group = map_find(&offsets->groups, group_id);

    if (group == NULL) {
        group = MEM_NEW(struct offsets_group);
        must(group_id.len <= UINT32_MAX);
        group->group_id = mem_dup(group_id.ptr, group_id.len);
        group->group_id_bytes = (uint32_t)group_id.len;
        map_put(&offsets->groups, group_id, group);
    }
    return group;
}

static struct offset *offsets_make(struct offsets *offsets,
                                   const struct offset_place *place)
{
    struct offsets_group *group = offsets_make_group(offsets, place->group_id);
    int32_t at;
    struct offsets_topic *topic =
        offsets_group_find(group, &place->topic_id, &at);
    struct offset *offset;

    if (topic == NULL) {
        group->topics = offsets_open(group->topics, &group->count,
                                     &group->capacity, at, sizeof(*topic));
        topic = &group->topics[at];
        topic->topic_id = place->topic_id;
    }
    offset = offsets_topic_find(topic, place->partition, &at);
    if (offset == NULL) {
        topic->items = offsets_open(topic->items, &topic->count,
                                    &topic->capacity, at, sizeof(*offset));
        offset = &topic->items[at];
        offset->partition = place->partition;
        offsets->count++;
    }
    return offset;
}

void offsets_put(struct offsets *offsets, const struct offset_place *place,
                 const struct offset *value, struct str metadata,
                 struct rows *rows)
{
    struct offset *offset = offsets_make(offsets, place);

    if (!str_eq(offset_metadata(offset), metadata)) {
        mem_free(offset->metadata);
        offset->metadata =
            metadata.len == 0 ? NULL : mem_dup(metadata.ptr, metadata.len);
        offset->metadata_bytes = (uint32_t)metadata.len;
    }
    offset->leader_epoch = value->leader_epoch;
    offset->offset = value->offset;
    offset->committed_at_ms = value->committed_at_ms;
    offset->expire_at_ms = value->expire_at_ms;
    if (rows != NULL) {
        offset_row_put(place, offset, rows);
    }
}

/* Takes a level out when nothing is left in it. */
static void offsets_tidy(struct offsets *offsets, struct offsets_group *group,
                         int32_t topic_place)
{
    if (group->topics[topic_place].count == 0) {
        offsets_topic_fini(&group->topics[topic_place]);
        offsets_shut(group->topics, &group->count, topic_place,
                     sizeof(*group->topics));
    }
    if (group->count == 0) {
        map_remove(&offsets->groups, offsets_group_key(group));
        offsets_group_free(group);
    }
}

bool offsets_remove(struct offsets *offsets, const struct offset_place *place,
                    int64_t only_if_at_ms, struct rows *rows)
{
    struct offsets_group *group = map_find(&offsets->groups, place->group_id);
    struct offsets_topic *topic;
    struct offset *offset;
    int32_t topic_at;
    int32_t at;

    if (group == NULL) {
        return false;
    }
    topic = offsets_group_find(group, &place->topic_id, &topic_at);
    if (topic == NULL) {
        return false;
    }
    offset = offsets_topic_find(topic, place->partition, &at);
    if (offset == NULL ||
        (only_if_at_ms >= 0 && offset->committed_at_ms != only_if_at_ms)) {
        return false;
    }
    mem_free(offset->metadata);
    offsets_shut(topic->items, &topic->count, at, sizeof(*offset));
    offsets->count--;
    offset_row_delete(place->group_id, place->topic_name, place->partition,
                      rows);
    offsets_tidy(offsets, group, topic_at);
    return true;
}

void offsets_remove_group_topic(struct offsets *offsets, struct str group_id,
                                struct uuid topic_id, struct str topic_name,
                                struct rows *rows)
{
    struct offsets_group *group = map_find(&offsets->groups, group_id);
    struct offsets_topic *topic;
    int32_t at;

    topic = group == NULL ? NULL : offsets_group_find(group, &topic_id, &at);
    if (topic == NULL) {
        return;
    }
    for (int32_t i = 0; i < topic->count; i++) {
        offset_row_delete(group_id, topic_name, topic->items[i].partition,
                          rows);
        mem_free(topic->items[i].metadata);
    }
    offsets->count -= topic->count;
    topic->count = 0;
    offsets_tidy(offsets, group, at);
}

static int offsets_group_cmp(const void *a, const void *b)
{
    const struct offsets_group *const *left = a;
    const struct offsets_group *const *right = b;

    return str_cmp(offsets_group_key(*left), offsets_group_key(*right));
}

/* By name, not in the order of the map, whose key differs from node to node:
 * a transcript of rows must not. */
void offsets_remove_topic(struct offsets *offsets, struct uuid topic_id,
                          struct str topic_name, struct rows *rows)
{
    struct offsets_group **found =
        mem_alloc(map_count(&offsets->groups) * sizeof(struct offsets_group *));
    size_t count = 0;
    size_t at = 0;
    int32_t place;
    struct str key;
    void *group;

    while (map_next(&offsets->groups, &at, &key, &group)) {
        if (offsets_group_find(group, &topic_id, &place) != NULL) {
            found[count++] = group;
        }
    }
    if (count > 1) {
        qsort(found, count, sizeof(struct offsets_group *), offsets_group_cmp);
    }
    for (size_t i = 0; i < count; i++) {
        char *id = mem_dup(found[i]->group_id, found[i]->group_id_bytes);

        offsets_remove_group_topic(offsets,
                                   str_sub(id, found[i]->group_id_bytes),
                                   topic_id, topic_name, rows);
        mem_free(id);
    }
    mem_free(found);
}
