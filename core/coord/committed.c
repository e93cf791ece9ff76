/* committed.c - batches of commits, and reading what is committed.
 *
 * A commit:
 *   1. committed_commit_run(), on the control loop: the group's word on who
 *      asks, the places of its offsets; it joins `open`;
 *   2. committed_turn(), at the end of the turn, when no batch is on its way:
 *      what fits moves to `proposed` (committed_gather()) and is one command;
 *   3. committed_settle(): an error of the command is everybody's, what it
 *      refused is a partition's; all of `proposed` goes home.
 *
 * Invariants: (1) one command is on its way at a time; (2) a commit is in one
 * of the two lists until it is answered. */
#include "coord/committed.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"
#include "coord/coordinator_private.h"

/* Of an offset in a command, beside its metadata; of a topic; of a commit; of
 * an offset in an answer, in memory. */
enum {
    PARTITION_BYTES = 18,
    TOPIC_BYTES = 20,
    COMMIT_BYTES = 32,
    ANSWER_BYTES = 128,
};

static struct committed_commit *committed_commit_of(struct list *node)
{
    return container_of(container_of(node, struct coordinator_ask, node),
                        struct committed_commit, ask);
}

static const struct state *
committed_state(const struct coordinator *coordinator)
{
    return controller_state(coordinator->options.controller);
}

static struct topic *committed_find_topic(const struct state *state,
                                          const struct committed_topic *named)
{
    return named->by_id ? topics_find_id(&state->topics, named->id)
                        : topics_find(&state->topics, named->name);
}

/* Each commit of the batch has its part of the answer: errors of the command
 * are everybody's, refusals are by entry. */
static void committed_settle(struct committed *committed, struct list *settled)
{
    const struct controller_change *change = &committed->change;
    enum err err = coordinator_change_err(change->err);
    uint32_t refusal = 0;
    uint32_t entry = 0;

    if (err != ERR_NONE && change->err != ERR_FULL) { /* the quorum says that */
        struct coordinator *coordinator = committed->coordinator;

        trace_gated(&coordinator->failures, env_now_ms(coordinator->env),
                    COORDINATOR_LINES_A_SECOND, "could not commit offsets: %s",
                    change->why.text);
    }
    list_each(node, &committed->proposed)
    {
        struct committed_commit *commit = committed_commit_of(node);

        commit->ask.err = err;
        while (refusal < change->refusals_count &&
               change->refusals[refusal].entry < entry + commit->places_count) {
            const struct state_refusal *r = &change->refusals[refusal++];

            commit->places[r->entry - entry]->err = r->err;
        }
        entry += commit->places_count;
        if (err == ERR_NONE) {
            expiry_note(&committed->coordinator->expiry,
                        commit->command.expire_at_ms);
        }
    }
    list_move(&committed->proposed, settled);
}

static void committed_done(struct controller_change *change)
{
    struct committed *committed =
        container_of(change, struct committed, change);
    struct coordinator *coordinator = committed->coordinator;
    struct list settled;
    struct list *node;

    list_init(&settled);
    committed_settle(committed, &settled);
    controller_change_end(change);
    committed->in_flight = false;
    if (!list_is_empty(&committed->open)) {
        env_soon(coordinator->env, &committed->soon);
    }
    while ((node = list_pop(&settled)) != NULL) {
        struct coordinator_ask *ask =
            container_of(node, struct coordinator_ask, node);

        coordinator_ask_answer(ask, ask->err);
    }
    coordinator_change_done(coordinator);
}

/* Of the open batch, as many as fit into one command, and at least one. */
static int32_t committed_gather(struct committed *committed)
{
    size_t bytes = 0;
    int32_t count = 0;

    list_each_safe(node, &committed->open)
    {
        struct committed_commit *commit = committed_commit_of(node);

        bytes += commit->bytes;
        if (count > 0 && bytes > COMMITTED_BATCH_BYTES) {
            break;
        }
        list_remove(node);
        list_push(&committed->proposed, node);
        count++;
    }
    return count;
}

