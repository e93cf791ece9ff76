/* The metadata state: commands in, rows and results out, as text. */
#include "unit/meta/script.h"

#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct world {
    struct state state;
    struct arena arena;
    struct str text;
};

static void world_init(struct world *w)
{
    struct topic_settings defaults;

    topic_settings_init(&defaults);
    *w = (struct world){.text = STR_LIT("")};
    state_init(&w->state, &defaults);
}

static void world_fini(struct world *w)
{
    state_fini(&w->state);
    arena_reset(&w->arena);
}

static struct str world_result_text(struct world *w,
                                    const struct state_result *r)
{
    struct str text;

    if (r->err != ERR_NONE) {
        return arena_printf(&w->arena, "= %s: %s\n", err_name(r->err),
                            r->why.text);
    }
    text = STR_LIT("= ok");
    if (r->producer_id_count > 0) {
        text = arena_printf(&w->arena, "%.*s, ids from %lld", STR_ARG(text),
                            (long long)r->first_producer_id);
    }
    for (uint32_t i = 0; i < r->refusals_count; i++) {
        text = arena_printf(&w->arena, "%.*s, %u: %s", STR_ARG(text),
                            r->refusals[i].entry, err_name(r->refusals[i].err));
    }
    return arena_printf(&w->arena, "%.*s\n", STR_ARG(text));
}

/* Applies a line at the next index, and writes down what came of it. */
static void world_say(struct world *w, const char *line)
{
    struct rows rows = {0};
    struct state_result result;
    struct why why;
    uint64_t index = w->state.index + 1;
    enum err err = state_apply(
        &w->state,
        &(struct state_entry){
            index, 1, script_encode(line, (int64_t)index * 1000, &w->arena)},
        &rows, &result, &why);

    assert_int_equal(err, ERR_NONE);
    w->text = arena_printf(&w->arena, "%.*s%s\n%.*s%.*s", STR_ARG(w->text),
                           line, STR_ARG(script_rows_text(&rows, &w->arena)),
                           STR_ARG(world_result_text(w, &result)));
    state_result_fini(&result);
    rows_fini(&rows);
}

static void world_begin(struct world *w)
{
    world_init(w);
    world_say(w, "migrate 1");
    world_say(w, "cluster AAAAAAAAAAAAAAAAAAAAAA");
    world_say(w, "slots 1 1");
    w->text = STR_LIT("");
}

static void world_expect(struct world *w, const char *text)
{
    assert_string_equal(w->text.ptr, text);
    w->text = STR_LIT("");
}

static void a_cluster_begins_with_a_schema_an_id_and_a_broker(void **unused)
{
    struct world w;

    world_init(&w);
    world_say(&w, "migrate 1");
    world_say(&w, "migrate 1");
    world_say(&w, "cluster short");
    world_say(&w, "cluster CLUSTERCLUSTERCLUSTERC");
    world_say(&w, "cluster ANOTHERANOTHERANOTHERA");
    world_say(&w, "broker 7 - here:9092 there:9093");
    world_say(&w, "broker 3 r1 three:1");
    world_say(&w, "broker -3 r1 three:1");
    world_say(&w, "slot 5 7 1");
    world_say(&w, "slot 5 3 1");
    world_say(&w, "slot 64 3 1");
    world_expect(&w,
                 "migrate 1\n"
                 "  migrate 1 1000\n"
                 "= ok\n"
                 "migrate 1\n"
                 "= ok\n"
                 "cluster short\n"
                 "= INVALID_REQUEST: a cluster's id has 22 characters\n"
                 "cluster CLUSTERCLUSTERCLUSTERC\n"
                 "  cluster put 'CLUSTERCLUSTERCLUSTERC' 4000\n"
                 "= ok\n"
                 "cluster ANOTHERANOTHERANOTHERA\n"
                 "= EXISTS: the cluster has its id: CLUSTERCLUSTERCLUSTERC\n"
                 "broker 7 - here:9092 there:9093\n"
                 "  brokers put 7 null 'SUlJSUlJSUlJSUlJSUlJSQ' 6 6000\n"
                 "  broker_listeners delete 7\n"
                 "  broker_listeners put 7 0 'PLAINTEXT' 'here' 9092\n"
                 "  broker_listeners put 7 1 'PLAINTEXT' 'there' 9093\n"
                 "= ok\n"
                 "broker 3 r1 three:1\n"
                 "  brokers put 3 'r1' 'SUlJSUlJSUlJSUlJSUlJSQ' 7 7000\n"
                 "  broker_listeners delete 3\n"
                 "  broker_listeners put 3 0 'PLAINTEXT' 'three' 1\n"
                 "= ok\n"
                 "broker -3 r1 three:1\n"
                 "= INVALID_REQUEST: a broker's id cannot be -3\n"
                 "slot 5 7 1\n"
                 "  coordinators put 5 7 1\n"
                 "= ok\n"
                 "slot 5 3 1\n"
                 "= INVALID_REQUEST: slot 5 cannot come to epoch 1\n"
                 "slot 64 3 1\n"
                 "= INVALID_REQUEST: slot 64 cannot come to epoch 1\n");
    assert_int_equal(w.state.brokers->count, 2);
    assert_int_equal(w.state.brokers->items[0].id, 3);
    assert_int_equal(brokers_find(w.state.brokers, 7)->epoch, 6);
    assert_null(brokers_find(w.state.brokers, 8));
    world_fini(&w);
}

