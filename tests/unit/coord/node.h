/* node.h - a node with groups and nothing else, for the tests of the shell.
 *
 * Real loops and a real disk: loop 0 has the controller and the coordinator,
 * the test's script asks from loop 1, as a handler would. The script is called
 * step by step; what a step has asked is answered before the next one begins,
 * unless it is asked "later". Each answer becomes a line of text, which the
 * test compares whole. A second node_run() on the same folder is a restart.
 *
 * Ids of members are random: in the text they are named after who asked. */
#ifndef UNIT_COORD_NODE_H
#define UNIT_COORD_NODE_H

#include "coord/coordinator_private.h"

#include "base/mem.h"
#include "base/must.h"
#include "lib/fixture.h"

#include <stdio.h>

enum { NODE_TEXT_BYTES = 16384, NODE_MEMBERS_MAX = 8 };

struct node {
    char folder[FIXTURE_PATH_BYTES];
    struct coordinator_options options;
    void (*script)(struct node *node);
    int step;
    char text[NODE_TEXT_BYTES];
    size_t len;
    char members[NODE_MEMBERS_MAX][64]; /* ids, by who asked: 'a', 'b' ... */
    uint64_t index_begin; /* of the state, when the script began and ended */
    uint64_t index_end;
    size_t hosted_end; /* groups in memory when the script ended */
    uint32_t open;     /* answers that the step waits for */
    struct loops *loops;
    struct replicas *replicas;
    struct controller *controller;
    struct coordinator *coordinator;
    struct controller_change change;
    struct uuid topic_id;
    struct mail mail;
    struct env_timer timer;
};

static inline void PRINTF_LIKE(2, 3)
    node_say(struct node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    node->len += (size_t)vsnprintf(
        node->text + node->len, sizeof(node->text) - node->len, format, args);
    va_end(args);
    must(node->len < sizeof(node->text));
}

static inline void node_next(struct node *node)
{
    node->step++;
    node->open++;
    node->script(node);
    must(node->open > 0);
    if (--node->open == 0) {
        node_next(node);
    }
}

/* One question, of any kind. */
struct node_ask {
    struct node *node;
    const char *name;
    bool later;
    struct arena arena;
    struct coordinator_join join;
    struct coordinator_sync sync;
    struct coordinator_heartbeat heartbeat;
    struct coordinator_leave leave;
    struct coordinator_leaver leaver;
    struct committed_commit commit;
    struct committed_fetch fetch;
    struct committed_group group;
    struct committed_topic topic;
    struct committed_partition partitions[2];
    struct group_protocol list[NODE_MEMBERS_MAX];
};

static inline struct node_ask *node_ask_new(struct node *node, const char *name,
                                            bool later)
{
    struct node_ask *ask = MEM_NEW(struct node_ask);

    ask->node = node;
    ask->name = name;
    ask->later = later;
    node->open += later ? 0 : 1;
    return ask;
}

static inline void node_ask_end(struct node_ask *ask)
{
    struct node *node = ask->node;
    bool later = ask->later;

    must(loop_is_current(loops_at(node->loops, 1)));
    arena_reset(&ask->arena);
    mem_free(ask);
    if (!later && --node->open == 0) {
        node_next(node);
    }
}

static inline struct coordinator_ask
node_ask_head(struct node_ask *ask, const char *group,
              void (*done)(struct coordinator_ask *ask))
{
    return (struct coordinator_ask){.coordinator = ask->node->coordinator,
                                    .arena = &ask->arena,
                                    .group_id = str_of(group),
                                    .done = done};
}

/* The id that who has got. */
static inline char *node_member(struct node *node, const char *who)
{
    return node->members[who[0] - 'a'];
}

static inline void node_joined(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, join.ask);
    struct node *node = ask->node;

    node_say(node, "%s joins: %s", ask->name, err_name(of->err));
    if (of->err == ERR_NONE) {
        node_say(node, " generation %d, %d members", (int)ask->join.generation,
                 (int)ask->join.members_count);
    }
    node_say(node, "\n");
    str_copy(ask->join.member_id, node_member(node, ask->name),
             sizeof(node->members[0]));
    node_ask_end(ask);
}

/* session_ms: also for the rebalance. */
static inline struct node_ask *node_join(struct node *node, const char *group,
                                         const char *who, int32_t session_ms,
                                         bool later)
{
    struct node_ask *ask = node_ask_new(node, who, later);

    ask->list[0] = (struct group_protocol){STR_LIT("range"), STR_LIT("x")};
    ask->join.ask = node_ask_head(ask, group, node_joined);
    ask->join.in =
        (struct group_join){.member_id = str_of(node_member(node, who)),
                            .client_id = STR_LIT("test"),
                            .client_host = STR_LIT("/host"),
                            .protocol_type = STR_LIT("consumer"),
                            .protocols = ask->list,
                            .protocols_count = 1,
                            .session_timeout_ms = session_ms,
                            .rebalance_timeout_ms = session_ms};
    coordinator_join(&ask->join);
    return ask;
}

