/* state_core.c - a command in; the state changed, rows and a result out.
 *
 * state_apply() decodes and hands on to one function per command, below it in
 * the order of their numbers. Each checks everything first, then changes: what
 * is refused has left no trace. Nothing may depend on the order of a map. */
#include "meta/state_core.h"

#include "base/crc32c.h"
#include "base/must.h"

/* What the functions below pass around. */
struct state_step {
    struct state *state;
    struct rows *rows;
    struct state_result *result;
};

void state_init(struct state *state, const struct topic_settings *defaults)
{
    *state = (struct state){0};
    topics_init(&state->topics, defaults);
    for (size_t i = 0; i < ARRAY_COUNT(state->coordinators); i++) {
        state->coordinators[i].broker_id = -1;
    }
}

void state_fini(struct state *state)
{
    brokers_unref(state->brokers);
    topics_fini(&state->topics);
    offsets_fini(&state->offsets);
    groups_fini(&state->groups);
    arena_reset(&state->arena);
    *state = (struct state){0};
}

void state_result_fini(struct state_result *result)
{
    topic_unref(result->topic_before);
    topic_unref(result->topic_after);
    arena_reset(&result->arena);
    *result = (struct state_result){0};
}

int32_t coordinator_slot(struct str group_id)
{
    return (int32_t)(crc32c(0, group_id.ptr, group_id.len) % COORDINATOR_SLOTS);
}

const struct state_coordinator *
state_find_coordinator(const struct state *state, struct str group_id)
{
    return &state->coordinators[coordinator_slot(group_id)];
}

const struct offset *state_find_offset(const struct state *state,
                                       struct str group_id, struct str topic,
                                       int32_t partition)
{
    const struct topic *found = topics_find(&state->topics, topic);

    return found == NULL
               ? NULL
               : offsets_find(&state->offsets, group_id, found->id, partition);
}

/* epoch -1: whoever asks need not be the coordinator. */
static bool state_is_coordinator(const struct state *state, struct str group_id,
                                 int32_t epoch)
{
    return epoch == -1 ||
           state_find_coordinator(state, group_id)->epoch == epoch;
}

static enum err state_fenced(struct state_step *step, struct str group_id)
{
    return why_set(&step->result->why, ERR_NOT_COORDINATOR,
                   "group \"%.*s\" has another coordinator by now",
                   STR_ARG(group_id));
}

/* A migration that is there already does nothing: two nodes may ask for it. */
static enum err state_migrate(struct state_step *step,
                              const struct command_migrate *c)
{
    if (c->schema_version <= step->state->schema_version) {
        return ERR_NONE;
    }
    if (c->schema_version != step->state->schema_version + 1) {
        return why_set(&step->result->why, ERR_INVALID_REQUEST,
                       "schema %d cannot follow %d", (int)c->schema_version,
                       (int)step->state->schema_version);
    }
    step->state->schema_version = c->schema_version;
    rows_add(step->rows, ROW_MIGRATE);
    rows_i64(step->rows, c->schema_version);
    rows_i64(step->rows, c->at_ms);
    return ERR_NONE;
}

static enum err state_init_cluster(struct state_step *step,
                                   const struct command_init_cluster *c)
{
    struct state *state = step->state;

    if (state->cluster_id[0] != '\0') {
        return why_set(&step->result->why, ERR_EXISTS,
                       "the cluster has its id: %s", state->cluster_id);
    }
    if (c->cluster_id.len != CLUSTER_ID_BYTES ||
        !str_copy(c->cluster_id, state->cluster_id,
                  sizeof(state->cluster_id))) {
        state->cluster_id[0] = '\0';
        return why_set(&step->result->why, ERR_INVALID_REQUEST,
                       "a cluster's id has %d characters", CLUSTER_ID_BYTES);
    }
    state->cluster_created_at_ms = c->at_ms;
    rows_add(step->rows, ROW_CLUSTER_PUT);
    rows_text(step->rows, c->cluster_id);
    rows_i64(step->rows, c->at_ms);
    return ERR_NONE;
}

