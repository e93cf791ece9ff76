/* hosted.c - a group at work: what group_core.c says is done here.
 *
 * An event's effects are carried out in this order: the answers are taken out
 * of the group, into their askers' own memory; the deadline is kept; what has
 * to be stored is proposed; a group that is idle and stored is dropped; last,
 * when nothing of the group is in use any more, the answers go home. */
#include "coord/coordinator_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

/* A command that stores a group. */
struct hosted_save {
    struct coordinator *coordinator;
    struct controller_change change;
    struct str group_id; /* in the change's arena */
    int32_t generation;
    bool wanted;      /* the group waits for it */
    struct list held; /* answers that leave when it is done */
};

struct hosted *hosted_open(struct coordinator *coordinator, struct group *group)
{
    struct hosted *hosted = MEM_NEW(struct hosted);

    hosted->coordinator = coordinator;
    hosted->group = group;
    must(map_put(&coordinator->groups, group->id, hosted) == NULL);
    return hosted;
}

void hosted_close(struct hosted *hosted)
{
    struct coordinator *coordinator = hosted->coordinator;

    must(hosted->saves == 0);
    must(map_remove(&coordinator->groups, hosted->group->id) == hosted);
    heap_remove(&coordinator->deadlines, &hosted->deadline);
    coordinator->bytes -= hosted->bytes;
    group_close(hosted->group);
    mem_free(hosted);
}

int64_t hosted_now_ms(const struct hosted *hosted)
{
    return env_now_ms(hosted->coordinator->env);
}

static void hosted_answer_join(const struct group *group,
                               const struct group_answer *answer,
                               struct coordinator_join *join)
{
    struct arena *arena = join->ask.arena;

    join->member_id = arena_str(arena, answer->member_id);
    join->generation = answer->generation;
    join->leader_id = arena_str(arena, answer->leader_id);
    join->skip_assignment = answer->skip_assignment;
    join->protocol_type = STR_NULL;
    join->protocol = STR_NULL;
    join->members_count = 0;
    if (answer->err != ERR_NONE) {
        return;
    }
    join->protocol_type = arena_str(arena, group->protocol_type);
    join->protocol = arena_str(arena, group->protocol);
    if (!answer->with_members) {
        return;
    }
    join->members =
        arena_array(arena, group->members_count, sizeof(*join->members));
    list_each(node, &group->members)
    {
        const struct group_member *member =
            container_of(node, struct group_member, node);

        join->members[join->members_count++] = (struct coordinator_join_member){
            .member_id = arena_str(arena, member->id),
            .instance_id = arena_str(arena, member->instance_id),
            .metadata = arena_str(arena, group_member_metadata(group, member))};
    }
}

static void hosted_answer_sync(const struct group *group,
                               const struct group_answer *answer,
                               struct coordinator_sync *sync)
{
    struct arena *arena = sync->ask.arena;
    bool ok = answer->err == ERR_NONE;

    sync->assignment = arena_str(arena, answer->assignment);
    sync->protocol_type =
        ok ? arena_str(arena, group->protocol_type) : STR_NULL;
    sync->protocol = ok ? arena_str(arena, group->protocol) : STR_NULL;
}

/* From the group's memory into that of those who asked. */
static void hosted_take_answers(const struct hosted *hosted,
                                const struct group_effects *effects,
                                struct list *ready)
{
    for (uint32_t i = 0; i < effects->answers_count; i++) {
        const struct group_answer *answer = &effects->answers[i];
        struct coordinator_waiter *waiter = answer->token;
        struct coordinator_ask *ask = waiter->ask;

        mem_free(waiter);
        if (ask == NULL) {
            continue;
        }
        ask->waiter = NULL;
        ask->err = answer->err;
        if (answer->kind == GROUP_ANSWER_JOIN) {
            hosted_answer_join(hosted->group, answer,
                               container_of(ask, struct coordinator_join, ask));
        } else {
            hosted_answer_sync(hosted->group, answer,
                               container_of(ask, struct coordinator_sync, ask));
        }
        list_push(ready, &ask->node);
    }
}