static inline void node_synced(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, sync.ask);

    node_say(ask->node, "%s syncs: %s \"%.*s\"\n", ask->name, err_name(of->err),
             (int)MIN(ask->sync.assignment.len, 20), ask->sync.assignment.ptr);
    node_ask_end(ask);
}

/* gives: everybody gets this; NULL: a follower. */
static inline void node_sync(struct node *node, const char *group,
                             const char *who, int32_t generation,
                             struct str gives, bool later)
{
    struct node_ask *ask = node_ask_new(node, who, later);

    ask->sync.ask = node_ask_head(ask, group, node_synced);
    ask->sync.in =
        (struct group_sync){.member_id = str_of(node_member(node, who)),
                            .generation = generation,
                            .assignments = ask->list};
    for (int i = 0; !str_is_null(gives) && i < NODE_MEMBERS_MAX; i++) {
        if (node->members[i][0] != '\0') {
            ask->list[ask->sync.in.assignments_count++] =
                (struct group_protocol){str_of(node->members[i]), gives};
        }
    }
    coordinator_sync(&ask->sync);
}

static inline void node_beaten(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, heartbeat.ask);

    node_say(ask->node, "%s beats: %s\n", ask->name, err_name(of->err));
    node_ask_end(ask);
}

static inline void node_beat(struct node *node, const char *group,
                             const char *who, int32_t generation)
{
    struct node_ask *ask = node_ask_new(node, who, false);

    ask->heartbeat.ask = node_ask_head(ask, group, node_beaten);
    ask->heartbeat.in = (struct group_caller){
        .member_id = str_of(node_member(node, who)), .generation = generation};
    coordinator_heartbeat(&ask->heartbeat);
}

static inline void node_left(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, leave.ask);

    node_say(ask->node, "%s leaves: %s %s\n", ask->name, err_name(of->err),
             err_name(ask->leaver.err));
    node_ask_end(ask);
}

static inline void node_leave(struct node *node, const char *group,
                              const char *who)
{
    struct node_ask *ask = node_ask_new(node, who, false);

    ask->leaver.member_id = str_of(node_member(node, who));
    ask->leave.ask = node_ask_head(ask, group, node_left);
    ask->leave.members = &ask->leaver;
    ask->leave.members_count = 1;
    coordinator_leave(&ask->leave);
}

static inline void node_committed(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, commit.ask);

    node_say(ask->node, "%s commits: %s", ask->name, err_name(of->err));
    for (int32_t i = 0; i < ask->topic.partitions_count; i++) {
        node_say(ask->node, " %s", err_name(ask->partitions[i].err));
    }
    node_say(ask->node, "\n");
    node_ask_end(ask);
}

/* A commit of partition 0, to be changed before it is asked. */
static inline struct node_ask *
node_commit_new(struct node *node, const char *group, const char *who,
                int32_t generation, int64_t offset)
{
    struct node_ask *ask = node_ask_new(node, who, false);

    ask->partitions[0] = (struct committed_partition){
        .leader_epoch = -1, .offset = offset, .metadata = STR_LIT("note")};
    ask->partitions[1] = ask->partitions[0];
    ask->topic = (struct committed_topic){.name = STR_LIT("topic"),
                                          .partitions = ask->partitions,
                                          .partitions_count = 1};
    ask->commit.ask = node_ask_head(ask, group, node_committed);
    ask->commit.in = (struct group_caller){
        .member_id =
            generation < 0 ? STR_LIT("") : str_of(node_member(node, who)),
        .generation = generation};
    ask->commit.retention_ms = -1;
    ask->commit.topics = &ask->topic;
    ask->commit.topics_count = 1;
    return ask;
}

static inline void node_commit(struct node *node, const char *group,
                               const char *who, int32_t generation,
                               int64_t offset)
{
    committed_commit(
        &node_commit_new(node, group, who, generation, offset)->commit);
}

static inline void node_fetched(struct coordinator_ask *of)
{
    struct node_ask *ask = container_of(of, struct node_ask, fetch.ask);

    node_say(ask->node, "%s fetches: %s", ask->name, err_name(ask->group.err));
    for (int32_t i = 0; i < ask->group.topics_count; i++) {
        const struct committed_topic *topic = &ask->group.topics[i];

        node_say(ask->node, " %.*s", STR_ARG(topic->name));
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct committed_partition *p = &topic->partitions[j];

            node_say(ask->node, " %d=%lld \"%.*s\" %s", (int)p->index,
                     (long long)p->offset, STR_ARG(p->metadata),
                     err_name(p->err));
        }
    }
    node_say(ask->node, "\n");
    node_ask_end(ask);
}

/* A fetch of partition 0, to be changed before it is asked. */
static inline struct node_ask *
node_fetch_new(struct node *node, const char *group, const char *who)
{
    struct node_ask *ask = node_ask_new(node, who, false);

    ask->topic = (struct committed_topic){.name = STR_LIT("topic"),
                                          .partitions = ask->partitions,
                                          .partitions_count = 1};
    ask->group = (struct committed_group){
        .group_id = str_of(group), .topics = &ask->topic, .topics_count = 1};
    ask->fetch.ask = node_ask_head(ask, group, node_fetched);
    ask->fetch.groups = &ask->group;
    ask->fetch.groups_count = 1;
    return ask;
}

