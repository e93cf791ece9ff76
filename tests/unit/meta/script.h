/* script.h - commands written as lines of text, for the tests of meta/.
 *
 *   migrate VERSION                     cluster CLUSTER_ID
 *   broker ID RACK HOST:PORT...         topic NAME LETTER COUNT [NAME=VALUE]...
 *   untopic LETTER                      ids BROKER COUNT
 *   slot SLOT BROKER EPOCH              slots BROKER EPOCH
 *   commit GROUP EPOCH LETTER:PARTITION:OFFSET[:TEXT]...
 *   uncommit GROUP EPOCH LETTER:PARTITION[:AT]...
 *   group GROUP EPOCH GENERATION [MEMBER:SUBSCRIPTION:ASSIGNMENT]...
 *   ungroup GROUP EPOCH
 *
 * A letter is a topic id of 16 times that letter. Times are a thousand times
 * the index at which the line is applied. */
#ifndef UNIT_META_SCRIPT_H
#define UNIT_META_SCRIPT_H

#include "lib/fixture.h"

#include "base/must.h"
#include "meta/state_core.h"

enum { SCRIPT_WORDS_MAX = 256, SCRIPT_PARTS_MAX = 4 };

struct script_words {
    struct str words[SCRIPT_WORDS_MAX];
    int count;
};

static inline void script_split(struct str line, char at, struct str *out,
                                int limit, int *count)
{
    *count = 0;
    while (line.len > 0) {
        size_t end = 0;

        while (end < line.len && line.ptr[end] != at) {
            end++;
        }
        must(*count < limit);
        out[(*count)++] = str_sub(line.ptr, end);
        end = MIN(end + 1, line.len);
        line = str_sub(line.ptr + end, line.len - end);
    }
}

static inline int64_t script_i64(struct str s)
{
    int64_t value;

    must(str_to_i64(s, &value));
    return value;
}

static inline int32_t script_i32(struct str s)
{
    return (int32_t)script_i64(s);
}

static inline struct uuid script_uuid(struct str letter)
{
    struct uuid id;

    memset(id.bytes, letter.ptr[0], sizeof(id.bytes));
    return id;
}

static inline void script_broker(const struct script_words *w,
                                 struct arena *arena, int64_t at_ms,
                                 struct command *c)
{
    int listeners = w->count - 3;
    struct command_register_broker *b = &c->register_broker;

    c->type = COMMAND_REGISTER_BROKER;
    b->broker_id = script_i32(w->words[1]);
    b->rack = str_eq(w->words[2], STR_LIT("-")) ? STR_NULL : w->words[2];
    b->incarnation = script_uuid(STR_LIT("I"));
    b->listeners = arena_array(arena, (size_t)listeners, sizeof(*b->listeners));
    b->listeners_count = listeners;
    b->at_ms = at_ms;
    for (int i = 0; i < listeners; i++) {
        struct str parts[2];
        int count;

        script_split(w->words[3 + i], ':', parts, 2, &count);
        b->listeners[i].name = STR_LIT("PLAINTEXT");
        b->listeners[i].host = parts[0];
        b->listeners[i].port = script_i32(parts[1]);
    }
}

static inline void script_topic(const struct script_words *w,
                                struct arena *arena, int64_t at_ms,
                                struct command *c)
{
    struct command_create_topic *t = &c->create_topic;
    static int32_t one[] = {1};

    c->type = COMMAND_CREATE_TOPIC;
    t->name = w->words[1];
    t->topic_id = script_uuid(w->words[2]);
    t->partitions_count = script_i32(w->words[3]);
    t->partitions =
        arena_array(arena, (size_t)t->partitions_count, sizeof(*t->partitions));
    for (int32_t i = 0; i < t->partitions_count; i++) {
        t->partitions[i] =
            (struct command_create_topic_partition){.leader = 1,
                                                    .replicas = one,
                                                    .replicas_count = 1,
                                                    .isr = one,
                                                    .isr_count = 1};
    }
    t->configs_count = w->count - 4;
    t->configs =
        arena_array(arena, (size_t)t->configs_count, sizeof(*t->configs));
    for (int32_t i = 0; i < t->configs_count; i++) {
        struct str parts[2];
        int count;

        script_split(w->words[4 + i], '=', parts, 2, &count);
        t->configs[i].name = parts[0];
        t->configs[i].value = count == 2 ? parts[1] : STR_LIT("");
    }
    t->source = STR_LIT("test");
    t->at_ms = at_ms;
}