static void state_broker_rows(const struct broker *broker, struct rows *rows)
{
    rows_add(rows, ROW_BROKER_PUT);
    rows_i64(rows, broker->id);
    rows_text(rows, broker->rack);
    rows_uuid(rows, broker->incarnation);
    rows_i64(rows, broker->epoch);
    rows_i64(rows, broker->registered_at_ms);
    rows_add(rows, ROW_LISTENERS_DELETE);
    rows_i64(rows, broker->id);
    for (int32_t i = 0; i < broker->listeners_count; i++) {
        rows_add(rows, ROW_LISTENER_PUT);
        rows_i64(rows, broker->id);
        rows_i64(rows, i);
        rows_text(rows, broker->listeners[i].name);
        rows_text(rows, broker->listeners[i].host);
        rows_i64(rows, broker->listeners[i].port);
    }
}

static enum err state_register_broker(struct state_step *step,
                                      const struct command_register_broker *c)
{
    struct broker_listener *listeners = arena_array(
        &step->state->arena, (size_t)c->listeners_count, sizeof(*listeners));
    struct broker broker = {
        .id = c->broker_id,
        .rack = c->rack,
        .incarnation = c->incarnation,
        .epoch = (int64_t)step->result->index,
        .registered_at_ms = c->at_ms,
        .listeners = listeners,
        .listeners_count = c->listeners_count,
    };
    struct brokers *before = step->state->brokers;

    if (c->broker_id < 0) {
        return why_set(&step->result->why, ERR_INVALID_REQUEST,
                       "a broker's id cannot be %d", (int)c->broker_id);
    }
    for (int32_t i = 0; i < c->listeners_count; i++) {
        listeners[i].name = c->listeners[i].name;
        listeners[i].host = c->listeners[i].host;
        listeners[i].port = c->listeners[i].port;
    }
    step->state->brokers = brokers_with(before, &broker);
    brokers_unref(before);
    state_broker_rows(&broker, step->rows);
    step->result->brokers_changed = true;
    return ERR_NONE;
}

static enum err state_create_topic(struct state_step *step,
                                   const struct command_create_topic *c)
{
    struct topic *topic;
    enum err err = topics_create(&step->state->topics, step->result->index, c,
                                 step->rows, &topic, &step->result->why);

    if (err == ERR_NONE) {
        step->result->topic_after = topic_ref(topic);
    }
    return err;
}

static enum err state_delete_topic(struct state_step *step,
                                   const struct command_delete_topic *c)
{
    struct topic *topic =
        topics_delete(&step->state->topics, step->result->index, c, step->rows);

    if (topic == NULL) {
        return why_set(&step->result->why, ERR_UNKNOWN_TOPIC_ID,
                       "no topic has this id");
    }
    offsets_remove_topic(&step->state->offsets, topic->id, topic->name,
                         step->rows);
    step->result->topic_before = topic;
    return ERR_NONE;
}

static enum err
state_allocate_producer_ids(struct state_step *step,
                            const struct command_allocate_producer_ids *c)
{
    struct state *state = step->state;

    if (c->count <= 0 || state->producer_id_next > INT64_MAX - c->count) {
        return why_set(&step->result->why, ERR_INVALID_REQUEST,
                       "cannot give out %d producer ids", (int)c->count);
    }
    step->result->first_producer_id = state->producer_id_next;
    step->result->producer_id_count = c->count;
    state->producer_id_next += c->count;
    rows_add(step->rows, ROW_PRODUCER_IDS_PUT);
    rows_i64(step->rows, c->broker_id);
    rows_i64(step->rows, step->result->first_producer_id);
    rows_i64(step->rows, c->count);
    rows_i64(step->rows, c->at_ms);
    return ERR_NONE;
}

static enum err state_set_coordinators(struct state_step *step,
                                       const struct command_set_coordinators *c)
{
    struct state_coordinator *all = step->state->coordinators;

    for (int32_t i = 0; i < c->slots_count; i++) {
        int32_t slot = c->slots[i].slot;

        if (slot < 0 || slot >= COORDINATOR_SLOTS ||
            c->slots[i].epoch <= all[slot].epoch) {
            return why_set(&step->result->why, ERR_INVALID_REQUEST,
                           "slot %d cannot come to epoch %d", (int)slot,
                           (int)c->slots[i].epoch);
        }
    }
    for (int32_t i = 0; i < c->slots_count; i++) {
        struct state_coordinator *slot = &all[c->slots[i].slot];

        slot->broker_id = c->slots[i].broker_id;
        slot->epoch = c->slots[i].epoch;
        rows_add(step->rows, ROW_COORDINATOR_PUT);
        rows_i64(step->rows, c->slots[i].slot);
        rows_i64(step->rows, slot->broker_id);
        rows_i64(step->rows, slot->epoch);
    }
    step->result->coordinators_changed = true;
    return ERR_NONE;
}

