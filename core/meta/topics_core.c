/* topics_core.c - made and deleted; found by name and by id. */
#include "meta/topics_core.h"

#include "base/mem.h"
#include "base/must.h"

void topics_init(struct topics *topics, const struct topic_settings *defaults)
{
    *topics = (struct topics){.defaults = *defaults, .history_next = 1};
}

void topics_fini(struct topics *topics)
{
    size_t at = 0;
    struct topic *topic;

    while (topics_next(topics, &at, &topic)) {
        topic_unref(topic);
    }
    map_fini(&topics->by_name);
    map_fini(&topics->by_id);
}

/* The key of by_name; a name too long for a topic gives null. */
static struct str topics_key(struct str name, char into[TOPIC_NAME_BYTES_MAX])
{
    if (name.len > TOPIC_NAME_BYTES_MAX) {
        return STR_NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        into[i] = name.ptr[i] == '.' ? '_' : name.ptr[i];
    }
    return str_sub(into, name.len);
}

static struct str topics_id_key(const struct uuid *id)
{
    return str_sub(id->bytes, sizeof(id->bytes));
}

/* The topic of this name, or the one that it collides with. */
static struct topic *topics_find_like(const struct topics *topics,
                                      struct str name)
{
    char into[TOPIC_NAME_BYTES_MAX];
    struct str key = topics_key(name, into);

    return str_is_null(key) ? NULL : map_find(&topics->by_name, key);
}

struct topic *topics_find(const struct topics *topics, struct str name)
{
    struct topic *topic = topics_find_like(topics, name);

    return topic != NULL && str_eq(topic->name, name) ? topic : NULL;
}

struct topic *topics_find_id(const struct topics *topics, struct uuid id)
{
    return map_find(&topics->by_id, topics_id_key(&id));
}

size_t topics_count(const struct topics *topics)
{
    return map_count(&topics->by_id);
}

int64_t topics_partitions_count(const struct topics *topics)
{
    return topics->partitions_count;
}

bool topics_next(const struct topics *topics, size_t *at, struct topic **out)
{
    struct str key;
    void *value;

    if (!map_next(&topics->by_id, at, &key, &value)) {
        return false;
    }
    *out = value;
    return true;
}

/* Each once, none negative; isr among the replicas, the leader in the isr. The
 * limit comes first: what follows is quadratic. */
static bool
topics_replicas_fit(const struct command_create_topic_partition *partition)
{
    bool leads = partition->leader == -1;

    if (partition->replicas_count < 1 ||
        partition->replicas_count > TOPIC_REPLICAS_MAX ||
        partition->isr_count > partition->replicas_count) {
        return false;
    }
    for (int32_t i = 0; i < partition->replicas_count; i++) {
        if (partition->replicas[i] < 0) {
            return false;
        }
        for (int32_t j = 0; j < i; j++) {
            if (partition->replicas[i] == partition->replicas[j]) {
                return false;
            }
        }
    }
    for (int32_t i = 0; i < partition->isr_count; i++) {
        bool known = false;

        for (int32_t j = 0; j < partition->replicas_count; j++) {
            known = known || partition->isr[i] == partition->replicas[j];
        }
        if (!known) {
            return false;
        }
        leads = leads || partition->isr[i] == partition->leader;
    }
    return leads;
}

/* Names only: which of them this version knows is the proposer's question. */
static enum err topics_check_configs(const struct command_create_topic *command,
                                     struct why *why)
{
    if (command->configs_count > TOPIC_OVERRIDES_MAX) {
        return why_set(why, ERR_INVALID_CONFIG,
                       "topic \"%.*s\" has %d configs, at most %d are possible",
                       STR_ARG(command->name), (int)command->configs_count,
                       TOPIC_OVERRIDES_MAX);
    }
    for (int32_t i = 0; i < command->configs_count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (str_eq(command->configs[i].name, command->configs[j].name)) {
                return why_set(why, ERR_INVALID_CONFIG,
                               "topic \"%.*s\" has the config \"%.*s\" twice",
                               STR_ARG(command->name),
                               STR_ARG(command->configs[i].name));
            }
        }
    }
    return ERR_NONE;
}

