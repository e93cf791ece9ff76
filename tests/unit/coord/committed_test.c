/* Commits of offsets: who may, what is refused, how many go into a command; and
 * what is read. */
#include "unit/coord/node.h"

#include <semaphore.h>

static void simple_script(struct node *node)
{
    struct node_ask *ask;

    switch (node->step) {
    case 1:
        node_fetch(node, "g", "a");
        break;
    case 2:
        node_commit(node, "g", "a", -1, 10);
        break;
    case 3:
        node_commit(node, "", "a", -1, 11);
        break;
    case 4:
        node_fetch(node, "g", "a");
        break;
    case 5:
        ask = node_fetch_new(node, "", "a");
        ask->group.all = true;
        committed_fetch(&ask->fetch);
        break;
    case 6:
        ask = node_fetch_new(node, "other", "a");
        ask->group.all = true;
        committed_fetch(&ask->fetch);
        break;
    default:
        node_end(node);
    }
}

/* kafka-python's assign() and commit(); also without a name. */
static void a_group_without_members_is_anybodys(void **state)
{
    node_play(simple_script, "a fetches: NONE topic 0=-1 \"\" NONE\n"
                             "a commits: NONE NONE\n"
                             "a commits: NONE NONE\n"
                             "a fetches: NONE topic 0=10 \"note\" NONE\n"
                             "a fetches: NONE topic 0=11 \"note\" NONE\n"
                             "a fetches: NONE\n");
}

static void fenced_script(struct node *node)
{
    struct node_ask *ask;

    switch (node->step) {
    case 1: /* a group that nobody knows */
        ask = node_commit_new(node, "g", "a", 3, 1);
        ask->commit.tells_missing = true;
        committed_commit(&ask->commit);
        break;
    case 2:
        node_commit(node, "g", "a", 3, 1);
        break;
    case 3:
        node_join(node, "g", "a", 10000, false);
        break;
    case 4:
        node_commit(node, "g", "a", 1, 1);
        break;
    case 5:
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 6:
        node_commit(node, "g", "a", -1, 1);
        break;
    case 7:
        node_commit(node, "g", "a", 2, 1);
        break;
    case 8:
        node_commit(node, "g", "b", 1, 1);
        break;
    case 9:
        node_commit(node, "g", "a", 1, 5);
        break;
    case 10:
        node_leave(node, "g", "a");
        break;
    case 11:
        node_pause(node, 50);
        break;
    case 12: /* a group that is stored, without members */
        node_commit(node, "g", "a", 1, 6);
        break;
    case 13:
        node_commit(node, "g", "a", -1, 7);
        break;
    case 14:
        node_fetch(node, "g", "a");
        break;
    default:
        node_end(node);
    }
}

static void members_commit_in_their_generation(void **state)
{
    node_play(fenced_script, "a commits: GROUP_ID_NOT_FOUND NONE\n"
                             "a commits: ILLEGAL_GENERATION NONE\n"
                             "a joins: NONE generation 1, 1 members\n"
                             "a commits: REBALANCE_IN_PROGRESS NONE\n"
                             "a syncs: NONE \"all\"\n"
                             "a commits: UNKNOWN_MEMBER_ID NONE\n"
                             "a commits: ILLEGAL_GENERATION NONE\n"
                             "b commits: UNKNOWN_MEMBER_ID NONE\n"
                             "a commits: NONE NONE\n"
                             "a leaves: NONE NONE\n"
                             "a commits: UNKNOWN_MEMBER_ID NONE\n"
                             "a commits: NONE NONE\n"
                             "a fetches: NONE topic 0=7 \"note\" NONE\n");
}

static void partitions_script(struct node *node)
{
    struct node_ask *ask;

    switch (node->step) {
    case 1: /* the second partition is not there */
        ask = node_commit_new(node, "g", "a", -1, 1);
        ask->topic.partitions_count = 2;
        ask->partitions[1].index = 1;
        committed_commit(&ask->commit);
        break;
    case 2: /* its metadata has eleven bytes, ten are allowed */
        ask = node_commit_new(node, "g", "a", -1, 2);
        ask->topic.partitions_count = 2;
        ask->partitions[0].metadata = STR_LIT("elevenbytes");
        ask->partitions[1].metadata = STR_NULL;
        ask->partitions[1].offset = 3;
        committed_commit(&ask->commit);
        break;
    case 3:
        ask = node_commit_new(node, "g", "a", -1, 4);
        ask->topic.name = STR_LIT("not");
        committed_commit(&ask->commit);
        break;
    case 4:
        ask = node_commit_new(node, "g", "a", -1, 5);
        ask->topic.by_id = true;
        committed_commit(&ask->commit);
        break;
    case 5:
        ask = node_commit_new(node, "g", "a", -1, 6);
        ask->topic.by_id = true;
        ask->topic.id = node->topic_id;
        ask->partitions[0].index = -1;
        committed_commit(&ask->commit);
        break;
    case 6:
        ask = node_fetch_new(node, "g", "a");
        ask->topic.by_id = true;
        ask->topic.partitions_count = 2;
        ask->topic.id = node->topic_id;
        ask->partitions[1].index = 1;
        committed_fetch(&ask->fetch);
        break;
    case 7:
        ask = node_fetch_new(node, "g", "a");
        ask->topic.by_id = true;
        committed_fetch(&ask->fetch);
        break;
    case 8:
        ask = node_fetch_new(node, "g", "a");
        ask->topic.name = STR_LIT("not");
        committed_fetch(&ask->fetch);
        break;
    default:
        node_end(node);
    }
}

