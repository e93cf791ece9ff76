/* coordinator.c - the map of groups, their one timer, and what is asked of
 * them.
 *
 * A question: coordinator_join() and its like, on any loop -> (call) ->
 * coordinator_join_run(): is the group ours, is there room (coordinator_open_
 * door()), then the group's own rules (group_core.h) -> hosted_perform(): what
 * the event came to -> (call) -> ask->done.
 *
 * Invariants: (1) a group with members is in the map; one without is in the
 * stored state alone, unless a store of it failed or is under way; (2) the
 * timer is due no later than the first deadline of any group. */
#include "coord/coordinator.h"

#include "base/mem.h"
#include "base/must.h"
#include "coord/coordinator_private.h"

enum { CLIENT_PART_BYTES_MAX = 200, MEMBER_UUID_BYTES = 37 };

enum err coordinator_change_err(enum err err)
{
    switch (err) {
    case ERR_NONE:
        return ERR_NONE;
    case ERR_NOT_CONTROLLER:
    case ERR_NOT_COORDINATOR:
        return ERR_NOT_COORDINATOR;
    case ERR_TOO_LARGE:
        return ERR_UNKNOWN_SERVER_ERROR;
    default:
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
}

enum err coordinator_admit(const struct coordinator *coordinator,
                           struct str group_id)
{
    struct controller *controller = coordinator->options.controller;
    const struct state_coordinator *slot =
        state_find_coordinator(controller_state(controller), group_id);

    if (coordinator->stopping) {
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    return slot->broker_id == controller_node_id(controller)
               ? ERR_NONE
               : ERR_NOT_COORDINATOR;
}

/* The first deadline has come, or one that has moved away since. */
static void coordinator_fire(struct env_timer *timer)
{
    struct coordinator *coordinator =
        container_of(timer, struct coordinator, timer);
    int64_t now_ms = env_now_ms(coordinator->env);
    struct heap_node *first;

    coordinator->timer_due_ms = INT64_MAX;
    while ((first = heap_first(&coordinator->deadlines)) != NULL &&
           first->key <= now_ms) {
        struct hosted *hosted = container_of(first, struct hosted, deadline);
        struct group_effects effects = {0};

        group_tick(hosted->group, now_ms, &effects);
        hosted_perform(hosted, &effects);
    }
    coordinator_set_timer(coordinator);
}

void coordinator_set_timer(struct coordinator *coordinator)
{
    const struct heap_node *first = heap_first(&coordinator->deadlines);

    /* A timer that is early finds nothing to do and sets itself anew: so a
     * heartbeat, which moves a deadline away, costs nothing here. */
    if (coordinator->stopping || first == NULL ||
        first->key >= coordinator->timer_due_ms) {
        return;
    }
    coordinator->timer_due_ms = first->key;
    env_timer_set(coordinator->env, &coordinator->timer,
                  first->key - env_now_ms(coordinator->env));
}

struct hosted *coordinator_find(struct coordinator *coordinator,
                                struct str group_id)
{
    struct hosted *hosted = map_find(&coordinator->groups, group_id);
    const struct stored_group *stored;

    if (hosted != NULL) {
        return hosted;
    }
    stored = groups_find(
        &controller_state(coordinator->options.controller)->groups, group_id);
    if (stored == NULL) {
        return NULL;
    }
    return hosted_open(coordinator,
                       stored_to_group(stored, &coordinator->limits,
                                       env_now_ms(coordinator->env)));
}

struct hosted *coordinator_make(struct coordinator *coordinator,
                                struct str group_id)
{
    const struct state *state =
        controller_state(coordinator->options.controller);
    struct hosted *hosted = coordinator_find(coordinator, group_id);

