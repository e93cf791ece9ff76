/* A group as large as the limits allow: it joins, is stored, and is there after
 * a restart; one that would be larger is refused, member by member. */
#include "unit/coord/node.h"

enum {
    CROWD_MEMBERS = 5000, /* the default of coordinator.group_members */
    CROWD_TEXT_BYTES = 500,
    LARGE_MEMBERS = 150,
    LARGE_TEXT_BYTES = 65536,
    NAME_BYTES_MAX = 32767, /* of a string of the protocol */
    PROTOCOLS_MAX = 64,
};

struct crowd_member {
    struct crowd *crowd;
    char id[300]; /* empty: none */
    struct coordinator_join join;
    struct coordinator_sync sync;
    struct coordinator_heartbeat beat;
};

/* Members that all do the same, step by step. What they say is what all say. */
struct crowd {
    struct node node;
    struct arena arena;
    struct crowd_member *members;
    uint32_t count;
    struct str group_id;
    struct str client_id;
    struct str client_host;
    struct str instance_id;
    struct str protocol_type;
    const struct group_protocol *says;
    int32_t says_count;
    struct group_protocol *given;
    struct str owns; /* what each is given */
    uint32_t full;   /* refused: the group is full */
    uint32_t joined;
    uint32_t listed; /* members that the leader was told of */
    uint32_t owning; /* assignments that came as they were given */
    uint32_t alive;
};

static struct crowd *crowd_new(uint32_t count, uint32_t text_bytes,
                               uint32_t owns_bytes)
{
    struct crowd *crowd = MEM_NEW(struct crowd);
    struct group_protocol *says =
        ARENA_NEW(&crowd->arena, struct group_protocol);
    char *text = arena_alloc(&crowd->arena, text_bytes);

    memset(text, 's', text_bytes);
    node_init(&crowd->node);
    crowd->node.options.initial_delay_ms = 1000;
    crowd->node.options.group_members = CROWD_MEMBERS;
    crowd->count = count;
    crowd->members = arena_array(&crowd->arena, count, sizeof(*crowd->members));
    crowd->given = arena_array(&crowd->arena, count, sizeof(*crowd->given));
    says->name = STR_LIT("range");
    says->metadata = str_sub(text, text_bytes);
    crowd->says = says;
    crowd->says_count = 1;
    crowd->group_id = STR_LIT("crowd");
    crowd->client_id = STR_LIT("a-client-with-a-name");
    crowd->client_host = STR_LIT("/192.168.100.100");
    crowd->protocol_type = STR_LIT("consumer");
    crowd->owns = str_sub(text, owns_bytes);
    for (uint32_t i = 0; i < count; i++) {
        crowd->members[i].crowd = crowd;
    }
    return crowd;
}

static void crowd_free(struct crowd *crowd)
{
    node_fini(&crowd->node);
    arena_reset(&crowd->arena);
    mem_free(crowd);
}

static void crowd_answered(struct crowd *crowd)
{
    if (--crowd->node.open == 0) {
        node_next(&crowd->node);
    }
}

static struct coordinator_ask
crowd_ask(struct crowd *crowd, void (*done)(struct coordinator_ask *ask))
{
    crowd->node.open++;
    return (struct coordinator_ask){.coordinator = crowd->node.coordinator,
                                    .arena = &crowd->arena,
                                    .group_id = crowd->group_id,
                                    .done = done};
}

static void crowd_joined(struct coordinator_ask *ask)
{
    struct crowd_member *member =
        container_of(ask, struct crowd_member, join.ask);
    struct crowd *crowd = member->crowd;

    if (ask->err == ERR_NONE) {
        crowd->joined++;
        crowd->listed += (uint32_t)member->join.members_count;
        must(member->join.generation == 1);
        str_copy(member->join.member_id, member->id, sizeof(member->id));
    } else {
        must(ask->err == ERR_GROUP_MAX_SIZE_REACHED);
        crowd->full++;
    }
    crowd_answered(crowd);
}

