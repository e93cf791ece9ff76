/* controller.c - changes of the metadata, from the request to the answer.
 *
 * controller_change() -> (call) -> controller_change_run(): prepare, encode,
 * quorum_propose() -> controller_apply(): state, rows, image, logs ->
 * controller_change_applied(): fetches the result; waits for the logs ->
 * controller_change_finish() -> (call) -> change->done.
 *
 * Failures. What the quorum does not take (another node leads, the disk is at
 * its reserve, a queue is full) is answered with its error and has changed
 * nothing. While somebody holds SQLite's lock, rows wait in memory; beyond
 * BACKLOG_BYTES_MAX changes are refused until it is given back. A close waits
 * for the changes under way and refuses what comes. */
#include "cluster/controller_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

/* With less left on the volume, a change that makes room has the owner give
 * back what it holds ready. */
enum { ROOM_BYTES = 1 << 20, ROOM_MS = 1000 };

/* What may wait in memory for SQLite; beyond it changes are refused until it
 * has caught up. */
enum { BACKLOG_BYTES_MAX = 64 << 20 };

/* What follows on this node from a command: its logs. */
static void controller_follow(void *arg, const struct state_result *result)
{
    struct controller *controller = arg;

    controller->job = NULL;
    if (!controller->opened || result->err != ERR_NONE) {
        return;
    }
    if (result->type == COMMAND_CREATE_TOPIC) {
        controller->job = controller_logs_open(controller, result->topic_after);
    } else if (result->type == COMMAND_DELETE_TOPIC) {
        controller->job =
            controller_logs_remove(controller, result->topic_before);
    }
}

/* The next command that the quorum has agreed on. */
static void controller_apply(struct quorum_machine *machine, uint64_t index,
                             int32_t term, struct str command)
{
    meta_apply(container_of(machine, struct controller, machine)->meta, index,
               term, command);
}

static uint64_t controller_applied(struct quorum_machine *machine)
{
    return meta_applied(
        container_of(machine, struct controller, machine)->meta);
}

static void controller_checkpointed(struct db_checkpoint *checkpoint,
                                    enum err err)
{
    struct controller *controller =
        container_of(checkpoint, struct controller, db_checkpoint);
    struct quorum_checkpoint *wanted = controller->quorum_checkpoint;

    if (err == ERR_BUSY) {
        trace(TRACE_INFO,
              "another program uses \"%s\" (an open transaction of a sqlite3 "
              "shell?): the log of changes is cut when it is done",
              controller->meta_path);
    }
    controller->quorum_checkpoint = NULL;
    wanted->done(wanted, err);
}

static void controller_checkpoint(struct quorum_machine *machine,
                                  struct quorum_checkpoint *checkpoint)
{
    struct controller *controller =
        container_of(machine, struct controller, machine);

    must(controller->quorum_checkpoint == NULL);
    controller->quorum_checkpoint = checkpoint;
    controller->db_checkpoint.done = controller_checkpointed;
    meta_checkpoint(controller->meta, &controller->db_checkpoint);
}

static void controller_close_logs(struct controller *controller);

void controller_change_finish(struct controller_change *change)
{
    struct controller *controller = change->controller;

    controller->changes_count--;
    call_return(&change->call);
    controller_close_logs(controller);
}

/* Keeps of a command's result what outlives the next command. */
static void controller_change_keep(struct controller_change *change,
                                   const struct state_result *result)
{
    size_t bytes = result->refusals_count * sizeof(*change->refusals);

    change->index = result->index;
    change->err = result->err;
    change->why = result->why;
    change->first_producer_id = result->first_producer_id;
    change->producer_id_count = result->producer_id_count;
    if (result->topic_after != NULL) {
        change->topic = topic_ref(result->topic_after);
    } else if (result->topic_before != NULL) {
        change->topic = topic_ref(result->topic_before);
    }
    change->refusals_count = result->refusals_count;
    change->refusals = arena_alloc(&change->arena, bytes);
    if (bytes > 0) {
        memcpy(change->refusals, result->refusals, bytes);
    }
}

enum err controller_promise(struct controller_change *change,
                            const struct state *state, int32_t partitions,
                            struct why *why)
{
    struct controller *controller = change->controller;
    const struct controller_options *options = &controller->options;
    int64_t there =
        topics_partitions_count(&state->topics) + controller->promised;

    if (partitions > options->partitions_max - there) {
        return why_set(why, ERR_POLICY_VIOLATION,
                       "%d partitions would be more than this cluster may "
                       "have, %lld (limits.partitions); %lld are there",
                       partitions, (long long)options->partitions_max,
                       (long long)there);
    }
    if (disk_free_bytes(controller->env->disk, controller->log_folder) <
        options->reserve_bytes) {
        return why_set(why, ERR_FULL,
                       "the disk is full down to its reserve of %llu MiB: "
                       "nothing new is made until there is space",
                       (unsigned long long)(options->reserve_bytes >> 20));
    }
    if (!change->check_only) {
        change->promised = partitions;
        controller->promised += partitions;
    }
    return ERR_NONE;
}