    if (hosted != NULL) {
        return hosted;
    }
    if (map_count(&coordinator->groups) >= coordinator->options.groups ||
        groups_count(&state->groups) >= coordinator->options.groups) {
        expiry_make_room(&coordinator->expiry);
        return NULL;
    }
    return hosted_open(coordinator, group_open(group_id, &coordinator->limits));
}

/* "client-6ba7b810-9dad-41d1-80b4-00c04fd430c8", as Kafka has it. */
static struct str coordinator_new_member_id(struct coordinator *coordinator,
                                            const struct group_join *in,
                                            struct arena *arena)
{
    struct str name =
        str_is_null(in->instance_id) ? in->client_id : in->instance_id;
    uint8_t random[16];
    struct uuid uuid;
    const uint8_t *b;

    env_random(coordinator->env, random, sizeof(random));
    uuid = uuid_v4(random);
    b = uuid.bytes;
    if (name.len > CLIENT_PART_BYTES_MAX) {
        name.len = CLIENT_PART_BYTES_MAX;
        while (name.len > 0 && (name.ptr[name.len] & 0xC0) == 0x80) {
            name.len--; /* not in the middle of a character */
        }
    }
    return arena_printf(arena,
                        "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
                        "%02x%02x%02x%02x%02x%02x",
                        (int)name.len, name.len == 0 ? "" : name.ptr, b[0],
                        b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
                        b[10], b[11], b[12], b[13], b[14], b[15]);
}

static uint64_t coordinator_weigh(const struct group_protocol *items,
                                  int32_t count)
{
    uint64_t bytes = 0;

    for (int32_t i = 0; i < count; i++) {
        bytes += items[i].name.len + items[i].metadata.len;
    }
    return bytes;
}

/* Whether all groups together have room for so much more. */
static enum err coordinator_check_room(const struct coordinator *coordinator,
                                       uint64_t bytes)
{
    return bytes + coordinator->bytes > COORDINATOR_BYTES_MAX
               ? ERR_COORDINATOR_NOT_AVAILABLE
               : ERR_NONE;
}

/* Whether the group has room for what the join says. It takes the place of what
 * the same member has said: who says no more than that needs no room, however
 * much was assigned since. */
static enum err coordinator_check_join(const struct coordinator *coordinator,
                                       const struct hosted *hosted,
                                       const struct group_join *in)
{
    uint64_t bytes = coordinator_weigh(in->protocols, in->protocols_count);
    const struct group_member *member = NULL;

    if (hosted == NULL) {
        return bytes > HOSTED_BYTES_MAX
                   ? ERR_GROUP_MAX_SIZE_REACHED
                   : coordinator_check_room(coordinator, bytes);
    }
    if (in->member_id.len > 0) {
        member = group_find_member(hosted->group, in->member_id);
    } else if (!str_is_null(in->instance_id)) {
        member = map_find(&hosted->group->by_instance, in->instance_id);
    }
    if (member != NULL) {
        uint64_t said =
            coordinator_weigh(member->protocols, member->protocols_count);

        if (bytes <= said) {
            return ERR_NONE;
        }
        bytes -= said;
    }
    return bytes + hosted->bytes > HOSTED_BYTES_MAX
               ? ERR_GROUP_MAX_SIZE_REACHED
               : coordinator_check_room(coordinator, bytes);
}

/* Where a join goes; NULL: *err says why it goes nowhere. */
static struct hosted *coordinator_open_door(const struct coordinator_join *join,
                                            enum err *err)
{
    struct coordinator *coordinator = join->ask.coordinator;
    const struct group_join *in = &join->in;
    struct hosted *hosted;