static void a_topic_is_made_once_and_deleted_with_all_it_had(void **unused)
{
    struct world w;

    world_begin(&w);
    world_say(&w, "topic my.topic A 2 retention.ms=5 flush.ms=7");
    world_say(&w, "topic my.topic B 1");
    world_say(&w, "topic my_topic B 1");
    world_say(&w, "topic other A 1");
    world_say(&w, "topic none B 0");
    world_say(&w, "topic / B 1");
    world_say(&w, "commit g 1 A:1:42:note");
    world_say(&w, "commit f 1 A:0:1");
    world_say(&w, "untopic A");
    world_say(&w, "untopic A");
    world_say(&w, "topic my_topic B 1");
    world_expect(
        &w,
        "topic my.topic A 2 retention.ms=5 flush.ms=7\n"
        "  topics put 'my.topic' 'QUFBQUFBQUFBQUFBQUFBQQ' 2 4000 'test'\n"
        "  partitions put 'my.topic' 0 1 0 0 '[1]' '[1]'\n"
        "  partitions put 'my.topic' 1 1 0 0 '[1]' '[1]'\n"
        "  topic_configs put 'my.topic' 'flush.ms' '7'\n"
        "  config_history put 1 4000 4 'my.topic' 'flush.ms' null '7' "
        "'test'\n"
        "  topic_configs put 'my.topic' 'retention.ms' '5'\n"
        "  config_history put 2 4000 4 'my.topic' 'retention.ms' null '5' "
        "'test'\n"
        "= ok\n"
        "topic my.topic B 1\n"
        "= TOPIC_ALREADY_EXISTS: topic \"my.topic\" exists\n"
        "topic my_topic B 1\n"
        "= INVALID_TOPIC_EXCEPTION: topic \"my_topic\" differs from "
        "\"my.topic\" only in \".\" and \"_\"\n"
        "topic other A 1\n"
        "= INVALID_REQUEST: the id of the new topic \"other\" is in use or "
        "zero\n"
        "topic none B 0\n"
        "= INVALID_PARTITIONS: topic \"none\" needs at least one partition\n"
        "topic / B 1\n"
        "= INVALID_TOPIC_EXCEPTION: a topic's name can have letters, digits, "
        "\".\", \"_\" and \"-\" only: \"/\" has something else at position 0\n"
        "commit g 1 A:1:42:note\n"
        "  offsets put 'g' 'my.topic' 1 42 -1 'note' 10000 null\n"
        "= ok\n"
        "commit f 1 A:0:1\n"
        "  offsets put 'f' 'my.topic' 0 1 -1 '' 11000 null\n"
        "= ok\n"
        "untopic A\n"
        "  topic_configs delete 'my.topic' 'flush.ms'\n"
        "  config_history put 3 12000 12 'my.topic' 'flush.ms' '7' null "
        "'delete'\n"
        "  topic_configs delete 'my.topic' 'retention.ms'\n"
        "  config_history put 4 12000 12 'my.topic' 'retention.ms' '5' null "
        "'delete'\n"
        "  partitions delete 'my.topic'\n"
        "  topics delete 'my.topic'\n"
        "  offsets delete 'f' 'my.topic' 0\n"
        "  offsets delete 'g' 'my.topic' 1\n"
        "= ok\n"
        "untopic A\n"
        "= UNKNOWN_TOPIC_ID: no topic has this id\n"
        "topic my_topic B 1\n"
        "  topics put 'my_topic' 'QkJCQkJCQkJCQkJCQkJCQg' 1 14000 'test'\n"
        "  partitions put 'my_topic' 0 1 0 0 '[1]' '[1]'\n"
        "= ok\n");
    assert_int_equal(offsets_count(&w.state.offsets), 0);
    assert_int_equal(topics_partitions_count(&w.state.topics), 1);
    world_fini(&w);
}