/* The quorum did not take the command: what is wrong, for people. */
static enum err controller_refused(const struct controller *controller,
                                   enum err err, struct why *why)
{
    if (err != ERR_FULL) {
        return why_set(why, err, "%s", err_text(err));
    }
    return why_set(
        why, err,
        "the volume of \"%s\" has %llu KiB left, and %llu KiB are kept free: "
        "delete topics, or free some space",
        controller->quorum_folder,
        (unsigned long long)disk_free_bytes(controller->env->disk,
                                            controller->quorum_folder) >>
            10,
        (unsigned long long)controller->options.reserve_bytes >> 10);
}

/* The command was applied just now, or will not be. */
static void controller_change_applied(struct quorum_proposal *proposal,
                                      enum err err, uint64_t index)
{
    struct controller_change *change =
        container_of(proposal, struct controller_change, proposal);
    struct controller *controller = change->controller;

    controller->promised -= change->promised;
    change->promised = 0;
    if (err != ERR_NONE) {
        change->err = controller_refused(controller, err, &change->why);
        controller_change_finish(change);
        return;
    }
    controller_change_keep(change, meta_result(controller->meta, index));
    if (controller->job != NULL) {
        list_push(&controller->job->changes, &change->node);
        controller->job = NULL;
        return;
    }
    controller_change_finish(change);
}

/* Below the reserve of the disk nothing grows. But what makes room goes on, so
 * does a start, and groups whose members come and go: they read. */
static bool controller_is_vital(enum command_type type)
{
    switch (type) {
    case COMMAND_MIGRATE:
    case COMMAND_INIT_CLUSTER:
    case COMMAND_REGISTER_BROKER:
    case COMMAND_SET_COORDINATORS:
    case COMMAND_DELETE_TOPIC:
    case COMMAND_DELETE_OFFSETS:
    case COMMAND_SAVE_GROUP:
    case COMMAND_DELETE_GROUP:
        return true;
    case COMMAND_CREATE_TOPIC:
    case COMMAND_ALLOCATE_PRODUCER_IDS:
    case COMMAND_COMMIT_OFFSETS:
        break;
    }
    return false;
}

/* Looks at most once a second. */
static void controller_make_room(struct controller *controller)
{
    const struct controller_options *options = &controller->options;
    int64_t now_ms = env_now_ms(controller->env);

    if (options->make_room == NULL || now_ms < controller->room_until_ms) {
        return;
    }
    controller->room_until_ms = now_ms + ROOM_MS;
    if (disk_free_bytes(controller->env->disk, controller->log_folder) <
        ROOM_BYTES) {
        options->make_room(options->arg);
    }
}

/* On the control loop. */
static void controller_change_run(struct call *call)
{
    struct controller_change *change =
        container_of(call, struct controller_change, call);
    struct controller *controller = change->controller;
    enum err err = controller->closing ? ERR_STOPPING : ERR_NONE;

    controller->changes_count++;
    if (err == ERR_NONE &&
        meta_backlog_bytes(controller->meta) > BACKLOG_BYTES_MAX) {
        err = why_set(&change->why, ERR_BUSY,
                      "meta.db takes no changes: another program holds its "
                      "lock (an open \"begin immediate\" of a sqlite3 shell?)");
    }
    if (err == ERR_NONE && change->prepare != NULL) {
        err =
            change->prepare(change, meta_state(controller->meta), &change->why);
    }
    if (err == ERR_NONE && !change->check_only) {
        err = command_encode(&change->command, &change->arena,
                             &change->proposal.command);
    }
    change->err = err;
    if (err != ERR_NONE || change->check_only) {
        controller->promised -= change->promised;
        if (err != ERR_NONE && change->why.text[0] == '\0') {
            why_set(&change->why, err, "%s", err_text(err));
        }
        controller_change_finish(change);
        return;
    }
    change->proposal.vital = controller_is_vital(change->command.type);
    if (change->proposal.vital) {
        controller_make_room(controller);
    }
    change->proposal.done = controller_change_applied;
    quorum_propose(controller->quorum, &change->proposal);
}

static void controller_change_returned(struct call *call)
{
    struct controller_change *change =
        container_of(call, struct controller_change, call);

    change->done(change);
}

void controller_change(struct controller_change *change)
{
    change->call.run = controller_change_run;
    change->call.done = controller_change_returned;
    list_init(&change->node);
    call_start(&change->call, controller_loop(change->controller));
}

void controller_change_end(struct controller_change *change)
{
    topic_unref(change->topic);
    change->topic = NULL;
    arena_reset(&change->arena);
}

static void controller_lead(void *arg, int32_t term)
{
    struct controller *controller = arg;

    (void)term;
    meta_set_controller(controller->meta, controller->options.node_id);
    if (!controller->opened && !controller->closing) {
        controller_boot_next(controller);
    }
}

static void controller_lacks_room(void *arg)
{
    const struct controller_options *options =
        &((struct controller *)arg)->options;

    if (options->make_room != NULL) {
        options->make_room(options->arg);
    }
}

