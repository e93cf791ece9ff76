/* expiry.c - offsets that were committed for a time; groups that hold nothing.
 *
 * expiry_look(): fire -> what is due goes into one command -> done -> the rest,
 * until nothing is due; then the timer is set for the next. */
#include "coord/expiry.h"

#include "base/must.h"
#include "base/trace.h"
#include "coord/coordinator_private.h"

enum {
    LOOK_MS_MIN = 60000,
    JUMP_MS = 3600000,        /* a clock that is so far ahead ... */
    JUMP_LOOK_MS = 600000,    /* ... is looked at again after so long */
    SWEEP_OFFSETS_MAX = 1000, /* in one command */
    EVICT_MS_MIN = 1000,      /* between two searches */
};

static const struct state *expiry_state(const struct expiry *expiry)
{
    return controller_state(expiry->coordinator->options.controller);
}

static struct env *expiry_env(const struct expiry *expiry)
{
    return expiry->coordinator->env;
}

/* Notes both clocks; gives by how much the wall's is ahead of the other. */
static int64_t expiry_compare_clocks(struct expiry *expiry)
{
    int64_t wall_ms = env_wall_ms(expiry_env(expiry));
    int64_t now_ms = env_now_ms(expiry_env(expiry));
    int64_t ahead_ms =
        wall_ms - expiry->looked_at_ms - (now_ms - expiry->looked_ms);

    expiry->looked_at_ms = wall_ms;
    expiry->looked_ms = now_ms;
    return ahead_ms;
}

void expiry_note(struct expiry *expiry, int64_t expire_at_ms)
{
    int64_t wall_ms = env_wall_ms(expiry_env(expiry));

    if (expire_at_ms == -1 || expire_at_ms >= expiry->due_at_ms) {
        return;
    }
    expiry->due_at_ms = MAX(expire_at_ms, wall_ms + LOOK_MS_MIN);
    env_timer_set(expiry_env(expiry), &expiry->timer,
                  expiry->due_at_ms - wall_ms);
}

/* Sets the timer for the first offset that is not due yet. */
static void expiry_set_timer(struct expiry *expiry)
{
    const struct offsets_group *group;
    int64_t first_ms = INT64_MAX;
    size_t at = 0;

    expiry->due_at_ms = INT64_MAX;
    while (offsets_next(&expiry_state(expiry)->offsets, &at, &group)) {
        for (int32_t i = 0; i < group->count; i++) {
            for (int32_t j = 0; j < group->topics[i].count; j++) {
                int64_t expire_at_ms = group->topics[i].items[j].expire_at_ms;

                if (expire_at_ms != -1) {
                    first_ms = MIN(first_ms, expire_at_ms);
                }
            }
        }
    }
    if (first_ms != INT64_MAX) {
        expiry_note(expiry, first_ms);
    }
}

/* What of a topic is due, as part of the command. */
static void expiry_add_topic(struct expiry *expiry,
                             const struct offsets_topic *from, int64_t wall_ms,
                             struct command_delete_offsets_group *group,
                             int32_t *left)
{
    struct command_delete_offsets_topic *out =
        &group->topics[group->topics_count];

    *out = (struct command_delete_offsets_topic){.topic_id = from->topic_id};
    for (int32_t i = 0; i<from->count && * left> 0; i++) {
        const struct offset *offset = &from->items[i];

        if (offset->expire_at_ms == -1 || offset->expire_at_ms > wall_ms) {
            continue;
        }
        if (out->partitions == NULL) {
            out->partitions = arena_array(&expiry->offsets.arena,
                                          (size_t)MIN(from->count - i, *left),
                                          sizeof(*out->partitions));
        }
        out->partitions[out->partitions_count++] =
            (struct command_delete_offsets_partition){
                .index = offset->partition,
                .only_if_at_ms = offset->committed_at_ms};
        (*left)--;
    }
    group->topics_count += out->partitions_count > 0 ? 1 : 0;
}

/* Whether anything of the group is due; then it is in *out. */
static bool expiry_add_group(struct expiry *expiry,
                             const struct offsets_group *from, int64_t wall_ms,
                             struct command_delete_offsets_group *out,
                             int32_t *left)
{
    struct str id = str_sub(from->group_id, from->group_id_bytes);
    int32_t before = *left;

    *out = (struct command_delete_offsets_group){
        .coordinator_epoch =
            state_find_coordinator(expiry_state(expiry), id)->epoch,
        .topics = arena_array(&expiry->offsets.arena, (size_t)from->count,
                              sizeof(*out->topics))};
    for (int32_t i = 0; i < from->count; i++) {
        expiry_add_topic(expiry, &from->topics[i], wall_ms, out, left);
    }
    out->group_id = arena_str(&expiry->offsets.arena, id);
    return *left < before;
}

static void expiry_sweep(struct expiry *expiry);

static void expiry_swept(struct controller_change *change)
{
    struct expiry *expiry = container_of(change, struct expiry, offsets);
    struct coordinator *coordinator = expiry->coordinator;
    bool ok = change->err == ERR_NONE;

    if (!ok) {
        trace_gated(&coordinator->failures, env_now_ms(expiry_env(expiry)),
                    COORDINATOR_LINES_A_SECOND,
                    "could not remove offsets that have expired: %s",
                    change->why.text);
    }
    controller_change_end(change);
    expiry->sweeping = false;
    if (ok && !coordinator->stopping) {
        expiry_sweep(expiry);
    } else if (!coordinator->stopping) {
        expiry_set_timer(expiry);
    }
    coordinator_change_done(coordinator);
}