/* The list of refusals doubles in the result's arena. */
static void state_refuse(struct state_result *result, uint32_t entry,
                         enum err err)
{
    uint32_t count = result->refusals_count;
    struct state_refusal *list = NULL;

    if ((count & (count - 1)) == 0) {
        list = arena_array(&result->arena, count == 0 ? 1 : 2 * (size_t)count,
                           sizeof(*list));
        if (count > 0) {
            memcpy(list, result->refusals, count * sizeof(*list));
        }
        result->refusals = list;
    }
    list = (struct state_refusal *)(uintptr_t)result->refusals;
    list[count] = (struct state_refusal){.entry = entry, .err = err};
    result->refusals_count = count + 1;
}

/* One topic of one commit. entry: the number of its first offset. */
static void state_commit_topic(struct state_step *step,
                               const struct command_commit_offsets_commit *c,
                               const struct command_commit_offsets_topic *from,
                               enum err refused, uint32_t entry)
{
    const struct topic *topic =
        topics_find_id(&step->state->topics, from->topic_id);

    for (int32_t i = 0; i < from->partitions_count; i++, entry++) {
        const struct command_commit_offsets_partition *p = &from->partitions[i];
        enum err err = refused;

        if (err == ERR_NONE && (topic == NULL || p->index < 0 ||
                                p->index >= topic->partitions_count)) {
            err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        }
        if (err != ERR_NONE) {
            state_refuse(step->result, entry, err);
            continue;
        }
        offsets_put(&step->state->offsets,
                    &(struct offset_place){.group_id = c->group_id,
                                           .topic_id = topic->id,
                                           .topic_name = topic->name,
                                           .partition = p->index},
                    &(struct offset){.offset = p->offset,
                                     .leader_epoch = p->leader_epoch,
                                     .committed_at_ms = c->at_ms,
                                     .expire_at_ms = c->expire_at_ms},
                    p->metadata, step->rows);
    }
}

/* Offsets fail one by one: the command as a whole is never refused. */
static enum err state_commit_offsets(struct state_step *step,
                                     const struct command_commit_offsets *c)
{
    uint32_t entry = 0;

    for (int32_t i = 0; i < c->commits_count; i++) {
        const struct command_commit_offsets_commit *commit = &c->commits[i];
        enum err refused = state_is_coordinator(step->state, commit->group_id,
                                                commit->coordinator_epoch)
                               ? ERR_NONE
                               : ERR_NOT_COORDINATOR;

        for (int32_t j = 0; j < commit->topics_count; j++) {
            state_commit_topic(step, commit, &commit->topics[j], refused,
                               entry);
            entry += (uint32_t)commit->topics[j].partitions_count;
        }
    }
    return ERR_NONE;
}

static void
state_delete_offsets_group(struct state_step *step,
                           const struct command_delete_offsets_group *group)
{
    struct state *state = step->state;

    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct command_delete_offsets_topic *from = &group->topics[i];
        const struct topic *topic =
            topics_find_id(&state->topics, from->topic_id);

        for (int32_t j = 0; topic != NULL && j < from->partitions_count; j++) {
            offsets_remove(
                &state->offsets,
                &(struct offset_place){.group_id = group->group_id,
                                       .topic_id = topic->id,
                                       .topic_name = topic->name,
                                       .partition = from->partitions[j].index},
                from->partitions[j].only_if_at_ms, step->rows);
        }
    }
}

/* What is gone already is as good as deleted. */
static enum err state_delete_offsets(struct state_step *step,
                                     const struct command_delete_offsets *c)
{
    for (int32_t i = 0; i < c->groups_count; i++) {
        if (!state_is_coordinator(step->state, c->groups[i].group_id,
                                  c->groups[i].coordinator_epoch)) {
            return state_fenced(step, c->groups[i].group_id);
        }
    }
    for (int32_t i = 0; i < c->groups_count; i++) {
        state_delete_offsets_group(step, &c->groups[i]);
    }
    return ERR_NONE;
}

