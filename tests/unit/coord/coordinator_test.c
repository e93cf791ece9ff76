/* The groups of a node that starts, stops, and is asked from another loop. */
#include "unit/coord/node.h"

static void restart_first_life(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 3:
        node_commit(node, "g", "a", 1, 42);
        break;
    default:
        node_end(node);
    }
}

static void restart_second_life(struct node *node)
{
    switch (node->step) {
    case 1:
        node_beat(node, "g", "a", 1);
        break;
    case 2:
        node_sync(node, "g", "a", 1, STR_NULL, false);
        break;
    case 3:
        node_fetch(node, "g", "a");
        break;
    case 4:
        node_leave(node, "g", "a");
        break;
    default:
        node_end(node);
    }
}

static void restart_third_life(struct node *node)
{
    switch (node->step) {
    case 1:
        node_beat(node, "g", "a", 1);
        break;
    case 2:
        node_member(node, "a")[0] = '\0';
        node_join(node, "g", "a", 10000, false);
        break;
    default:
        node_end(node);
    }
}

/* What a rebalance came to is stored; heartbeats are not. */
static void a_stable_member_goes_on_after_a_restart(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    assert_string_equal(node_run(node, restart_first_life),
                        "a joins: NONE generation 1, 1 members\n"
                        "a syncs: NONE \"all\"\n"
                        "a commits: NONE NONE\n");
    assert_string_equal(node_run(node, restart_second_life),
                        "a beats: NONE\n"
                        "a syncs: NONE \"all\"\n"
                        "a fetches: NONE topic 0=42 \"note\" NONE\n"
                        "a leaves: NONE NONE\n");
    assert_int_equal(node->index_end - node->index_begin, 1);
    assert_string_equal(node_run(node, restart_third_life),
                        "a beats: UNKNOWN_MEMBER_ID\n"
                        "a joins: NONE generation 3, 1 members\n");
    node_fini(node);
    mem_free(node);
}

static void memory_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        node_join(node, "h", "b", 10000, false);
        break;
    case 2:
        node_leave(node, "g", "a");
        node_leave(node, "h", "b");
        break;
    case 3:
        node_pause(node, 50);
        break;
    case 4:
        node_join(node, "i", "c", 10000, false);
        break;
    default:
        node_end(node);
    }
}

static void groups_without_members_are_not_kept_in_memory(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node_run(node, memory_script);
    assert_int_equal(node->hosted_end, 1); /* the last one joined "i" */
    node_fini(node);
    mem_free(node);
}

static void session_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 100, false);
        break;
    case 2:
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 3:
        node_pause(node, 60);
        break;
    case 4:
        node_beat(node, "g", "a", 1);
        break;
    case 5:
        node_pause(node, 60);
        break;
    case 6:
        node_beat(node, "g", "a", 1);
        break;
    case 7:
        node_pause(node, 200);
        break;
    case 8:
        node_beat(node, "g", "a", 1);
        break;
    default:
        node_end(node);
    }
}

/* One timer for all groups, set for the first deadline. */
static void a_session_ends_in_time_and_not_before(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    assert_string_equal(node_run(node, session_script),
                        "a joins: NONE generation 1, 1 members\n"
                        "a syncs: NONE \"all\"\n"
                        "a beats: NONE\n"
                        "a beats: NONE\n"
                        "a beats: UNKNOWN_MEMBER_ID\n");
    assert_int_equal(node->hosted_end, 0);
    node_fini(node);
    mem_free(node);
}

static struct node_ask *parked;

static void gone_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        parked = node_join(node, "g", "b", 10000, true);
        node_pause(node, 20);
        break;
    case 3:
        coordinator_gone(&parked->join.ask);
        node_pause(node, 20);
        break;
    case 4:
        node_beat(node, "g", "a", 1);
        break;
    case 5:
        node_join(node, "g", "a", 10000, false);
        break;
    default:
        node_end(node);
    }
}

/* The member stays, as its client may come again; its request does not. */
static void a_request_is_given_back_when_its_connection_goes(void **state)
{
    node_play(gone_script, "a joins: NONE generation 1, 1 members\n"
                           "b joins: REBALANCE_IN_PROGRESS\n"
                           "a beats: REBALANCE_IN_PROGRESS\n"
                           "a joins: NONE generation 2, 2 members\n");
}

