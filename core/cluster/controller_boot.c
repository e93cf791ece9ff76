/* controller_boot.c - from leadership to ready.
 *
 * What a cluster must have before it serves, one command after the other, each
 * only where it is missing: the schema, the cluster's id, a coordinator for
 * every slot of groups, this broker's registration. Then the logs of all topics
 * are opened, and whoever waits for ready is called.
 *
 * Each start registers anew: its incarnation and epoch tell what it says from
 * what it said before. On a folder that has all else, the registration is the
 * entry that the leader's term begins with (controller_boot_opening()): a start
 * then waits for one write of the log, not for two. */
#include "cluster/controller_private.h"

#include "base/mem.h"
#include "base/must.h"

static void controller_boot_done(struct controller_change *change)
{
    struct controller *controller =
        container_of(change, struct controller, boot);
    struct why why = change->why;
    enum err err = change->err;

    controller_change_end(change);
    if (err != ERR_NONE) {
        why_wrap(&why, err, "cannot start");
        controller->options.failed(controller->options.arg, &why);
        return;
    }
    controller_boot_next(controller);
}

static struct uuid controller_new_uuid(struct controller *controller)
{
    uint8_t random[16];
    struct uuid uuid;

    do {
        env_random(controller->env, random, sizeof(random));
        uuid = uuid_v4(random);
    } while (!uuid_is_usable(uuid));
    return uuid;
}

static struct command
controller_boot_init_cluster(struct controller *controller)
{
    char *text = arena_alloc(&controller->boot.arena, UUID_TEXT_BYTES);

    uuid_text(controller_new_uuid(controller), text);
    return (struct command){.type = COMMAND_INIT_CLUSTER,
                            .init_cluster = {.cluster_id = str_of(text)}};
}

static bool controller_is_registered(const struct controller *controller)
{
    const struct broker *broker = brokers_find(
        meta_state(controller->meta)->brokers, controller->options.node_id);

    return broker != NULL &&
           uuid_eq(broker->incarnation, controller->incarnation);
}

static struct command controller_boot_register(struct controller *controller,
                                               struct arena *arena)
{
    const struct controller_options *options = &controller->options;
    struct command_register_broker_listener *listeners = arena_array(
        arena, (size_t)options->listeners_count, sizeof(*listeners));

    if (uuid_is_zero(controller->incarnation)) {
        controller->incarnation = controller_new_uuid(controller);
    }
    for (int32_t i = 0; i < options->listeners_count; i++) {
        listeners[i] = (struct command_register_broker_listener){
            .name = options->listeners[i].name,
            .host = options->listeners[i].host,
            .port = options->listeners[i].port};
    }
    return (struct command){
        .type = COMMAND_REGISTER_BROKER,
        .register_broker = {.broker_id = options->node_id,
                            .rack = options->rack,
                            .incarnation = controller->incarnation,
                            .at_ms = env_wall_ms(controller->env),
                            .listeners = listeners,
                            .listeners_count = options->listeners_count}};
}

/* Every slot that nobody, or a node that is gone, coordinates. */
static struct command
controller_boot_coordinators(struct controller *controller)
{
    struct command_set_coordinators_slot *slots =
        arena_array(&controller->boot.arena, COORDINATOR_SLOTS, sizeof(*slots));
    int32_t count = 0;

    for (int32_t i = 0; i < COORDINATOR_SLOTS; i++) {
        const struct state_coordinator *now =
            &meta_state(controller->meta)->coordinators[i];

        if (now->broker_id != controller->options.node_id) {
            slots[count++] = (struct command_set_coordinators_slot){
                .slot = i,
                .broker_id = controller->options.node_id,
                .epoch = now->epoch + 1};
        }
    }
    return (struct command){
        .type = COMMAND_SET_COORDINATORS,
        .set_coordinators = {.slots = slots, .slots_count = count}};
}

static bool controller_lacks_coordinators(const struct controller *controller)
{
    for (int32_t i = 0; i < COORDINATOR_SLOTS; i++) {
        if (meta_state(controller->meta)->coordinators[i].broker_id !=
            controller->options.node_id) {
            return true;
        }
    }
    return false;
}

static void controller_boot_log_opened(struct controller *controller)
{
    if (--controller->boot_pending == 0) {
        controller->ready(controller->options.arg, &controller->report);
    }
}

static void controller_boot_open_logs(struct controller *controller)
{
    struct topic *topic;
    struct why why = {""};
    size_t at = 0;
    enum err err = controller_strays_set_aside(controller, &why);

    if (err != ERR_NONE) {
        controller->options.failed(controller->options.arg, &why);
        return;
    }
    controller->opened = true;
    controller->boot_pending = 1;
    while (topics_next(&meta_state(controller->meta)->topics, &at, &topic)) {
        struct logs_job *job = controller_logs_open(controller, topic);

        controller->report.topics++;
        controller->report.partitions += topic->partitions_count;
        if (job != NULL && !job->done) {
            controller->boot_pending++;
            job->finished = controller_boot_log_opened;
        }
    }
    controller_boot_log_opened(controller);
}

void controller_boot_next(struct controller *controller)
{
    struct controller_change *boot = &controller->boot;
    const struct state *state = meta_state(controller->meta);
    int64_t now_ms = env_wall_ms(controller->env);

    *boot = (struct controller_change){.controller = controller,
                                       .done = controller_boot_done};
    if (state->schema_version < STATE_SCHEMA_VERSION) {
        boot->command = (struct command){
            .type = COMMAND_MIGRATE,
            .migrate = {.schema_version = STATE_SCHEMA_VERSION}};
        boot->command.migrate.at_ms = now_ms;
    } else if (state->cluster_id[0] == '\0') {
        boot->command = controller_boot_init_cluster(controller);
        boot->command.init_cluster.at_ms = now_ms;
    } else if (controller_lacks_coordinators(controller)) {
        boot->command = controller_boot_coordinators(controller);
    } else if (!controller_is_registered(controller)) {
        boot->command = controller_boot_register(controller, &boot->arena);
    } else {
        controller_boot_open_logs(controller);
        return;
    }
    controller_change(boot);
}

struct str controller_boot_opening(struct controller *controller)
{
    const struct state *state = meta_state(controller->meta);
    struct command command;
    struct str bytes;

    if (controller->opened || !uuid_is_zero(controller->incarnation) ||
        state->schema_version < STATE_SCHEMA_VERSION ||
        state->cluster_id[0] == '\0' ||
        controller_lacks_coordinators(controller)) {
        return STR_NULL;
    }
    command = controller_boot_register(controller, &controller->opening);
    if (command_encode(&command, &controller->opening, &bytes) != ERR_NONE) {
        return STR_NULL; /* the boot says why */
    }
    return bytes;
}