    *err = join->ask.group_id.len == 0
               ? ERR_INVALID_GROUP_ID
               : coordinator_admit(coordinator, join->ask.group_id);
    if (*err == ERR_NONE &&
        (in->session_timeout_ms < coordinator->limits.session_ms_min ||
         in->session_timeout_ms > coordinator->limits.session_ms_max)) {
        *err = ERR_INVALID_SESSION_TIMEOUT;
    }
    if (*err != ERR_NONE) {
        return NULL;
    }
    hosted = map_find(&coordinator->groups, join->ask.group_id);
    if (hosted == NULL && in->member_id.len > 0) {
        *err = ERR_UNKNOWN_MEMBER_ID;
        return NULL;
    }
    *err = coordinator_check_join(coordinator, hosted, in);
    if (*err != ERR_NONE || hosted != NULL) {
        return *err == ERR_NONE ? hosted : NULL;
    }
    *err = ERR_COORDINATOR_NOT_AVAILABLE;
    return coordinator_make(coordinator, join->ask.group_id);
}

static void coordinator_join_run(struct coordinator_ask *ask)
{
    struct coordinator_join *join =
        container_of(ask, struct coordinator_join, ask);
    struct coordinator *coordinator = ask->coordinator;
    struct group_effects effects = {0};
    enum err err;
    struct hosted *hosted = coordinator_open_door(join, &err);

    join->generation = -1;
    join->member_id = join->in.member_id;
    join->leader_id = STR_LIT("");
    if (hosted == NULL) {
        coordinator_ask_answer(ask, err);
        return;
    }
    join->in.now_ms = env_now_ms(coordinator->env);
    join->in.new_member_id =
        coordinator_new_member_id(coordinator, &join->in, ask->arena);
    join->in.token = coordinator_token(ask);
    group_join(hosted->group, &join->in, &effects);
    hosted_perform(hosted, &effects);
}

void coordinator_join(struct coordinator_join *join)
{
    coordinator_ask_start(&join->ask, coordinator_join_run);
}

/* Where a question of a member goes. Groups that have members are in memory. */
static struct hosted *
coordinator_find_members(const struct coordinator_ask *ask, enum err *err)
{
    struct hosted *hosted;

    *err = ask->group_id.len == 0
               ? ERR_INVALID_GROUP_ID
               : coordinator_admit(ask->coordinator, ask->group_id);
    if (*err != ERR_NONE) {
        return NULL;
    }
    hosted = map_find(&ask->coordinator->groups, ask->group_id);
    *err = hosted == NULL ? ERR_UNKNOWN_MEMBER_ID : ERR_NONE;
    return hosted;
}

static void coordinator_sync_run(struct coordinator_ask *ask)
{
    struct coordinator_sync *sync =
        container_of(ask, struct coordinator_sync, ask);
    struct coordinator *coordinator = ask->coordinator;
    struct group_effects effects = {0};
    enum err err;
    struct hosted *hosted = coordinator_find_members(ask, &err);

    sync->protocol_type = STR_NULL;
    sync->protocol = STR_NULL;
    sync->assignment = STR_LIT("");
    if (hosted != NULL) {
        err = coordinator_check_room(
            coordinator, coordinator_weigh(sync->in.assignments,
                                           sync->in.assignments_count));
    }
    if (err != ERR_NONE) {
        coordinator_ask_answer(ask, err);
        return;
    }
    sync->in.now_ms = env_now_ms(coordinator->env);
    sync->in.token = coordinator_token(ask);
    group_sync(hosted->group, &sync->in, &effects);
    hosted_perform(hosted, &effects);
}

void coordinator_sync(struct coordinator_sync *sync)
{
    coordinator_ask_start(&sync->ask, coordinator_sync_run);
}

static void coordinator_heartbeat_run(struct coordinator_ask *ask)
{
    struct coordinator_heartbeat *heartbeat =
        container_of(ask, struct coordinator_heartbeat, ask);
    struct group_effects effects = {0};
    enum err err;
    struct hosted *hosted = coordinator_find_members(ask, &err);

    if (hosted != NULL) {
        err = group_heartbeat(hosted->group, &heartbeat->in,
                              hosted_now_ms(hosted));
        hosted_perform(hosted, &effects);
    }
    coordinator_ask_answer(ask, err);
}

void coordinator_heartbeat(struct coordinator_heartbeat *heartbeat)
{
    coordinator_ask_start(&heartbeat->ask, coordinator_heartbeat_run);
}

static void coordinator_leave_run(struct coordinator_ask *ask)
{
    struct coordinator_leave *leave =
        container_of(ask, struct coordinator_leave, ask);
    struct group_effects effects = {0};
    enum err err;
    struct hosted *hosted = coordinator_find_members(ask, &err);

    for (int32_t i = 0; i < leave->members_count; i++) {
        struct coordinator_leaver *member = &leave->members[i];
        struct group_caller caller = {.member_id = member->member_id,
                                      .instance_id = member->instance_id};

        member->err = hosted == NULL
                          ? ERR_UNKNOWN_MEMBER_ID
                          : group_leave(hosted->group, &caller,
                                        hosted_now_ms(hosted), &effects);
    }
    if (hosted != NULL) {
        hosted_perform(hosted, &effects);
    }
    coordinator_ask_answer(ask, err == ERR_UNKNOWN_MEMBER_ID ? ERR_NONE : err);
}

void coordinator_leave(struct coordinator_leave *leave)
{
    coordinator_ask_start(&leave->ask, coordinator_leave_run);
}

struct coordinator *coordinator_open(const struct coordinator_options *options)
{
    struct coordinator *coordinator = MEM_NEW(struct coordinator);
    const struct state *state = controller_state(options->controller);
    const struct stored_group *stored;
    size_t at = 0;