static struct mail stop_mail;
static struct node *stop_node;

static void stop_deliver(struct mail *mail)
{
    coordinator_stop(stop_node->coordinator);
    coordinator_stop(stop_node->coordinator);
}

static void stop_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        node_join(node, "g", "b", 10000, false);
        stop_node = node;
        stop_mail.deliver = stop_deliver;
        mail_send(loops_at(node->loops, 0), &stop_mail);
        break;
    case 3:
        node_beat(node, "g", "a", 1);
        break;
    case 4:
        node_join(node, "g", "c", 10000, false);
        break;
    case 5:
        node_commit(node, "g", "a", 1, 1);
        break;
    case 6:
        node_fetch(node, "g", "a");
        break;
    default:
        node_end(node);
    }
}

static void a_stop_answers_what_is_parked_and_what_still_comes(void **state)
{
    node_play(stop_script,
              "a joins: NONE generation 1, 1 members\n"
              "b joins: COORDINATOR_NOT_AVAILABLE\n"
              "a beats: COORDINATOR_NOT_AVAILABLE\n"
              "c joins: COORDINATOR_NOT_AVAILABLE\n"
              "a commits: COORDINATOR_NOT_AVAILABLE NONE\n"
              "a fetches: COORDINATOR_NOT_AVAILABLE topic 0=0 \"\" "
              "NONE\n");
}

static void limits_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        node_join(node, "h", "b", 10000, false);
        break;
    case 3:
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 4:
        node_leave(node, "g", "a");
        break;
    case 5:
        node_pause(node, 1100);
        break;
    case 6:
        node_join(node, "h", "b", 10000, false);
        break;
    case 7:
        node_pause(node, 50);
        break;
    case 8:
        node_join(node, "h", "b", 10000, false);
        break;
    default:
        node_end(node);
    }
}

/* "g" holds nothing when its member is gone: it goes for "h". */
static void at_the_limit_an_empty_group_makes_room_for_a_new_one(void **state)
{
    struct node *node = MEM_NEW(struct node);

    node_init(node);
    node->options.groups = 1;
    assert_string_equal(node_run(node, limits_script),
                        "a joins: NONE generation 1, 1 members\n"
                        "b joins: COORDINATOR_NOT_AVAILABLE\n"
                        "a syncs: NONE \"all\"\n"
                        "a leaves: NONE NONE\n"
                        "b joins: COORDINATOR_NOT_AVAILABLE\n"
                        "b joins: NONE generation 1, 1 members\n");
    node_fini(node);
    mem_free(node);
}

static void large_script(struct node *node)
{
    static char large[CONTROLLER_COMMAND_BYTES];

    memset(large, 'x', sizeof(large));
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        node_sync(node, "g", "a", 1, str_sub(large, sizeof(large)), false);
        break;
    case 3:
        node_beat(node, "g", "a", 1);
        break;
    default:
        node_end(node);
    }
}

static void
an_assignment_that_is_too_large_for_a_command_is_refused(void **state)
{
    node_play(large_script, "a joins: NONE generation 1, 1 members\n"
                            "a syncs: GROUP_MAX_SIZE_REACHED \"\"\n"
                            "a beats: UNKNOWN_MEMBER_ID\n");
}

static int64_t room_bytes;

static void room_deliver(struct mail *mail)
{
    stop_node->coordinator->bytes += (uint64_t)room_bytes;
}

/* As if so many bytes more were in other groups. */
static void room_take(struct node *node, int64_t bytes)
{
    room_bytes = bytes;
    stop_node = node;
    stop_mail.deliver = room_deliver;
    mail_send(loops_at(node->loops, 0), &stop_mail);
}

static void room_script(struct node *node)
{
    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        room_take(node, COORDINATOR_BYTES_MAX);
        node_join(node, "h", "b", 10000, false);
        break;
    case 3:
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 4:
        room_take(node, -COORDINATOR_BYTES_MAX);
        node_sync(node, "g", "a", 1, STR_LIT("all"), false);
        break;
    case 5:
        node_join(node, "h", "b", 10000, false);
        break;
    default:
        node_end(node);
    }
}