static void partitions_fail_one_by_one(void **state)
{
    node_play(partitions_script,
              "a commits: NONE NONE UNKNOWN_TOPIC_OR_PARTITION\n"
              "a commits: NONE OFFSET_METADATA_TOO_LARGE NONE\n"
              "a commits: NONE UNKNOWN_TOPIC_OR_PARTITION\n"
              "a commits: NONE UNKNOWN_TOPIC_ID\n"
              "a commits: NONE UNKNOWN_TOPIC_OR_PARTITION\n"
              "a fetches: NONE topic 0=3 \"\" NONE 1=-1 \"\" NONE\n"
              "a fetches: NONE topic 0=-1 \"\" UNKNOWN_TOPIC_ID\n"
              "a fetches: NONE not 0=-1 \"\" NONE\n");
}

enum { MANY = 500 };

static void many_script(struct node *node)
{
    switch (node->step) {
    case 1:
        for (int i = 0; i < MANY; i++) {
            node_commit(node, "g", "a", -1, i);
        }
        break;
    case 2:
        node->len = 0;
        node_fetch(node, "g", "a");
        break;
    default:
        node_end(node);
    }
}

/* What comes while a command is on its way goes with the next one. */
static void many_commits_share_a_command_and_the_last_one_wins(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node_run(node, many_script);
    assert_non_null(
        strstr(node->text, "a fetches: NONE topic 0=499 \"note\" NONE\n"));
    assert_true(node->index_end - node->index_begin < MANY / 10);
    node_fini(node);
    mem_free(node);
}

static void heavy_script(struct node *node)
{
    static char metadata[30000];
    struct node_ask *ask;

    memset(metadata, 'x', sizeof(metadata));
    switch (node->step) {
    case 1:
        for (int i = 0; i < 20; i++) {
            ask = node_commit_new(node, "g", "a", -1, i);
            ask->partitions[0].metadata = str_sub(metadata, sizeof(metadata));
            committed_commit(&ask->commit);
        }
        break;
    default:
        node_end(node);
    }
}

/* 20 times 30 KB are three batches, though all came in one turn. */
static void a_batch_has_at_most_256_kib(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node->options.offset_metadata_bytes = 30000;
    node_run(node, heavy_script);
    assert_in_range(node->index_end - node->index_begin, 3, 20);
    for (const char *at = node->text; *at != '\0'; at += 21) {
        assert_memory_equal(at, "a commits: NONE NONE\n", 21);
    }
    node_fini(node);
    mem_free(node);
}

static void retention_script(struct node *node)
{
    static const int64_t retentions[] = {0, 100000, -1, INT64_MAX};
    struct node_ask *ask;

    if (node->step > 2 * (int)ARRAY_COUNT(retentions)) {
        node_end(node);
    } else if (node->step % 2 == 1) {
        ask = node_commit_new(node, "g", "a", -1, node->step);
        ask->commit.retention_ms = retentions[node->step / 2];
        committed_commit(&ask->commit);
    } else {
        node_fetch(node, "g", "a");
    }
}

/* Versions 2 to 4 could say for how long a commit shall be kept. */
static void an_offset_whose_time_is_over_is_not_read(void **state)
{
    node_play(retention_script, "a commits: NONE NONE\n"
                                "a fetches: NONE topic 0=-1 \"\" NONE\n"
                                "a commits: NONE NONE\n"
                                "a fetches: NONE topic 0=3 \"note\" NONE\n"
                                "a commits: NONE NONE\n"
                                "a fetches: NONE topic 0=5 \"note\" NONE\n"
                                "a commits: NONE NONE\n"
                                "a fetches: NONE topic 0=7 \"note\" NONE\n");
}

enum { REPEATS = 2300 };

static void repeat_script(struct node *node)
{
    static char metadata[30000];
    static struct committed_group groups[REPEATS];
    struct node_ask *ask;

    memset(metadata, 'x', sizeof(metadata));
    switch (node->step) {
    case 1:
        ask = node_commit_new(node, "g", "a", -1, 1);
        ask->partitions[0].metadata = str_sub(metadata, sizeof(metadata));
        committed_commit(&ask->commit);
        break;
    case 2:
        ask = node_fetch_new(node, "g", "a");
        ask->topic.partitions_count = 0;
        for (int i = 0; i < REPEATS; i++) {
            groups[i] =
                (struct committed_group){.group_id = STR_LIT("g"), .all = true};
            ask->fetch.groups = groups;
            ask->fetch.groups_count = REPEATS;
        }
        committed_fetch(&ask->fetch);
        break;
    case 3:
        node_say(node, "first %s, last %s, %d topics\n",
                 err_name(groups[0].err), err_name(groups[REPEATS - 1].err),
                 (int)groups[REPEATS - 1].topics_count);
        node_end(node);
        break;
    default:
        break;
    }
}