static void crowd_join(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct crowd_member *member = &crowd->members[i];

        member->join.ask = crowd_ask(crowd, crowd_joined);
        member->join.in =
            (struct group_join){.member_id = str_of(member->id),
                                .instance_id = crowd->instance_id,
                                .client_id = crowd->client_id,
                                .client_host = crowd->client_host,
                                .protocol_type = crowd->protocol_type,
                                .protocols = crowd->says,
                                .protocols_count = crowd->says_count,
                                .session_timeout_ms = 300000,
                                .rebalance_timeout_ms = 300000};
        coordinator_join(&member->join);
    }
}

static void crowd_synced(struct coordinator_ask *ask)
{
    struct crowd_member *member =
        container_of(ask, struct crowd_member, sync.ask);
    struct crowd *crowd = member->crowd;

    crowd->owning +=
        ask->err == ERR_NONE && str_eq(member->sync.assignment, crowd->owns)
            ? 1
            : 0;
    crowd_answered(crowd);
}

/* Also the leader, the first, while assign is set. */
static void crowd_sync(struct crowd *crowd, bool assign)
{
    uint32_t given = 0;

    for (uint32_t i = 0; i < crowd->count; i++) {
        crowd->given[given] =
            (struct group_protocol){str_of(crowd->members[i].id), crowd->owns};
        given += crowd->members[i].id[0] == '\0' ? 0 : 1;
    }
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct crowd_member *member = &crowd->members[i];

        if (member->id[0] == '\0') {
            continue;
        }
        member->sync.ask = crowd_ask(crowd, crowd_synced);
        member->sync.in = (struct group_sync){.member_id = str_of(member->id),
                                              .generation = 1,
                                              .assignments = crowd->given,
                                              .assignments_count =
                                                  assign ? (int32_t)given : 0};
        coordinator_sync(&member->sync);
    }
}

static void crowd_beaten(struct coordinator_ask *ask)
{
    struct crowd *crowd =
        container_of(ask, struct crowd_member, beat.ask)->crowd;

    crowd->alive += ask->err == ERR_NONE ? 1 : 0;
    crowd_answered(crowd);
}

static void crowd_beat(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct crowd_member *member = &crowd->members[i];

        if (member->id[0] != '\0') {
            member->beat.ask = crowd_ask(crowd, crowd_beaten);
            member->beat.in = (struct group_caller){
                .member_id = str_of(member->id), .generation = 1};
            coordinator_heartbeat(&member->beat);
        }
    }
}

static void crowd_first_life(struct node *node)
{
    struct crowd *crowd = container_of(node, struct crowd, node);

    switch (node->step) {
    case 1:
        crowd_join(crowd);
        break;
    case 2:
        crowd_sync(crowd, true);
        break;
    default:
        node_end(node);
    }
}

static void crowd_second_life(struct node *node)
{
    struct crowd *crowd = container_of(node, struct crowd, node);

    switch (node->step) {
    case 1:
        crowd_beat(crowd);
        break;
    case 2:
        crowd_sync(crowd, false);
        break;
    default:
        node_end(node);
    }
}

/* Plays both lives; what has to be true of any crowd. */
static void crowd_run(struct crowd *crowd)
{
    node_run(&crowd->node, crowd_first_life);
    assert_int_equal(crowd->joined + crowd->full, crowd->count);
    assert_int_equal(crowd->listed, crowd->joined);
    assert_int_equal(crowd->owning, crowd->joined);
    crowd->owning = 0;
    node_run(&crowd->node, crowd_second_life);
    assert_int_equal(crowd->alive, crowd->joined);
    assert_int_equal(crowd->owning, crowd->joined);
}

/* With as many bytes for each as a consumer of some topics has. */
static void five_thousand_members_join_and_outlive_a_restart(void **state)
{
    struct crowd *crowd =
        crowd_new(CROWD_MEMBERS, CROWD_TEXT_BYTES, CROWD_TEXT_BYTES);

    crowd_run(crowd);
    assert_int_equal(crowd->joined, CROWD_MEMBERS);
    crowd_free(crowd);
}