enum err topics_check(const struct topics *topics,
                      const struct command_create_topic *command,
                      struct why *why)
{
    struct topic *like;
    enum err err = topic_name_check(command->name, why);

    if (err != ERR_NONE) {
        return err;
    }
    like = topics_find_like(topics, command->name);
    if (like != NULL && str_eq(like->name, command->name)) {
        return why_set(why, ERR_TOPIC_ALREADY_EXISTS, "topic \"%.*s\" exists",
                       STR_ARG(command->name));
    }
    if (like != NULL) {
        return why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                       "topic \"%.*s\" differs from \"%.*s\" only in \".\" "
                       "and \"_\"",
                       STR_ARG(command->name), STR_ARG(like->name));
    }
    if (uuid_is_zero(command->topic_id) ||
        topics_find_id(topics, command->topic_id) != NULL) {
        return why_set(why, ERR_INVALID_REQUEST,
                       "the id of the new topic \"%.*s\" is in use or zero",
                       STR_ARG(command->name));
    }
    if (command->partitions_count <= 0) {
        return why_set(why, ERR_INVALID_PARTITIONS,
                       "topic \"%.*s\" needs at least one partition",
                       STR_ARG(command->name));
    }
    for (int32_t i = 0; i < command->partitions_count; i++) {
        if (!topics_replicas_fit(&command->partitions[i])) {
            return why_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                           "the replicas of partition %d of topic \"%.*s\" "
                           "cannot be",
                           (int)i, STR_ARG(command->name));
        }
    }
    return topics_check_configs(command, why);
}

/* Takes the reference. */
static void topics_insert(struct topics *topics, struct topic *topic)
{
    char into[TOPIC_NAME_BYTES_MAX];
    void *before;

    before = map_put(&topics->by_name, topics_key(topic->name, into), topic);
    must(before == NULL);
    before = map_put(&topics->by_id, topics_id_key(&topic->id), topic);
    must(before == NULL);
    topics->partitions_count += topic->partitions_count;
}

static struct topic *topics_build(const struct topics *topics,
                                  const struct command_create_topic *command)
{
    struct arena arena = {0};
    struct topic_partition *partitions = arena_array(
        &arena, (size_t)command->partitions_count, sizeof(*partitions));
    struct topic_override *overrides =
        arena_array(&arena, (size_t)command->configs_count, sizeof(*overrides));
    struct topic *topic;

    for (int32_t i = 0; i < command->partitions_count; i++) {
        const struct command_create_topic_partition *from =
            &command->partitions[i];

        partitions[i] = (struct topic_partition){
            .leader = from->leader,
            .leader_epoch = from->leader_epoch,
            .replicas = from->replicas,
            .replicas_count = from->replicas_count,
            .isr = from->isr,
            .isr_count = from->isr_count,
        };
    }
    for (int32_t i = 0; i < command->configs_count; i++) {
        overrides[i].name = command->configs[i].name;
        overrides[i].value = command->configs[i].value;
    }
    topic = topic_new(&(struct topic_parts){
        .name = command->name,
        .id = command->topic_id,
        .source = command->source,
        .created_at_ms = command->at_ms,
        .partitions = partitions,
        .partitions_count = command->partitions_count,
        .overrides = overrides,
        .overrides_count = command->configs_count,
        .defaults = &topics->defaults,
    });
    arena_reset(&arena);
    return topic;
}

/* One change of one config. */
struct topics_history {
    uint64_t index;
    int64_t at_ms;
    struct str topic;
    struct str name;
    struct str old_value; /* null: was not set */
    struct str new_value; /* null: is not set any more */
    struct str source;
};