static void committed_propose(struct committed *committed)
{
    struct coordinator *coordinator = committed->coordinator;
    struct controller_change *change = &committed->change;
    struct command_commit_offsets *command;
    int32_t count = committed_gather(committed);

    *change = (struct controller_change){
        .controller = coordinator->options.controller, .done = committed_done};
    change->command.type = COMMAND_COMMIT_OFFSETS;
    command = &change->command.commit_offsets;
    command->commits =
        arena_array(&change->arena, (size_t)count, sizeof(*command->commits));
    list_each(node, &committed->proposed)
    {
        command->commits[command->commits_count++] =
            committed_commit_of(node)->command;
    }
    committed->in_flight = true;
    coordinator->changes++;
    controller_change(change);
}

static void committed_turn(struct env_task *task)
{
    struct committed *committed = container_of(task, struct committed, soon);

    if (!committed->in_flight && !list_is_empty(&committed->open)) {
        committed_propose(committed);
    }
}

void committed_init(struct committed *committed,
                    struct coordinator *coordinator)
{
    committed->coordinator = coordinator;
    committed->soon.run = committed_turn;
    list_init(&committed->open);
    list_init(&committed->proposed);
}

static bool committed_names(const struct list *commits, struct str group_id)
{
    list_each(node, commits)
    {
        if (str_eq(container_of(node, struct coordinator_ask, node)->group_id,
                   group_id)) {
            return true;
        }
    }
    return false;
}

bool committed_awaits(const struct committed *committed, struct str group_id)
{
    return committed_names(&committed->open, group_id) ||
           committed_names(&committed->proposed, group_id);
}

/* Whether the group, which has no member in memory, may be committed for. */
static enum err committed_check_absent(const struct committed_commit *commit)
{
    struct coordinator *coordinator = commit->ask.coordinator;
    const struct state *state = committed_state(coordinator);
    bool has_offsets =
        offsets_find_group(&state->offsets, commit->ask.group_id) != NULL;
    bool known = has_offsets ||
                 groups_find(&state->groups, commit->ask.group_id) != NULL;

    if (commit->in.generation >= 0) {
        if (known) {
            return ERR_UNKNOWN_MEMBER_ID;
        }
        return commit->tells_missing ? ERR_GROUP_ID_NOT_FOUND
                                     : ERR_ILLEGAL_GENERATION;
    }
    if (!has_offsets &&
        offsets_group_count(&state->offsets) >= coordinator->options.groups) {
        trace_gated(&coordinator->refusals, env_now_ms(coordinator->env),
                    COORDINATOR_LINES_A_SECOND,
                    "limits.groups (%u) is reached: group \"%.*s\" "
                    "cannot commit",
                    coordinator->options.groups, STR_ARG(commit->ask.group_id));
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    return ERR_NONE;
}

static enum err committed_check(const struct committed_commit *commit)
{
    struct coordinator *coordinator = commit->ask.coordinator;
    enum err err = coordinator_admit(coordinator, commit->ask.group_id);
    struct group_effects none = {0};
    struct hosted *hosted;