/* 9.4 MiB want to join: 8 MiB do, and can be stored. */
static void whom_the_stored_group_has_no_bytes_for_is_refused(void **state)
{
    struct crowd *crowd = crowd_new(LARGE_MEMBERS, LARGE_TEXT_BYTES, 1);

    crowd_run(crowd);
    assert_int_equal(crowd->joined,
                     (CONTROLLER_COMMAND_BYTES - HOSTED_STORED_HEAD_BYTES) /
                         (LARGE_TEXT_BYTES + 150));
    crowd_free(crowd);
}

static struct group_protocol *crowd_protocols(struct crowd *crowd,
                                              int32_t count, struct str each)
{
    struct group_protocol *list =
        arena_array(&crowd->arena, (size_t)count, sizeof(*list));

    for (int32_t i = 0; i < count; i++) {
        list[i] = (struct group_protocol){
            arena_printf(&crowd->arena, "way-%d", (int)i), each};
    }
    return list;
}

static void the_longest_names_and_the_most_protocols_are_stored(void **state)
{
    struct crowd *crowd = crowd_new(1, NAME_BYTES_MAX, 1);
    struct str name = crowd->owns;

    name.len = NAME_BYTES_MAX;
    crowd->group_id = name;
    crowd->client_id = name;
    crowd->instance_id = name;
    crowd->protocol_type = name;
    crowd->says = crowd_protocols(crowd, PROTOCOLS_MAX, name);
    crowd->says_count = PROTOCOLS_MAX;
    crowd_run(crowd);
    assert_int_equal(crowd->joined, 1);
    crowd_free(crowd);
}

static void alone_script(struct node *node)
{
    struct crowd *crowd = container_of(node, struct crowd, node);

    if (node->step == 1) {
        crowd_join(crowd);
    } else {
        node_end(node);
    }
}

/* One will be stored, all are in memory until then. */
static void what_a_member_says_in_all_protocols_has_a_bound(void **state)
{
    struct crowd *crowd = crowd_new(1, 6 << 20, 1);

    crowd->says = crowd_protocols(crowd, 3, crowd->says[0].metadata);
    crowd->says_count = 3;
    node_run(&crowd->node, alone_script);
    assert_int_equal(crowd->full, 1);
    crowd->says_count = 2;
    node_run(&crowd->node, alone_script);
    assert_int_equal(crowd->joined, 1);
    crowd_free(crowd);
}

static void again_script(struct node *node)
{
    struct crowd *crowd = container_of(node, struct crowd, node);

    switch (node->step) {
    case 1:
    case 2:
        crowd_join(crowd);
        break;
    case 3:
        crowd_sync(crowd, true);
        break;
    case 4:
        crowd->members[0].id[0] = '\0'; /* started anew */
        crowd_join(crowd);
        break;
    default:
        node_end(node);
    }
}

/* 15 of 16 MiB are said; with what is assigned it is more than 16. */
static void who_joins_again_has_the_room_of_what_it_said(void **state)
{
    struct crowd *crowd = crowd_new(1, 5 << 20, 5 << 19);

    crowd->instance_id = STR_LIT("instance");
    crowd->says = crowd_protocols(crowd, 3, crowd->says[0].metadata);
    crowd->says_count = 3;
    node_run(&crowd->node, again_script);
    assert_int_equal(crowd->full, 0);
    assert_int_equal(crowd->joined, 3);
    assert_int_equal(crowd->owning, 1);
    crowd_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_thousand_members_join_and_outlive_a_restart),
        cmocka_unit_test(whom_the_stored_group_has_no_bytes_for_is_refused),
        cmocka_unit_test(the_longest_names_and_the_most_protocols_are_stored),
        cmocka_unit_test(what_a_member_says_in_all_protocols_has_a_bound),
        cmocka_unit_test(who_joins_again_has_the_room_of_what_it_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