static struct str controller_opening(void *arg)
{
    return controller_boot_opening(arg);
}

static void controller_failed(void *arg, const struct why *why)
{
    struct controller *controller = arg;

    controller->options.failed(controller->options.arg, why);
}

static enum err controller_open_meta(struct controller *controller,
                                     struct why *why)
{
    struct meta_options options = {.path = controller->meta_path,
                                   .defaults =
                                       &controller->options.topic_defaults,
                                   .on_apply = controller_follow,
                                   .failed = controller_failed,
                                   .arg = controller};

    return meta_open(controller->env, &options, &controller->meta, why);
}

static enum err controller_open_quorum(struct controller *controller,
                                       struct why *why)
{
    struct quorum_voter voter = {
        .id = (uint64_t)controller->options.node_id + 1,
        .address = "local",
    };
    struct quorum_limits limits = {
        .command_bytes = CONTROLLER_COMMAND_BYTES,
        .disk_reserve_bytes = MAX(controller->options.reserve_bytes, 1)};
    struct quorum_options options = {.folder = controller->quorum_folder,
                                     .id = voter.id,
                                     .voters = &voter,
                                     .voter_count = 1,
                                     .clean_start =
                                         controller->options.clean_start,
                                     .limits = limits,
                                     .machine = &controller->machine,
                                     .on_lead = controller_lead,
                                     .opening = controller_opening,
                                     .lacks_room = controller_lacks_room,
                                     .failed = controller_failed,
                                     .arg = controller};

    controller->machine =
        (struct quorum_machine){.apply = controller_apply,
                                .applied = controller_applied,
                                .checkpoint = controller_checkpoint};
    return quorum_open(controller->env, &options, &controller->quorum, why);
}

enum err controller_open(const struct controller_options *options,
                         void (*ready)(void *arg,
                                       const struct controller_report *),
                         struct controller **out, struct why *why)
{
    struct controller *controller = MEM_NEW(struct controller);
    enum err err;

    controller->options = *options;
    controller->env = loop_env(loops_at(options->loops, 0));
    controller->ready = ready;
    controller->meta_path = mem_printf("%s/meta.db", options->data_folder);
    controller->quorum_folder = mem_printf("%s/quorum", options->data_folder);
    controller->log_folder = mem_printf("%s/log", options->data_folder);
    controller_logs_init(controller);
    *out = controller;
    err = disk_make_folder(controller->env->disk, controller->log_folder, why);
    if (err == ERR_NONE) {
        controller->wall = wall_open(controller->env, options->data_folder);
        err = controller_open_meta(controller, why);
    }
    if (err == ERR_NONE) {
        err = controller_open_quorum(controller, why);
    }
    return err; /* a start that fails ends the process: nothing is freed */
}

static void controller_close_done(void *arg)
{
    struct controller *controller = arg;
    void (*closed)(void *) = controller->closed;
    void *closed_arg = controller->closed_arg;

    map_fini(&controller->jobs);
    arena_reset(&controller->opening);
    wall_close(controller->wall);
    mem_free(controller->meta_path);
    mem_free(controller->quorum_folder);
    mem_free(controller->log_folder);
    mem_free(controller);
    closed(closed_arg);
}

static void controller_quorum_closed(void *arg)
{
    struct controller *controller = arg;

    meta_close(controller->meta, controller_close_done, controller);
}

/* A checkpoint that did not succeed makes the next start longer, no more. */
static void controller_last_checkpoint(void *arg, enum err err)
{
    struct controller *controller = arg;

    (void)err;
    quorum_close(controller->quorum, controller_quorum_closed, controller);
}

static void controller_logs_closed(struct controller *controller)
{
    quorum_checkpoint(controller->quorum, controller_last_checkpoint,
                      controller);
}

/* The first step of a close, when no change is under way any more: those that
 * come now are refused at once. */
static void controller_close_logs(struct controller *controller)
{
    if (controller->closed != NULL && !controller->closing_logs &&
        controller->changes_count == 0) {
        controller->closing_logs = true;
        controller_logs_close_all(controller, controller_logs_closed);
    }
}

void controller_close(struct controller *controller, void (*done)(void *arg),
                      void *arg)
{
    controller->closing = true;
    controller->closed = done;
    controller->closed_arg = arg;
    controller_close_logs(controller);
}

const struct image *controller_image(const struct controller *controller)
{
    return meta_image(controller->meta);
}

const struct state *controller_state(const struct controller *controller)
{
    must(loop_is_current(controller_loop(controller)));
    return meta_state(controller->meta);
}

struct loop *controller_loop(const struct controller *controller)
{
    return loops_at(controller->options.loops, 0);
}

int32_t controller_unsealed(const struct controller *controller)
{
    return controller->open_count;
}

uint64_t controller_starts(const struct controller *controller)
{
    return quorum_starts(controller->quorum);
}

int32_t controller_node_id(const struct controller *controller)
{
    return controller->options.node_id;
}