/* Each offset is a topic of its own in the command: that is allowed too. */
static inline void script_commit(const struct script_words *w,
                                 struct arena *arena, int64_t at_ms,
                                 struct command *c)
{
    struct command_commit_offsets_commit *commit =
        ARENA_NEW(arena, struct command_commit_offsets_commit);

    c->type = COMMAND_COMMIT_OFFSETS;
    c->commit_offsets.commits = commit;
    c->commit_offsets.commits_count = 1;
    commit->group_id = w->words[1];
    commit->coordinator_epoch = script_i32(w->words[2]);
    commit->at_ms = at_ms;
    commit->expire_at_ms = -1;
    commit->topics_count = w->count - 3;
    commit->topics = arena_array(arena, (size_t)commit->topics_count,
                                 sizeof(*commit->topics));
    for (int i = 0; i < commit->topics_count; i++) {
        struct command_commit_offsets_topic *topic = &commit->topics[i];
        struct str parts[4];
        int count;

        script_split(w->words[3 + i], ':', parts, 4, &count);
        topic->topic_id = script_uuid(parts[0]);
        topic->partitions =
            ARENA_NEW(arena, struct command_commit_offsets_partition);
        topic->partitions_count = 1;
        topic->partitions->index = script_i32(parts[1]);
        topic->partitions->offset = script_i64(parts[2]);
        topic->partitions->leader_epoch = -1;
        topic->partitions->metadata = count == 4 ? parts[3] : STR_LIT("");
    }
}

static inline void script_uncommit(const struct script_words *w,
                                   struct arena *arena, struct command *c)
{
    struct command_delete_offsets_group *group =
        ARENA_NEW(arena, struct command_delete_offsets_group);

    c->type = COMMAND_DELETE_OFFSETS;
    c->delete_offsets.groups = group;
    c->delete_offsets.groups_count = 1;
    group->group_id = w->words[1];
    group->coordinator_epoch = script_i32(w->words[2]);
    group->topics_count = w->count - 3;
    group->topics =
        arena_array(arena, (size_t)group->topics_count, sizeof(*group->topics));
    for (int i = 0; i < group->topics_count; i++) {
        struct command_delete_offsets_topic *topic = &group->topics[i];
        struct str parts[3];
        int count;

        script_split(w->words[3 + i], ':', parts, 3, &count);
        topic->topic_id = script_uuid(parts[0]);
        topic->partitions =
            ARENA_NEW(arena, struct command_delete_offsets_partition);
        topic->partitions_count = 1;
        topic->partitions->index = script_i32(parts[1]);
        topic->partitions->only_if_at_ms =
            count == 3 ? script_i64(parts[2]) : -1;
    }
}

static inline void script_group(const struct script_words *w,
                                struct arena *arena, int64_t at_ms,
                                struct command *c)
{
    struct command_save_group *g = &c->save_group;

    c->type = COMMAND_SAVE_GROUP;
    g->group_id = w->words[1];
    g->coordinator_epoch = script_i32(w->words[2]);
    g->generation = script_i32(w->words[3]);
    g->protocol_type = STR_LIT("consumer");
    g->members_count = w->count - 4;
    g->members =
        arena_array(arena, (size_t)g->members_count, sizeof(*g->members));
    g->at_ms = at_ms;
    for (int32_t i = 0; i < g->members_count; i++) {
        struct str parts[3];
        int count;

        script_split(w->words[4 + i], ':', parts, 3, &count);
        g->members[i] = (struct command_save_group_member){
            .member_id = parts[0],
            .client_id = STR_LIT("client"),
            .client_host = STR_LIT("/127.0.0.1"),
            .session_timeout_ms = 6000,
            .rebalance_timeout_ms = 60000,
            .subscription = count > 1 ? parts[1] : STR_LIT(""),
            .assignment = count > 2 ? parts[2] : STR_LIT("")};
        g->protocol = STR_LIT("range");
        g->leader = g->members[0].member_id;
    }
}