static inline void node_fetch(struct node *node, const char *group,
                              const char *who)
{
    committed_fetch(&node_fetch_new(node, group, who)->fetch);
}

static inline void node_paused(struct env_timer *timer)
{
    struct node *node = container_of(timer, struct node, timer);

    if (--node->open == 0) {
        node_next(node);
    }
}

static inline void node_pause(struct node *node, int64_t ms)
{
    node->open++;
    node->timer.fire = node_paused;
    env_timer_set(loop_env(loops_at(node->loops, 1)), &node->timer, ms);
}

static inline void node_replicas_closed(void *arg)
{
    struct node *node = arg;

    loops_stop(node->loops);
}

static inline void node_controller_closed(void *arg)
{
    struct node *node = arg;

    replicas_close(node->replicas, node_replicas_closed, node);
}

static inline void node_coordinator_closed(void *arg)
{
    struct node *node = arg;

    node->index_end = controller_state(node->controller)->index;
    controller_close(node->controller, node_controller_closed, node);
}

static inline void node_end_deliver(struct mail *mail)
{
    struct node *node = container_of(mail, struct node, mail);

    node->hosted_end = map_count(&node->coordinator->groups);
    coordinator_close(node->coordinator, node_coordinator_closed, node);
}

/* The last step. */
static inline void node_end(struct node *node)
{
    node->open++; /* no step comes after it */
    node->mail.deliver = node_end_deliver;
    mail_send(loops_at(node->loops, 0), &node->mail);
}

static inline void node_begin_deliver(struct mail *mail)
{
    struct node *node = container_of(mail, struct node, mail);

    node_next(node);
}

static inline void node_failed(void *arg, const struct why *why)
{
    fprintf(stderr, "%s\n", why->text);
    must(arg == NULL);
}

/* The topic is there, the script may begin. */
static inline void node_topic_made(struct controller_change *change)
{
    struct node *node = container_of(change, struct node, change);

    must(change->err == ERR_NONE || change->err == ERR_TOPIC_ALREADY_EXISTS);
    controller_change_end(change);
    node->options.controller = node->controller;
    node->coordinator = coordinator_open(&node->options);
    node->topic_id = topics_find(&controller_state(node->controller)->topics,
                                 STR_LIT("topic"))
                         ->id;
    node->index_begin = controller_state(node->controller)->index;
    node->mail.deliver = node_begin_deliver;
    mail_send(loops_at(node->loops, 1), &node->mail);
}

static inline void node_ready(void *arg, const struct controller_report *report)
{
    static int32_t me = 0;
    static struct command_create_topic_partition partition = {
        .replicas = &me, .replicas_count = 1, .isr = &me, .isr_count = 1};
    struct node *node = arg;

    node->change = (struct controller_change){.controller = node->controller,
                                              .done = node_topic_made};
    node->change.command =
        (struct command){.type = COMMAND_CREATE_TOPIC,
                         .create_topic = {.name = STR_LIT("topic"),
                                          .topic_id = {.bytes = {1, 2, 3}},
                                          .partitions = &partition,
                                          .partitions_count = 1,
                                          .source = STR_LIT("test")}};
    controller_change(&node->change);
}

static inline void node_start(void *arg)
{
    struct node *node = arg;
    struct controller_options options = {.loops = node->loops,
                                         .data_folder = node->folder,
                                         .retention_check_ms = 60000,
                                         .partitions_max = 1000,
                                         .failed = node_failed,
                                         .arg = node};

    options.replicas = replicas_open(loop_env(loops_at(node->loops, 0)));
    node->replicas = options.replicas;
    topic_settings_init(&options.topic_defaults);
    must(controller_open(&options, node_ready, &node->controller, NULL) ==
         ERR_NONE);
}

static inline void node_init(struct node *node)
{
    *node = (struct node){.options = {.session_ms_min = 10,
                                      .session_ms_max = 1800000,
                                      .group_members = 100,
                                      .groups = 100,
                                      .offset_metadata_bytes = 10}};
    fixture_folder(node->folder);
}

/* Starts, plays the script, stops; gives what it has said. */
static inline const char *node_run(struct node *node,
                                   void (*script)(struct node *node))
{
    node->script = script;
    node->step = 0;
    node->len = 0;
    node->text[0] = '\0';
    node->open = 0;
    must(loops_open(2, 2, &node->loops, NULL) == ERR_NONE);
    loops_run(node->loops, node_start, node);
    loops_close(node->loops);
    return node->text;
}

static inline void node_fini(struct node *node)
{
    fixture_remove(node->folder);
}

/* The one life of a new node; what it has said is compared whole. */
static inline void node_play(void (*script)(struct node *node),
                             const char *expected)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    assert_string_equal(node_run(node, script), expected);
    node_fini(node);
    mem_free(node);
}

#endif