/* Both are told to try again. */
static void all_groups_together_have_a_bound_of_bytes(void **state)
{
    node_play(room_script, "a joins: NONE generation 1, 1 members\n"
                           "b joins: COORDINATOR_NOT_AVAILABLE\n"
                           "a syncs: COORDINATOR_NOT_AVAILABLE \"\"\n"
                           "a syncs: NONE \"all\"\n"
                           "b joins: NONE generation 1, 1 members\n");
}

static void slot_moved(struct controller_change *change)
{
    must(change->err == ERR_NONE);
    controller_change_end(change);
    if (--stop_node->open == 0) {
        node_next(stop_node);
    }
}

static void other_script(struct node *node)
{
    static struct command_set_coordinators_slot slot = {.broker_id = 7,
                                                        .epoch = 9};

    switch (node->step) {
    case 1:
        node_join(node, "g", "a", 10000, false);
        break;
    case 2:
        slot.slot = coordinator_slot(STR_LIT("g"));
        stop_node = node;
        node->open++;
        node->change = (struct controller_change){
            .controller = node->controller,
            .done = slot_moved,
            .command = {
                .type = COMMAND_SET_COORDINATORS,
                .set_coordinators = {.slots = &slot, .slots_count = 1}}};
        controller_change(&node->change);
        break;
    case 3:
        node_beat(node, "g", "a", 1);
        break;
    case 4:
        node_join(node, "g", "b", 10000, false);
        break;
    case 5:
        node_commit(node, "g", "a", 1, 1);
        break;
    case 6:
        node_leave(node, "g", "a");
        break;
    case 7:
        node_beat(node, "", "a", 1);
        break;
    default:
        node_end(node);
    }
}

static void
groups_of_another_coordinator_and_of_no_name_are_refused(void **state)
{
    node_play(other_script, "a joins: NONE generation 1, 1 members\n"
                            "a beats: NOT_COORDINATOR\n"
                            "b joins: NOT_COORDINATOR\n"
                            "a commits: NOT_COORDINATOR NONE\n"
                            "a leaves: NOT_COORDINATOR UNKNOWN_MEMBER_ID\n"
                            "a beats: INVALID_GROUP_ID\n");
}

static void clients_hear_kafkas_errors_for_ours(void **state)
{
    static const struct {
        enum err err;
        enum err said;
    } cases[] = {
        {ERR_NONE, ERR_NONE},
        {ERR_NOT_CONTROLLER, ERR_NOT_COORDINATOR},
        {ERR_NOT_COORDINATOR, ERR_NOT_COORDINATOR},
        {ERR_TOO_LARGE, ERR_UNKNOWN_SERVER_ERROR},
        {ERR_FULL, ERR_COORDINATOR_NOT_AVAILABLE},
        {ERR_BUSY, ERR_COORDINATOR_NOT_AVAILABLE},
        {ERR_STOPPING, ERR_COORDINATOR_NOT_AVAILABLE},
        {ERR_UNKNOWN_OUTCOME, ERR_COORDINATOR_NOT_AVAILABLE},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(coordinator_change_err(cases[i].err), cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stable_member_goes_on_after_a_restart),
        cmocka_unit_test(groups_without_members_are_not_kept_in_memory),
        cmocka_unit_test(a_session_ends_in_time_and_not_before),
        cmocka_unit_test(a_request_is_given_back_when_its_connection_goes),
        cmocka_unit_test(a_stop_answers_what_is_parked_and_what_still_comes),
        cmocka_unit_test(at_the_limit_an_empty_group_makes_room_for_a_new_one),
        cmocka_unit_test(
            an_assignment_that_is_too_large_for_a_command_is_refused),
        cmocka_unit_test(all_groups_together_have_a_bound_of_bytes),
        cmocka_unit_test(
            groups_of_another_coordinator_and_of_no_name_are_refused),
        cmocka_unit_test(clients_hear_kafkas_errors_for_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