static void a_topic_of_impossible_replicas_is_refused(void **unused)
{
    struct world w;
    int32_t twice[] = {1, 1};
    int32_t one[] = {1};
    int32_t two[] = {2};
    struct {
        int32_t leader, *replicas, replicas_count, *isr, isr_count;
    } cases[] = {
        {1, twice, 2, one, 1}, /* one replica twice */
        {2, one, 1, one, 1},   /* a leader that is none */
        {2, one, 1, two, 1},   /* in sync, but no replica */
        {-1, one, 0, one, 0},  /* nobody at all */
    };

    world_begin(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct command_create_topic_partition p = {
            .leader = cases[i].leader,
            .replicas = cases[i].replicas,
            .replicas_count = cases[i].replicas_count,
            .isr = cases[i].isr,
            .isr_count = cases[i].isr_count};
        struct command_create_topic c = {.name = STR_LIT("t"),
                                         .topic_id = script_uuid(STR_LIT("A")),
                                         .partitions = &p,
                                         .partitions_count = 1};

        assert_int_equal(topics_check(&w.state.topics, &c, NULL),
                         ERR_INVALID_REPLICA_ASSIGNMENT);
    }
    world_fini(&w);
}

static void a_config_comes_once_and_not_without_end(void **unused)
{
    struct world w;
    char line[4096] = "topic t A 1";

    world_begin(&w);
    world_say(&w, "topic t A 1 flush.ms=1 flush.ms=1");
    world_expect(&w, "topic t A 1 flush.ms=1 flush.ms=1\n"
                     "= INVALID_CONFIG: topic \"t\" has the config "
                     "\"flush.ms\" twice\n");
    for (int i = 0; i <= TOPIC_OVERRIDES_MAX; i++) {
        size_t at = strlen(line);

        snprintf(line + at, sizeof(line) - at, " c%d=1", i);
    }
    world_say(&w, line);
    assert_non_null(strstr(w.text.ptr, "= INVALID_CONFIG: topic \"t\" has 201 "
                                       "configs, at most 200 are possible"));
    world_fini(&w);
}

static void producer_ids_are_given_out_once(void **unused)
{
    struct world w;

    world_begin(&w);
    world_say(&w, "ids 1 1000");
    world_say(&w, "ids 2 1000");
    world_say(&w, "ids 1 0");
    world_say(&w, "ids 1 1");
    world_expect(&w, "ids 1 1000\n"
                     "  producer_ids put 1 0 1000 4000\n"
                     "= ok, ids from 0\n"
                     "ids 2 1000\n"
                     "  producer_ids put 2 1000 1000 5000\n"
                     "= ok, ids from 1000\n"
                     "ids 1 0\n"
                     "= INVALID_REQUEST: cannot give out 0 producer ids\n"
                     "ids 1 1\n"
                     "  producer_ids put 1 2000 1 7000\n"
                     "= ok, ids from 2000\n");
    world_fini(&w);
}