static void hosted_send(struct list *ready)
{
    struct list *node;

    while ((node = list_pop(ready)) != NULL) {
        struct coordinator_ask *ask =
            container_of(node, struct coordinator_ask, node);

        coordinator_ask_answer(ask, ask->err);
    }
}

static void hosted_saved(struct controller_change *change)
{
    struct hosted_save *save = container_of(change, struct hosted_save, change);
    struct coordinator *coordinator = save->coordinator;
    struct hosted *hosted = map_find(&coordinator->groups, save->group_id);
    enum err err = coordinator_change_err(change->err);
    struct group_effects effects = {0};
    struct list held;

    must(hosted != NULL && hosted->saves > 0);
    hosted->saves--;
    hosted->unsaved = err != ERR_NONE;
    if (err != ERR_NONE) {
        trace_gated(&coordinator->failures, env_now_ms(coordinator->env),
                    COORDINATOR_LINES_A_SECOND,
                    "could not store group \"%.*s\": %s",
                    STR_ARG(save->group_id), change->why.text);
    }
    list_init(&held);
    list_move(&save->held, &held);
    if (save->wanted && !coordinator->stopping) {
        group_saved(hosted->group, save->generation, err, hosted_now_ms(hosted),
                    &effects);
    }
    if (err != ERR_NONE) {
        list_each(node, &held)
        {
            container_of(node, struct coordinator_ask, node)->err = err;
        }
    }
    controller_change_end(change);
    mem_free(save);
    hosted_perform(hosted, &effects);
    hosted_send(&held);
    coordinator_change_done(coordinator);
}

/* Proposes the group as it is. The last that is done with the group: hosted may
 * be gone when this returns. held: answers that wait for it. */
static void hosted_save(struct hosted *hosted, bool wanted, struct list *held)
{
    struct coordinator *coordinator = hosted->coordinator;
    struct controller *controller = coordinator->options.controller;
    struct hosted_save *save = MEM_NEW(struct hosted_save);
    struct command_save_group *command = &save->change.command.save_group;

    save->coordinator = coordinator;
    save->generation = hosted->group->generation;
    save->wanted = wanted;
    list_init(&save->held);
    list_move(held, &save->held);
    save->change.controller = controller;
    save->change.done = hosted_saved;
    save->change.command.type = COMMAND_SAVE_GROUP;
    stored_from_group(hosted->group, &save->change.arena, command);
    command->coordinator_epoch =
        state_find_coordinator(controller_state(controller), command->group_id)
            ->epoch;
    command->at_ms = env_wall_ms(coordinator->env);
    save->group_id = command->group_id;
    hosted->saves++;
    coordinator->changes++;
    controller_change(&save->change);
}

/* Keeps the deadline and the sum of bytes. */
static void hosted_account(struct hosted *hosted)
{
    struct coordinator *coordinator = hosted->coordinator;
    int64_t due_ms = group_deadline_ms(hosted->group);

    coordinator->bytes += hosted->group->bytes - hosted->bytes;
    hosted->bytes = hosted->group->bytes;
    if (due_ms == INT64_MAX) {
        heap_remove(&coordinator->deadlines, &hosted->deadline);
    } else {
        heap_put(&coordinator->deadlines, &hosted->deadline, due_ms);
    }
    coordinator_set_timer(coordinator);
}

void hosted_perform(struct hosted *hosted, struct group_effects *effects)
{
    bool save = effects->save;
    bool wanted = effects->saved_wanted;
    struct list ready;
    struct list held;

    list_init(&ready);
    list_init(&held);
    hosted_take_answers(hosted, effects,
                        effects->answers_after_save ? &held : &ready);
    group_effects_fini(effects);
    hosted_account(hosted);
    if (save) {
        hosted_save(hosted, wanted, &held);
    } else if (group_is_idle(hosted->group) && !hosted->unsaved &&
               hosted->saves == 0) {
        hosted_close(hosted);
    }
    hosted_send(&ready);
}