    coordinator->options = *options;
    coordinator->env = loop_env(controller_loop(options->controller));
    coordinator->limits = (struct group_limits){
        .initial_delay_ms = options->initial_delay_ms,
        .session_ms_min = options->session_ms_min,
        .session_ms_max = options->session_ms_max,
        .members = options->group_members,
        .stored_bytes = CONTROLLER_COMMAND_BYTES - HOSTED_STORED_HEAD_BYTES};
    coordinator->timer.fire = coordinator_fire;
    coordinator->timer_due_ms = INT64_MAX;
    committed_init(&coordinator->committed, coordinator);
    expiry_init(&coordinator->expiry, coordinator);
    while (groups_next(&state->groups, &at, &stored)) {
        if (stored->members_count > 0) {
            struct group_effects none = {0};

            hosted_perform(coordinator_find(coordinator, stored->group_id),
                           &none);
        }
    }
    return coordinator;
}

void coordinator_stop(struct coordinator *coordinator)
{
    size_t at = 0;
    struct str group_id;
    void *found;

    if (coordinator->stopping) {
        return;
    }
    coordinator->stopping = true;
    env_timer_stop(coordinator->env, &coordinator->timer);
    expiry_stop(&coordinator->expiry);
    while (map_next(&coordinator->groups, &at, &group_id, &found)) {
        struct hosted *hosted = found;
        struct group_effects effects = {0};

        group_abandon(hosted->group, ERR_COORDINATOR_NOT_AVAILABLE, &effects);
        hosted_perform(hosted, &effects);
    }
}

static void coordinator_free(struct coordinator *coordinator)
{
    void (*closed)(void *arg) = coordinator->closed;
    void *arg = coordinator->closed_arg;
    size_t at = 0;
    struct str group_id;
    void *hosted;

    while (map_next(&coordinator->groups, &at, &group_id, &hosted)) {
        hosted_close(hosted);
    }
    map_fini(&coordinator->groups);
    heap_fini(&coordinator->deadlines);
    mem_free(coordinator);
    closed(arg);
}

void coordinator_change_done(struct coordinator *coordinator)
{
    must(coordinator->changes > 0);
    coordinator->changes--;
    if (coordinator->changes == 0 && coordinator->closed != NULL) {
        coordinator_free(coordinator);
    }
}

void coordinator_close(struct coordinator *coordinator, void (*done)(void *arg),
                       void *arg)
{
    coordinator_stop(coordinator);
    coordinator->closed = done;
    coordinator->closed_arg = arg;
    if (coordinator->changes == 0) {
        coordinator_free(coordinator);
    }
}