static void topics_note(struct topics *topics, struct rows *rows,
                        const struct topics_history *h)
{
    int64_t change = topics->history_next++;

    rows_add(rows, ROW_HISTORY_PUT);
    rows_i64(rows, change);
    rows_i64(rows, h->at_ms);
    rows_i64(rows, (int64_t)h->index);
    rows_text(rows, h->topic);
    rows_text(rows, h->name);
    rows_text(rows, h->old_value);
    rows_text(rows, h->new_value);
    rows_text(rows, h->source);
    if (change > CONFIG_HISTORY_ROWS_MAX) {
        rows_add(rows, ROW_HISTORY_DELETE);
        rows_i64(rows, change - CONFIG_HISTORY_ROWS_MAX);
    }
}

static void topics_partition_rows(const struct topic *topic, struct rows *rows)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct topic_partition *p = &topic->partitions[i];

        rows_add(rows, ROW_PARTITION_PUT);
        rows_text(rows, topic->name);
        rows_i64(rows, i);
        rows_i64(rows, p->leader);
        rows_i64(rows, p->leader_epoch);
        rows_i64(rows, p->partition_epoch);
        rows_numbers(rows, p->replicas, p->replicas_count);
        rows_numbers(rows, p->isr, p->isr_count);
    }
}

static void topics_config_rows(struct topics *topics, uint64_t index,
                               const struct topic *topic, struct rows *rows)
{
    for (int32_t i = 0; i < topic->overrides_count; i++) {
        const struct topic_override *o = &topic->overrides[i];

        rows_add(rows, ROW_CONFIG_PUT);
        rows_text(rows, topic->name);
        rows_text(rows, o->name);
        rows_text(rows, o->value);
        topics_note(topics, rows,
                    &(struct topics_history){.index = index,
                                             .at_ms = topic->created_at_ms,
                                             .topic = topic->name,
                                             .name = o->name,
                                             .new_value = o->value,
                                             .source = topic->source});
    }
}

enum err topics_create(struct topics *topics, uint64_t index,
                       const struct command_create_topic *command,
                       struct rows *rows, struct topic **after, struct why *why)
{
    enum err err = topics_check(topics, command, why);
    struct topic *topic;

    if (err != ERR_NONE) {
        return err;
    }
    topic = topics_build(topics, command);
    topics_insert(topics, topic);
    rows_add(rows, ROW_TOPIC_PUT);
    rows_text(rows, topic->name);
    rows_uuid(rows, topic->id);
    rows_i64(rows, topic->partitions_count);
    rows_i64(rows, topic->created_at_ms);
    rows_text(rows, topic->source);
    topics_partition_rows(topic, rows);
    topics_config_rows(topics, index, topic, rows);
    *after = topic;
    return ERR_NONE;
}

struct topic *topics_delete(struct topics *topics, uint64_t index,
                            const struct command_delete_topic *command,
                            struct rows *rows)
{
    struct topic *topic =
        map_remove(&topics->by_id, topics_id_key(&command->topic_id));
    char into[TOPIC_NAME_BYTES_MAX];

    if (topic == NULL) {
        return NULL;
    }
    map_remove(&topics->by_name, topics_key(topic->name, into));
    topics->partitions_count -= topic->partitions_count;
    for (int32_t i = 0; i < topic->overrides_count; i++) {
        const struct topic_override *o = &topic->overrides[i];

        rows_add(rows, ROW_CONFIG_DELETE);
        rows_text(rows, topic->name);
        rows_text(rows, o->name);
        topics_note(topics, rows,
                    &(struct topics_history){.index = index,
                                             .at_ms = command->at_ms,
                                             .topic = topic->name,
                                             .name = o->name,
                                             .old_value = o->value,
                                             .source = STR_LIT("delete")});
    }
    rows_add(rows, ROW_PARTITIONS_DELETE);
    rows_text(rows, topic->name);
    rows_add(rows, ROW_TOPIC_DELETE);
    rows_text(rows, topic->name);
    return topic;
}

enum err topics_load(struct topics *topics, struct topic *topic)
{
    if (topics_find_like(topics, topic->name) != NULL ||
        topics_find_id(topics, topic->id) != NULL ||
        topic_name_check(topic->name, NULL) != ERR_NONE) {
        topic_unref(topic);
        return ERR_DAMAGED;
    }
    topics_insert(topics, topic);
    return ERR_NONE;
}