static void offsets_fail_one_by_one(void **unused)
{
    struct world w;

    world_begin(&w);
    world_say(&w, "topic t A 2");
    w.text = STR_LIT("");
    world_say(&w, "commit g 1 A:0:5 Z:0:5 A:2:5 A:-1:5 A:1:6");
    world_say(&w, "commit g 2 A:0:99");
    world_say(&w, "commit g -1 A:0:7:seven");
    world_say(&w, "commit g -1 A:0:8");
    world_say(&w, "uncommit g 2 A:0");
    world_say(&w, "uncommit g 1 A:0:1 A:1 Z:0");
    world_expect(
        &w,
        "commit g 1 A:0:5 Z:0:5 A:2:5 A:-1:5 A:1:6\n"
        "  offsets put 'g' 't' 0 5 -1 '' 5000 null\n"
        "  offsets put 'g' 't' 1 6 -1 '' 5000 null\n"
        "= ok, 1: UNKNOWN_TOPIC_OR_PARTITION, 2: UNKNOWN_TOPIC_OR_PARTITION, "
        "3: UNKNOWN_TOPIC_OR_PARTITION\n"
        "commit g 2 A:0:99\n"
        "= ok, 0: NOT_COORDINATOR\n"
        "commit g -1 A:0:7:seven\n"
        "  offsets put 'g' 't' 0 7 -1 'seven' 7000 null\n"
        "= ok\n"
        "commit g -1 A:0:8\n"
        "  offsets put 'g' 't' 0 8 -1 '' 8000 null\n"
        "= ok\n"
        "uncommit g 2 A:0\n"
        "= NOT_COORDINATOR: group \"g\" has another coordinator by now\n"
        "uncommit g 1 A:0:1 A:1 Z:0\n"
        "  offsets delete 'g' 't' 1\n"
        "= ok\n");
    assert_int_equal(
        state_find_offset(&w.state, STR_LIT("g"), STR_LIT("t"), 0)->offset, 8);
    assert_null(state_find_offset(&w.state, STR_LIT("g"), STR_LIT("t"), 1));
    assert_null(state_find_offset(&w.state, STR_LIT("h"), STR_LIT("t"), 0));
    assert_null(state_find_offset(&w.state, STR_LIT("g"), STR_LIT("u"), 0));
    world_fini(&w);
}

static void a_topic_made_again_has_nobodys_offsets(void **unused)
{
    struct world w;

    world_begin(&w);
    world_say(&w, "topic t A 1");
    world_say(&w, "commit g 1 A:0:5");
    world_say(&w, "untopic A");
    world_say(&w, "topic t B 1");
    world_say(&w, "commit g 1 A:0:6"); /* of a member that has not heard */
    assert_null(state_find_offset(&w.state, STR_LIT("g"), STR_LIT("t"), 0));
    world_fini(&w);
}

static void a_group_is_stored_whole_and_goes_with_its_offsets(void **unused)
{
    struct world w;
    const struct stored_group *group;

    world_begin(&w);
    world_say(&w, "topic t A 1");
    world_say(&w, "topic u B 1");
    w.text = STR_LIT("");
    world_say(&w, "group g 1 3 m1:sub:asg m2");
    world_say(&w, "group g 1 4");
    world_say(&w, "group g 7 5");
    world_say(&w, "commit g 1 A:0:5 B:0:6");
    world_say(&w, "ungroup g 7");
    world_say(&w, "ungroup g 1");
    world_say(&w, "ungroup g 1");
    world_expect(
        &w,
        "group g 1 3 m1:sub:asg m2\n"
        "  groups put 'g' 3 'consumer' 'range' 'm1' 6000\n"
        "  group_members put 'g' 'm1' null 'client' '/127.0.0.1' 6000 60000 "
        "'sub' 'asg' 0\n"
        "  group_members put 'g' 'm2' null 'client' '/127.0.0.1' 6000 60000 "
        "'' '' 1\n"
        "= ok\n"
        "group g 1 4\n"
        "  group_members delete 'g'\n"
        "  groups put 'g' 4 'consumer' null null 7000\n"
        "= ok\n"
        "group g 7 5\n"
        "= NOT_COORDINATOR: group \"g\" has another coordinator by now\n"
        "commit g 1 A:0:5 B:0:6\n"
        "  offsets put 'g' 't' 0 5 -1 '' 9000 null\n"
        "  offsets put 'g' 'u' 0 6 -1 '' 9000 null\n"
        "= ok\n"
        "ungroup g 7\n"
        "= NOT_COORDINATOR: group \"g\" has another coordinator by now\n"
        "ungroup g 1\n"
        "  groups delete 'g'\n"
        "  offsets delete 'g' 't' 0\n"
        "  offsets delete 'g' 'u' 0\n"
        "= ok\n"
        "ungroup g 1\n"
        "= GROUP_ID_NOT_FOUND: there is no group \"g\"\n");
    world_say(&w, "group h 1 9 x:s:a");
    group = groups_find(&w.state.groups, STR_LIT("h"));
    assert_int_equal(group->generation, 9);
    assert_int_equal(group->members_count, 1);
    assert_true(str_eq(group->members[0].assignment, STR_LIT("a")));
    world_fini(&w);
}