static enum err state_save_group(struct state_step *step,
                                 const struct command_save_group *c)
{
    if (!state_is_coordinator(step->state, c->group_id, c->coordinator_epoch)) {
        return state_fenced(step, c->group_id);
    }
    groups_save(&step->state->groups, c, step->rows);
    return ERR_NONE;
}

static enum err state_delete_group(struct state_step *step,
                                   const struct command_delete_group *c)
{
    struct state *state = step->state;
    const struct offsets_group *offsets;
    bool found;

    if (!state_is_coordinator(state, c->group_id, c->coordinator_epoch)) {
        return state_fenced(step, c->group_id);
    }
    found = groups_delete(&state->groups, c->group_id, step->rows);
    while ((offsets = offsets_find_group(&state->offsets, c->group_id)) !=
           NULL) {
        struct topic *topic =
            topics_find_id(&state->topics, offsets->topics[0].topic_id);

        must(topic != NULL);
        found = true;
        offsets_remove_group_topic(&state->offsets, c->group_id, topic->id,
                                   topic->name, step->rows);
    }
    return found ? ERR_NONE
                 : why_set(&step->result->why, ERR_GROUP_ID_NOT_FOUND,
                           "there is no group \"%.*s\"", STR_ARG(c->group_id));
}

static enum err state_dispatch(struct state_step *step, const struct command *c)
{
    switch (c->type) {
    case COMMAND_MIGRATE:
        return state_migrate(step, &c->migrate);
    case COMMAND_INIT_CLUSTER:
        return state_init_cluster(step, &c->init_cluster);
    case COMMAND_REGISTER_BROKER:
        return state_register_broker(step, &c->register_broker);
    case COMMAND_CREATE_TOPIC:
        return state_create_topic(step, &c->create_topic);
    case COMMAND_DELETE_TOPIC:
        return state_delete_topic(step, &c->delete_topic);
    case COMMAND_ALLOCATE_PRODUCER_IDS:
        return state_allocate_producer_ids(step, &c->allocate_producer_ids);
    case COMMAND_SET_COORDINATORS:
        return state_set_coordinators(step, &c->set_coordinators);
    case COMMAND_COMMIT_OFFSETS:
        return state_commit_offsets(step, &c->commit_offsets);
    case COMMAND_DELETE_OFFSETS:
        return state_delete_offsets(step, &c->delete_offsets);
    case COMMAND_SAVE_GROUP:
        return state_save_group(step, &c->save_group);
    case COMMAND_DELETE_GROUP:
        return state_delete_group(step, &c->delete_group);
    }
    unreachable();
}

/* A command can be read and still be for a program that is newer than this
 * one; and none but migrate may come before there are tables. */
static enum err state_admit(const struct state *state, const struct command *c,
                            struct why *why)
{
    if (c->type == COMMAND_MIGRATE) {
        return c->migrate.schema_version > STATE_SCHEMA_VERSION
                   ? why_set(why, ERR_UNSUPPORTED,
                             "this version knows schema %d, the cluster moves "
                             "to %d",
                             STATE_SCHEMA_VERSION,
                             (int)c->migrate.schema_version)
                   : ERR_NONE;
    }
    return state->schema_version == 0
               ? why_set(why, ERR_UNSUPPORTED,
                         "the command \"%s\" comes before the first migrate",
                         command_name(c->type))
               : ERR_NONE;
}

enum err state_apply(struct state *state, const struct state_entry *entry,
                     struct rows *rows, struct state_result *result,
                     struct why *why)
{
    struct state_step step = {.state = state, .rows = rows, .result = result};
    struct command decoded;
    enum err err;

    must(entry->index > state->index);
    *result = (struct state_result){.index = entry->index};
    arena_reset(&state->arena);
    err = command_decode(entry->command, &state->arena, &decoded, why);
    if (err == ERR_NONE) {
        err = state_admit(state, &decoded, why);
    }
    if (err != ERR_NONE) {
        return err;
    }
    result->type = decoded.type;
    result->err = state_dispatch(&step, &decoded);
    state->index = entry->index;
    state->term = entry->term;
    return ERR_NONE;
}