/* A small request that asks for the same again and again. */
static void an_answer_has_a_bound(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node->options.offset_metadata_bytes = 30000;
    assert_string_equal(node_run(node, repeat_script),
                        "a commits: NONE NONE\n"
                        "a fetches: NONE topic\n"
                        "first NONE, last UNKNOWN_SERVER_ERROR, 0 topics\n");
    node_fini(node);
    mem_free(node);
}

static struct mail look_mail;
static struct node *look_node;
static void (*look_deliver_to)(struct mail *mail);
static sem_t look_over;
static int64_t look_offsets; /* stored, when somebody looked */

static void look_run(struct mail *mail)
{
    look_deliver_to(mail);
    sem_post(&look_over);
}

/* As if the timer had fired; the node's clock was wrong for so long. */
static void look(struct node *node, void (*deliver)(struct mail *mail))
{
    sem_init(&look_over, 0, 0);
    look_node = node;
    look_deliver_to = deliver;
    look_mail.deliver = look_run;
    mail_send(loops_at(node->loops, 0), &look_mail);
    while (sem_wait(&look_over) != 0) {
    }
    node_pause(node, 400);
}

static void look_deliver(struct mail *mail)
{
    struct expiry *expiry = &look_node->coordinator->expiry;

    expiry->timer.fire(&expiry->timer);
}

static void look_ahead_deliver(struct mail *mail)
{
    struct expiry *expiry = &look_node->coordinator->expiry;

    expiry->looked_at_ms -= 2 * 3600000;
    expiry->timer.fire(&expiry->timer);
}

static void look_count_deliver(struct mail *mail)
{
    look_offsets =
        offsets_count(&controller_state(look_node->controller)->offsets);
}

static void commit_for(struct node *node, const char *group, int64_t ms)
{
    struct node_ask *ask = node_commit_new(node, group, "a", -1, 1);

    ask->commit.retention_ms = ms;
    committed_commit(&ask->commit);
}

static void expiry_script(struct node *node)
{
    switch (node->step) {
    case 1:
        commit_for(node, "gone", 0);
        commit_for(node, "later", 100000);
        commit_for(node, "stays", -1);
        break;
    case 2:
        look(node, look_ahead_deliver);
        break;
    case 3:
        look(node, look_count_deliver);
        break;
    case 4:
        node_say(node, "%d offsets\n", (int)look_offsets);
        look(node, look_deliver);
        break;
    case 5:
        look(node, look_count_deliver);
        break;
    case 6:
        node_say(node, "%d offsets\n", (int)look_offsets);
        node_fetch(node, "later", "a");
        break;
    case 7:
        node_fetch(node, "stays", "a");
        break;
    default:
        node_end(node);
    }
}

/* Two hours in no time: that clock is not believed before the second look. */
static void
what_has_expired_is_removed_by_a_clock_that_is_believed(void **state)
{
    node_play(expiry_script, "a commits: NONE NONE\n"
                             "a commits: NONE NONE\n"
                             "a commits: NONE NONE\n"
                             "3 offsets\n"
                             "2 offsets\n"
                             "a fetches: NONE topic 0=1 \"note\" NONE\n"
                             "a fetches: NONE topic 0=1 \"note\" NONE\n");
}

static void limit_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_commit(node, "g", "a", -1, 1);
        break;
    case 2:
        node_commit(node, "h", "a", -1, 1);
        break;
    case 3:
        node_commit(node, "g", "a", -1, 2);
        break;
    default:
        node_end(node);
    }
}

static void groups_that_only_commit_are_counted_too(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node->options.groups = 1;
    assert_string_equal(node_run(node, limit_script),
                        "a commits: NONE NONE\n"
                        "a commits: COORDINATOR_NOT_AVAILABLE NONE\n"
                        "a commits: NONE NONE\n");
    node_fini(node);
    mem_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_without_members_is_anybodys),
        cmocka_unit_test(members_commit_in_their_generation),
        cmocka_unit_test(partitions_fail_one_by_one),
        cmocka_unit_test(many_commits_share_a_command_and_the_last_one_wins),
        cmocka_unit_test(a_batch_has_at_most_256_kib),
        cmocka_unit_test(an_offset_whose_time_is_over_is_not_read),
        cmocka_unit_test(
            what_has_expired_is_removed_by_a_clock_that_is_believed),
        cmocka_unit_test(an_answer_has_a_bound),
        cmocka_unit_test(groups_that_only_commit_are_counted_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