static enum err world_try(struct world *w, struct str bytes, struct why *why)
{
    struct rows rows = {0};
    struct state_result result;
    enum err err = state_apply(
        &w->state, &(struct state_entry){w->state.index + 1, 1, bytes}, &rows,
        &result, why);

    assert_int_equal(rows_count(&rows), 0);
    state_result_fini(&result);
    rows_fini(&rows);
    return err;
}

static void a_command_from_the_future_stops_the_node(void **unused)
{
    struct world w;
    struct why why;

    world_init(&w);
    assert_int_equal(world_try(&w, script_encode("ids 1 1", 0, &w.arena), &why),
                     ERR_UNSUPPORTED);
    assert_string_equal(why.text, "the command \"allocate_producer_ids\" comes "
                                  "before the first migrate");
    assert_int_equal(
        world_try(&w, script_encode("migrate 2", 0, &w.arena), &why),
        ERR_UNSUPPORTED);
    assert_int_equal(world_try(&w, STR_LIT("\0\x63\0\0"), &why),
                     ERR_UNSUPPORTED);
    assert_string_equal(why.text,
                        "this version does not know command 99 in version 0: "
                        "it was written by a newer one");
    assert_int_equal(world_try(&w, STR_LIT("\0\1\0\1"), &why), ERR_UNSUPPORTED);
    assert_int_equal(world_try(&w, STR_LIT("\0\1\0"), &why), ERR_MALFORMED);
    assert_int_equal(world_try(&w, STR_LIT("\0\1\0\0\0"), &why), ERR_MALFORMED);
    assert_int_equal(w.state.index, 0);
    world_fini(&w);
}