static inline void script_slots(const struct script_words *w,
                                struct arena *arena, struct command *c)
{
    bool all = w->count == 3;
    int count = all ? COORDINATOR_SLOTS : 1;
    struct command_set_coordinators_slot *slots =
        arena_array(arena, (size_t)count, sizeof(*slots));

    c->type = COMMAND_SET_COORDINATORS;
    c->set_coordinators.slots = slots;
    c->set_coordinators.slots_count = count;
    for (int i = 0; i < count; i++) {
        slots[i].slot = all ? i : script_i32(w->words[1]);
        slots[i].broker_id = script_i32(w->words[w->count - 2]);
        slots[i].epoch = script_i32(w->words[w->count - 1]);
    }
}

static inline bool script_is(const struct script_words *w, const char *word)
{
    return str_eq(w->words[0], str_of(word));
}

/* The bytes of a line, in the arena. */
static inline struct str script_encode(const char *line, int64_t at_ms,
                                       struct arena *arena)
{
    struct script_words w;
    struct command c = {0};
    struct str bytes;

    script_split(str_of(line), ' ', w.words, SCRIPT_WORDS_MAX, &w.count);
    if (script_is(&w, "migrate")) {
        c.type = COMMAND_MIGRATE;
        c.migrate.schema_version = script_i32(w.words[1]);
        c.migrate.at_ms = at_ms;
    } else if (script_is(&w, "cluster")) {
        c.type = COMMAND_INIT_CLUSTER;
        c.init_cluster.cluster_id = w.words[1];
        c.init_cluster.at_ms = at_ms;
    } else if (script_is(&w, "broker")) {
        script_broker(&w, arena, at_ms, &c);
    } else if (script_is(&w, "topic")) {
        script_topic(&w, arena, at_ms, &c);
    } else if (script_is(&w, "untopic")) {
        c.type = COMMAND_DELETE_TOPIC;
        c.delete_topic.topic_id = script_uuid(w.words[1]);
        c.delete_topic.at_ms = at_ms;
    } else if (script_is(&w, "ids")) {
        c.type = COMMAND_ALLOCATE_PRODUCER_IDS;
        c.allocate_producer_ids.broker_id = script_i32(w.words[1]);
        c.allocate_producer_ids.count = script_i32(w.words[2]);
        c.allocate_producer_ids.at_ms = at_ms;
    } else if (script_is(&w, "slot") || script_is(&w, "slots")) {
        script_slots(&w, arena, &c);
    } else if (script_is(&w, "commit")) {
        script_commit(&w, arena, at_ms, &c);
    } else if (script_is(&w, "uncommit")) {
        script_uncommit(&w, arena, &c);
    } else if (script_is(&w, "group")) {
        script_group(&w, arena, at_ms, &c);
    } else {
        must(script_is(&w, "ungroup"));
        c.type = COMMAND_DELETE_GROUP;
        c.delete_group.group_id = w.words[1];
        c.delete_group.coordinator_epoch = script_i32(w.words[2]);
        c.delete_group.at_ms = at_ms;
    }
    must(command_encode(&c, arena, &bytes) == ERR_NONE);
    return bytes;
}

/* "  offsets put g orders 0 42 ... null": a line for each row. */
static inline struct str script_rows_text(const struct rows *rows,
                                          struct arena *arena)
{
    struct str text = STR_LIT("");
    struct row row;
    size_t at = 0;

    while (rows_next(rows, &at, &row)) {
        text = arena_printf(arena, "%.*s  %s", STR_ARG(text),
                            row_kind_name(row.kind));
        for (int i = 0; i < row.cell_count; i++) {
            const struct row_cell *cell = &row.cells[i];

            if (cell->type == ROW_CELL_NULL) {
                text = arena_printf(arena, "%.*s null", STR_ARG(text));
            } else if (cell->type == ROW_CELL_I64) {
                text = arena_printf(arena, "%.*s %lld", STR_ARG(text),
                                    (long long)cell->i64);
            } else {
                text = arena_printf(arena, "%.*s '%.*s'", STR_ARG(text),
                                    STR_ARG(cell->text));
            }
        }
        text = arena_printf(arena, "%.*s\n", STR_ARG(text));
    }
    return text;
}

#endif