/* Removes what is due; when nothing is, sets the timer. */
static void expiry_sweep(struct expiry *expiry)
{
    struct coordinator *coordinator = expiry->coordinator;
    struct controller_change *change = &expiry->offsets;
    struct command_delete_offsets *command = &change->command.delete_offsets;
    int64_t wall_ms = env_wall_ms(expiry_env(expiry));
    const struct offsets_group *group;
    int32_t left = SWEEP_OFFSETS_MAX;
    size_t at = 0;

    *change = (struct controller_change){
        .controller = coordinator->options.controller,
        .done = expiry_swept,
        .command = {.type = COMMAND_DELETE_OFFSETS}};
    command->groups = arena_array(&change->arena, SWEEP_OFFSETS_MAX,
                                  sizeof(*command->groups));
    while (left > 0 &&
           offsets_next(&expiry_state(expiry)->offsets, &at, &group)) {
        if (expiry_add_group(expiry, group, wall_ms,
                             &command->groups[command->groups_count], &left)) {
            command->groups_count++;
        }
    }
    if (command->groups_count == 0) {
        arena_reset(&change->arena);
        expiry_set_timer(expiry);
        return;
    }
    expiry->sweeping = true;
    coordinator->changes++;
    controller_change(change);
}

static void expiry_look(struct env_timer *timer)
{
    struct expiry *expiry = container_of(timer, struct expiry, timer);
    bool ahead = expiry_compare_clocks(expiry) > JUMP_MS;

    expiry->due_at_ms = INT64_MAX;
    if (expiry->sweeping) {
        return; /* it sets the timer when it ends */
    }
    if (ahead && !expiry->jumped) {
        expiry->jumped = true;
        expiry->due_at_ms = expiry->looked_at_ms + JUMP_LOOK_MS;
        env_timer_set(expiry_env(expiry), &expiry->timer, JUMP_LOOK_MS);
        return;
    }
    expiry->jumped = false;
    expiry_sweep(expiry);
}

void expiry_init(struct expiry *expiry, struct coordinator *coordinator)
{
    expiry->coordinator = coordinator;
    expiry->timer.fire = expiry_look;
    expiry->looked_at_ms = env_wall_ms(coordinator->env);
    expiry->looked_ms = env_now_ms(coordinator->env);
    expiry->evicted_ms = INT64_MIN / 2;
    expiry_set_timer(expiry);
}

void expiry_stop(struct expiry *expiry)
{
    env_timer_stop(expiry_env(expiry), &expiry->timer);
}

/* A group whose loss nobody would notice. */
static const struct stored_group *expiry_find_empty(const struct expiry *expiry)
{
    const struct coordinator *coordinator = expiry->coordinator;
    const struct state *state = expiry_state(expiry);
    const struct stored_group *group;
    size_t at = 0;

    while (groups_next(&state->groups, &at, &group)) {
        if (group->members_count == 0 &&
            map_find(&coordinator->groups, group->group_id) == NULL &&
            offsets_find_group(&state->offsets, group->group_id) == NULL &&
            !committed_awaits(&coordinator->committed, group->group_id)) {
            return group;
        }
    }
    return NULL;
}

static void expiry_evicted(struct controller_change *change)
{
    struct expiry *expiry = container_of(change, struct expiry, group);

    if (change->err != ERR_NONE) {
        trace_gated(&expiry->coordinator->failures,
                    env_now_ms(expiry_env(expiry)), COORDINATOR_LINES_A_SECOND,
                    "could not remove an empty group: %s", change->why.text);
    }
    controller_change_end(change);
    expiry->evicting = false;
    coordinator_change_done(expiry->coordinator);
}

void expiry_make_room(struct expiry *expiry)
{
    struct coordinator *coordinator = expiry->coordinator;
    struct controller_change *change = &expiry->group;
    struct command_delete_group *command = &change->command.delete_group;
    int64_t now_ms = env_now_ms(expiry_env(expiry));
    const struct stored_group *group;

    if (expiry->evicting || now_ms - expiry->evicted_ms < EVICT_MS_MIN) {
        return;
    }
    group = expiry_find_empty(expiry);
    if (group == NULL) {
        expiry->evicted_ms = now_ms; /* a search in vain takes its time */
        trace_gated(&coordinator->refusals, now_ms, COORDINATOR_LINES_A_SECOND,
                    "limits.groups (%u) is reached: no new group",
                    coordinator->options.groups);
        return;
    }
    *change = (struct controller_change){
        .controller = coordinator->options.controller,
        .done = expiry_evicted,
        .command = {.type = COMMAND_DELETE_GROUP}};
    command->group_id = arena_str(&change->arena, group->group_id);
    command->coordinator_epoch =
        state_find_coordinator(expiry_state(expiry), group->group_id)->epoch;
    command->at_ms = env_wall_ms(expiry_env(expiry));
    expiry->evicting = true;
    coordinator->changes++;
    controller_change(change);
}