/* Whatever bytes come, they are refused or applied, and never read past. */
static void damaged_commands_are_never_read_past_their_end(void **unused)
{
    static const char *const lines[] = {
        "broker 7 r here:9092 there:9093",
        "topic t A 3 retention.ms=5",
        "commit g 1 A:0:5:xyz A:1:5",
        "group g 1 3 m1:sub:asg m2:a:b",
        "uncommit g 1 A:0:1",
        "slot 1 2 3",
    };
    uint64_t seed = 7;

    for (int round = 0; round < 3000; round++) {
        struct world w;
        struct rows rows = {0};
        struct state_result result;
        struct why why;
        struct str line;
        char *bytes;
        size_t len;
        enum err err;

        world_begin(&w);
        line = script_encode(lines[fixture_random(&seed) % ARRAY_COUNT(lines)],
                             1, &w.arena);
        len = fixture_random(&seed) % (line.len + 1);
        len = round % 3 == 0 ? line.len : len;
        bytes = mem_dup(line.ptr, len);
        for (int i = 0; i < round % 4 && len > 4; i++) {
            bytes[4 + fixture_random(&seed) % (len - 4)] =
                (char)fixture_random(&seed);
        }
        bytes = mem_realloc(bytes, MAX(len, (size_t)1));
        err = state_apply(&w.state,
                          &(struct state_entry){100, 1, str_sub(bytes, len)},
                          &rows, &result, &why);
        assert_true(err == ERR_NONE || err == ERR_MALFORMED ||
                    err == ERR_UNSUPPORTED);
        state_result_fini(&result);
        rows_fini(&rows);
        mem_free(bytes);
        world_fini(&w);
    }
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* How fast is printed; nothing depends on it. */
static void ten_thousand_topics_and_a_hundred_thousand_offsets(void **unused)
{
    struct world w;
    struct rows rows = {0};
    struct state_result result;
    double start = seconds();
    double made;
    uint64_t index = 10;
    char name[32];

    world_begin(&w);
    for (int i = 0; i < 10000; i++) {
        struct command c = {.type = COMMAND_CREATE_TOPIC};
        struct str bytes;
        int32_t one[] = {1};
        struct command_create_topic_partition parts[10];

        snprintf(name, sizeof(name), "topic-%d", i);
        for (int j = 0; j < 10; j++) {
            parts[j] =
                (struct command_create_topic_partition){.leader = 1,
                                                        .replicas = one,
                                                        .replicas_count = 1,
                                                        .isr = one,
                                                        .isr_count = 1};
        }
        c.create_topic =
            (struct command_create_topic){.name = str_of(name),
                                          .partitions = parts,
                                          .partitions_count = 10,
                                          .source = STR_LIT("test")};
        memcpy(c.create_topic.topic_id.bytes, name,
               MIN(sizeof(c.create_topic.topic_id.bytes), strlen(name)));
        assert_int_equal(command_encode(&c, &w.arena, &bytes), ERR_NONE);
        assert_int_equal(state_apply(&w.state,
                                     &(struct state_entry){index++, 1, bytes},
                                     &rows, &result, NULL),
                         ERR_NONE);
        assert_int_equal(result.err, ERR_NONE);
        state_result_fini(&result);
        arena_reset(&w.arena);
        rows_clear(&rows, 1 << 20);
    }
    made = seconds();
    for (int i = 0; i < 10000; i++) {
        struct command_commit_offsets_partition p[10];
        struct command_commit_offsets_topic topic = {.partitions = p,
                                                     .partitions_count = 10};
        struct command_commit_offsets_commit commit = {.group_id =
                                                           STR_LIT("group"),
                                                       .coordinator_epoch = 1,
                                                       .expire_at_ms = -1,
                                                       .topics = &topic,
                                                       .topics_count = 1};
        struct command c = {.type = COMMAND_COMMIT_OFFSETS};
        struct str bytes;

        for (int j = 0; j < 10; j++) {
            p[j] = (struct command_commit_offsets_partition){
                .index = j, .offset = i, .metadata = STR_LIT("")};
        }
        snprintf(name, sizeof(name), "topic-%d", i);
        memcpy(topic.topic_id.bytes, name,
               MIN(sizeof(topic.topic_id.bytes), strlen(name)));
        c.commit_offsets.commits = &commit;
        c.commit_offsets.commits_count = 1;
        assert_int_equal(command_encode(&c, &w.arena, &bytes), ERR_NONE);
        assert_int_equal(state_apply(&w.state,
                                     &(struct state_entry){index++, 1, bytes},
                                     &rows, &result, NULL),
                         ERR_NONE);
        assert_int_equal(result.refusals_count, 0);
        state_result_fini(&result);
        arena_reset(&w.arena);
        rows_clear(&rows, 1 << 20);
    }
    print_message("10,000 topics of 10 partitions %.0f ms, 100,000 offsets "
                  "%.0f ms\n",
                  1e3 * (made - start), 1e3 * (seconds() - made));
    assert_int_equal(topics_count(&w.state.topics), 10000);
    assert_int_equal(offsets_count(&w.state.offsets), 100000);
    assert_int_equal(
        state_find_offset(&w.state, STR_LIT("group"), STR_LIT("topic-9999"), 9)
            ->offset,
        9999);
    rows_fini(&rows);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_begins_with_a_schema_an_id_and_a_broker),
        cmocka_unit_test(a_topic_is_made_once_and_deleted_with_all_it_had),
        cmocka_unit_test(a_topic_of_impossible_replicas_is_refused),
        cmocka_unit_test(a_config_comes_once_and_not_without_end),
        cmocka_unit_test(producer_ids_are_given_out_once),
        cmocka_unit_test(offsets_fail_one_by_one),
        cmocka_unit_test(a_topic_made_again_has_nobodys_offsets),
        cmocka_unit_test(a_group_is_stored_whole_and_goes_with_its_offsets),
        cmocka_unit_test(a_command_from_the_future_stops_the_node),
        cmocka_unit_test(damaged_commands_are_never_read_past_their_end),
        cmocka_unit_test(ten_thousand_topics_and_a_hundred_thousand_offsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
