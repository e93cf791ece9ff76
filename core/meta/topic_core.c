/* topic_core.c - one block: the struct, then its arrays by falling alignment,
 * then its texts. */
#include "meta/topic_core.h"

#include "base/mem.h"
#include "base/must.h"

/* Where the next piece of the block goes. */
struct topic_room {
    struct topic_partition *partitions;
    struct topic_override *overrides;
    int32_t *numbers;
    char *texts;
};

static size_t topic_numbers_count(const struct topic_parts *parts)
{
    size_t count = 0;

    for (int32_t i = 0; i < parts->partitions_count; i++) {
        count += (size_t)parts->partitions[i].replicas_count;
        count += (size_t)parts->partitions[i].isr_count;
    }
    return count;
}

static size_t topic_texts_bytes(const struct topic_parts *parts)
{
    size_t bytes = parts->name.len + 1 + parts->source.len + 1;

    for (int32_t i = 0; i < parts->overrides_count; i++) {
        bytes += parts->overrides[i].name.len + 1;
        bytes += parts->overrides[i].value.len + 1;
    }
    return bytes;
}

static struct topic *topic_alloc(const struct topic_parts *parts,
                                 struct topic_room *room)
{
    size_t partitions =
        (size_t)parts->partitions_count * sizeof(struct topic_partition);
    size_t overrides =
        (size_t)parts->overrides_count * sizeof(struct topic_override);
    size_t numbers = topic_numbers_count(parts) * sizeof(int32_t);
    struct topic *topic = mem_zalloc(sizeof(*topic) + partitions + overrides +
                                     numbers + topic_texts_bytes(parts));
    char *at = (char *)(topic + 1);

    room->partitions = (void *)at;
    room->overrides = (void *)(at + partitions);
    room->numbers = (void *)(at + partitions + overrides);
    room->texts = at + partitions + overrides + numbers;
    return topic;
}

static struct str topic_keep_text(struct topic_room *room, struct str s)
{
    char *at = room->texts;

    if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
    }
    room->texts += s.len + 1;
    return str_sub(at, s.len);
}

static const int32_t *topic_keep_numbers(struct topic_room *room,
                                         const int32_t *numbers, int32_t count)
{
    int32_t *at = room->numbers;

    if (count > 0) {
        memcpy(at, numbers, (size_t)count * sizeof(*numbers));
    }
    room->numbers += count;
    return at;
}

/* There are few: by insertion. */
static void topic_keep_overrides(struct topic_room *room,
                                 const struct topic_parts *parts)
{
    for (int32_t i = 0; i < parts->overrides_count; i++) {
        struct topic_override override = {
            .name = topic_keep_text(room, parts->overrides[i].name),
            .value = topic_keep_text(room, parts->overrides[i].value),
        };
        int32_t at = i;

        while (at > 0 &&
               str_cmp(room->overrides[at - 1].name, override.name) > 0) {
            room->overrides[at] = room->overrides[at - 1];
            at--;
        }
        room->overrides[at] = override;
    }
}

struct topic *topic_new(const struct topic_parts *parts)
{
    struct topic_room room;
    struct topic *topic = topic_alloc(parts, &room);

    atomic_init(&topic->refs, 1);
    topic->id = parts->id;
    topic->created_at_ms = parts->created_at_ms;
    topic->name = topic_keep_text(&room, parts->name);
    topic->source = topic_keep_text(&room, parts->source);
    topic->partitions = room.partitions;
    topic->partitions_count = parts->partitions_count;
    for (int32_t i = 0; i < parts->partitions_count; i++) {
        struct topic_partition *p = &room.partitions[i];

        *p = parts->partitions[i];
        p->replicas = topic_keep_numbers(&room, p->replicas, p->replicas_count);
        p->isr = topic_keep_numbers(&room, p->isr, p->isr_count);
    }
    topic_keep_overrides(&room, parts);
    topic->overrides = room.overrides;
    topic->overrides_count = parts->overrides_count;
    topic->settings = *parts->defaults;
    for (int32_t i = 0; i < topic->overrides_count; i++) {
        enum err ignored =
            topic_config_set(&topic->settings, topic->overrides[i].name,
                             topic->overrides[i].value, NULL);

        (void)ignored;
    }
    return topic;
}

struct topic *topic_ref(struct topic *topic)
{
    uint32_t before =
        atomic_fetch_add_explicit(&topic->refs, 1, memory_order_relaxed);

    must(before > 0);
    return topic;
}

void topic_unref(struct topic *topic)
{
    if (topic != NULL &&
        atomic_fetch_sub_explicit(&topic->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(topic);
    }
}

struct str topic_find_override(const struct topic *topic, struct str name)
{
    for (int32_t i = 0; i < topic->overrides_count; i++) {
        if (str_eq(topic->overrides[i].name, name)) {
            return topic->overrides[i].value;
        }
    }
    return STR_NULL;
}