    if (err != ERR_NONE) {
        return err;
    }
    hosted = map_find(&coordinator->groups, commit->ask.group_id);
    if (hosted == NULL) {
        return committed_check_absent(commit);
    }
    err = group_check_commit(hosted->group, &commit->in, hosted_now_ms(hosted));
    hosted_perform(hosted, &none);
    return err;
}

static enum err committed_check_partition(
    const struct coordinator *coordinator, const struct committed_topic *named,
    const struct topic *topic, const struct committed_partition *partition)
{
    if (topic == NULL) {
        return named->by_id ? ERR_UNKNOWN_TOPIC_ID
                            : ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (partition->index < 0 || partition->index >= topic->partitions_count) {
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return partition->metadata.len > coordinator->options.offset_metadata_bytes
               ? ERR_OFFSET_METADATA_TOO_LARGE
               : ERR_NONE;
}

/* What of a topic can be committed goes into the command. */
static void committed_add_topic(struct committed_commit *commit,
                                struct committed_topic *named)
{
    const struct coordinator *coordinator = commit->ask.coordinator;
    const struct topic *topic =
        committed_find_topic(committed_state(coordinator), named);
    struct command_commit_offsets_topic *out =
        &commit->command.topics[commit->command.topics_count];

    out->partitions =
        arena_array(commit->ask.arena, (size_t)named->partitions_count,
                    sizeof(*out->partitions));
    for (int32_t i = 0; i < named->partitions_count; i++) {
        struct committed_partition *partition = &named->partitions[i];

        partition->err =
            committed_check_partition(coordinator, named, topic, partition);
        if (partition->err != ERR_NONE) {
            continue;
        }
        out->partitions[out->partitions_count++] =
            (struct command_commit_offsets_partition){
                .index = partition->index,
                .offset = partition->offset,
                .leader_epoch = partition->leader_epoch,
                .metadata = str_is_null(partition->metadata)
                                ? STR_LIT("")
                                : partition->metadata};
        commit->places[commit->places_count++] = partition;
        commit->bytes += PARTITION_BYTES + partition->metadata.len;
    }
    if (out->partitions_count > 0) {
        out->topic_id = topic->id;
        commit->command.topics_count++;
        commit->bytes += TOPIC_BYTES;
    }
}

/* Source: KIP-211: versions 2 to 4 may say for how long. */
static int64_t committed_expire_at(int64_t now_ms, int64_t retention_ms)
{
    if (retention_ms < 0 || retention_ms > INT64_MAX - now_ms) {
        return -1;
    }
    return now_ms + retention_ms;
}

static void committed_fill(struct committed_commit *commit)
{
    const struct coordinator *coordinator = commit->ask.coordinator;
    struct command_commit_offsets_commit *command = &commit->command;
    int64_t now_ms = env_wall_ms(coordinator->env);
    size_t partitions = 0;

    for (int32_t i = 0; i < commit->topics_count; i++) {
        partitions += (size_t)commit->topics[i].partitions_count;
    }
    *command = (struct command_commit_offsets_commit){
        .group_id = commit->ask.group_id,
        .coordinator_epoch =
            state_find_coordinator(committed_state(coordinator),
                                   commit->ask.group_id)
                ->epoch,
        .at_ms = now_ms,
        .expire_at_ms = committed_expire_at(now_ms, commit->retention_ms),
        .topics = arena_array(commit->ask.arena, (size_t)commit->topics_count,
                              sizeof(*command->topics))};
    commit->places =
        arena_array(commit->ask.arena, partitions, sizeof(*commit->places));
    commit->places_count = 0;
    commit->bytes = COMMIT_BYTES + commit->ask.group_id.len;
    for (int32_t i = 0; i < commit->topics_count; i++) {
        committed_add_topic(commit, &commit->topics[i]);
    }
}

static void committed_commit_run(struct coordinator_ask *ask)
{
    struct committed_commit *commit =
        container_of(ask, struct committed_commit, ask);
    struct committed *committed = &ask->coordinator->committed;
    enum err err = committed_check(commit);

    if (err == ERR_NONE) {
        committed_fill(commit);
    }
    if (err != ERR_NONE || commit->places_count == 0) {
        coordinator_ask_answer(ask, err);
        return;
    }
    list_push(&committed->open, &ask->node);
    if (!committed->in_flight) {
        env_soon(ask->coordinator->env, &committed->soon);
    }
}

void committed_commit(struct committed_commit *commit)
{
    coordinator_ask_start(&commit->ask, committed_commit_run);
}

/* False: there is nothing, or nothing any more; or no room in the answer, which
 * then is the error. */
static bool committed_read(struct committed_fetch *fetch,
                           const struct offset *offset,
                           struct committed_partition *out)
{
    bool there = offset != NULL && (offset->expire_at_ms == -1 ||
                                    fetch->now_ms < offset->expire_at_ms);

    out->err = ERR_NONE;
    if (there) {
        fetch->bytes += ANSWER_BYTES + offset->metadata_bytes;
        there = fetch->bytes <= COMMITTED_FETCH_BYTES;
        out->err = there ? ERR_NONE : ERR_UNKNOWN_SERVER_ERROR;
    }
    out->offset = there ? offset->offset : -1;
    out->leader_epoch = there ? offset->leader_epoch : -1;
    out->metadata = there ? arena_str(fetch->ask.arena, offset_metadata(offset))
                          : STR_LIT("");
    return there;
}

/* The topics that were asked for. */
static void committed_fetch_named(struct committed_fetch *fetch,
                                  struct committed_group *group)
{
    const struct state *state = committed_state(fetch->ask.coordinator);

    for (int32_t i = 0; i < group->topics_count; i++) {
        struct committed_topic *named = &group->topics[i];
        const struct topic *topic = committed_find_topic(state, named);

        for (int32_t j = 0; j < named->partitions_count; j++) {
            struct committed_partition *out = &named->partitions[j];
            const struct offset *offset =
                topic == NULL ? NULL
                              : offsets_find(&state->offsets, group->group_id,
                                             topic->id, out->index);

            if (!committed_read(fetch, offset, out) && topic == NULL &&
                named->by_id) {
                out->err = ERR_UNKNOWN_TOPIC_ID;
            }
        }
    }
}

static enum err committed_fetch_topic(struct committed_fetch *fetch,
                                      const struct offsets_topic *from,
                                      const struct topic *topic,
                                      struct committed_topic *out)
{
    struct arena *arena = fetch->ask.arena;

    *out = (struct committed_topic){
        .by_id = true,
        .name = arena_str(arena, topic->name),
        .id = topic->id,
        .partitions =
            arena_array(arena, (size_t)from->count, sizeof(*out->partitions))};
    for (int32_t i = 0; i < from->count; i++) {
        struct committed_partition *p = &out->partitions[out->partitions_count];

        p->index = from->items[i].partition;
        if (committed_read(fetch, &from->items[i], p)) {
            out->partitions_count++;
        } else if (p->err != ERR_NONE) {
            return p->err;
        }
    }
    return ERR_NONE;
}

/* Everything that the group has committed; or nothing and an error, as a part
 * would be taken for all. */
static void committed_fetch_all(struct committed_fetch *fetch,
                                struct committed_group *group)
{
    const struct state *state = committed_state(fetch->ask.coordinator);
    const struct offsets_group *all =
        offsets_find_group(&state->offsets, group->group_id);
    struct committed_topic *out;

    group->topics_count = 0;
    if (all == NULL) {
        return;
    }
    group->topics = arena_array(fetch->ask.arena, (size_t)all->count,
                                sizeof(*group->topics));
    for (int32_t i = 0; i < all->count && group->err == ERR_NONE; i++) {
        const struct topic *topic =
            topics_find_id(&state->topics, all->topics[i].topic_id);

        if (topic == NULL) {
            continue;
        }
        out = &group->topics[group->topics_count];
        group->err = committed_fetch_topic(fetch, &all->topics[i], topic, out);
        group->topics_count += out->partitions_count > 0 ? 1 : 0;
    }
    if (group->err != ERR_NONE) {
        group->topics_count = 0;
    }
}

static void committed_fetch_run(struct coordinator_ask *ask)
{
    struct committed_fetch *fetch =
        container_of(ask, struct committed_fetch, ask);

    fetch->now_ms = env_wall_ms(ask->coordinator->env);
    fetch->bytes = 0;
    for (int32_t i = 0; i < fetch->groups_count; i++) {
        struct committed_group *group = &fetch->groups[i];

        group->err = coordinator_admit(ask->coordinator, group->group_id);
        if (group->err != ERR_NONE) {
            group->topics_count = group->all ? 0 : group->topics_count;
        } else if (group->all) {
            committed_fetch_all(fetch, group);
        } else {
            committed_fetch_named(fetch, group);
        }
    }
    coordinator_ask_answer(ask, ERR_NONE);
}

void committed_fetch(struct committed_fetch *fetch)
{
    coordinator_ask_start(&fetch->ask, committed_fetch_run);
}
