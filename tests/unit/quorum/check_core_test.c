/* check_core_test.c - what the library must never see. */
#include "quorum/check_core.h"
#include "lib/fixture.h"

static const struct check_self follower = {.id = 1, .term = 5};
static const struct check_self leader = {.id = 1, .term = 5, .leads = true};

static char voters[24] = "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1";

static struct raft_entry entries[2];

static struct raft_message append(void)
{
    entries[0] = (struct raft_entry){.term = 4, .type = RAFT_COMMAND};
    entries[1] = (struct raft_entry){
        .term = 5, .type = RAFT_CHANGE, .buf = {voters, sizeof(voters)}};
    return (struct raft_message){
        .type = RAFT_APPEND_ENTRIES,
        .server_id = 2,
        .append_entries =
            {
                .term = 5,
                .prev_log_index = 10,
                .prev_log_term = 3,
                .leader_commit = 9,
                .entries = entries,
                .n_entries = 2,
            },
    };
}

static void refused(const struct raft_message *m)
{
    assert_int_equal(check_message(&follower, m), ERR_MALFORMED);
}

static void entries_of_a_leader_are_taken(void **state)
{
    struct raft_message m = append();

    assert_int_equal(check_message(&follower, &m), ERR_NONE);
    m.append_entries.prev_log_index = m.append_entries.prev_log_term = 0;
    assert_int_equal(check_message(&follower, &m), ERR_NONE);
    m.append_entries.n_entries = 0;
    assert_int_equal(check_message(&follower, &m), ERR_NONE);
}

static void a_sender_is_another_node(void **state)
{
    struct raft_message m = append();

    m.server_id = 0;
    refused(&m);
    m.server_id = 1;
    refused(&m);
    m.server_id = 1ull << 63;
    refused(&m);
}

static void an_unknown_type_is_refused(void **state)
{
    struct raft_message m = append();

    m.type = (enum raft_message_type)7;
    refused(&m);
    m.type = (enum raft_message_type)0;
    refused(&m);
}

static void terms_of_entries_never_fall(void **state)
{
    struct raft_message m = append();

    entries[0].term = 2; /* below the previous one */
    refused(&m);
    m = append();
    entries[0].term = 5;
    entries[1].term = 4;
    refused(&m);
    m = append();
    entries[1].term = 6; /* above the message's */
    refused(&m);
    m = append();
    m.append_entries.prev_log_term = 6;
    refused(&m);
    m = append();
    m.append_entries.prev_log_term = 0;
    refused(&m);
    m = append();
    m.append_entries.prev_log_index = 0;
    refused(&m);
}

static void terms_and_indexes_fit_into_kafkas_types(void **state)
{
    struct raft_message m = append();

    m.append_entries.term = 1ull << 31;
    refused(&m);
    m.append_entries.term = 0;
    refused(&m);
    m = append();
    m.append_entries.prev_log_index = UINT64_MAX;
    refused(&m);
    m.append_entries.prev_log_index = INT64_MAX - 2;
    refused(&m);
    m = append();
    m.append_entries.leader_commit = UINT64_MAX;
    refused(&m);
}

static void an_entry_has_a_known_type_and_a_readable_membership(void **state)
{
    struct raft_message m = append();

    entries[0].type = (enum raft_entry_type)0;
    refused(&m);
    entries[0].type = (enum raft_entry_type)4;
    refused(&m);
    m = append();
    entries[1].buf.len = 9;
    refused(&m);
}

static void a_second_leader_of_our_term_is_told_apart(void **state)
{
    struct raft_message m = append();

    assert_int_equal(check_message(&leader, &m), ERR_INVALID);
    m.append_entries.term = 6;
    assert_int_equal(check_message(&leader, &m), ERR_NONE);
    m.append_entries.term = 5;
    m.append_entries.prev_log_index = UINT64_MAX;
    assert_int_equal(check_message(&leader, &m), ERR_INVALID);
}

static void a_candidate_asks_for_itself(void **state)
{
    struct raft_message m = {
        .type = RAFT_REQUEST_VOTE,
        .server_id = 2,
        .request_vote = {.term = 6,
                         .candidate_id = 2,
                         .last_log_index = 3,
                         .last_log_term = 2},
    };

    assert_int_equal(check_message(&follower, &m), ERR_NONE);
    m.request_vote.candidate_id = 3;
    refused(&m);
    m.request_vote.candidate_id = 2;
    m.request_vote.last_log_term = 7;
    refused(&m);
    m.request_vote.last_log_term = 0;
    refused(&m);
    m.request_vote.last_log_term = 2;
    m.request_vote.term = 1ull << 31;
    refused(&m);
}

static void answers_are_of_a_term(void **state)
{
    struct raft_message m = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .server_id = 2,
        .append_entries_result = {.term = 5, .last_log_index = 7}};

    assert_int_equal(check_message(&leader, &m), ERR_NONE);
    m.append_entries_result.last_log_index = UINT64_MAX;
    refused(&m);
    m.append_entries_result.last_log_index = 7;
    m.append_entries_result.term = 0;
    refused(&m);

    m = (struct raft_message){.type = RAFT_REQUEST_VOTE_RESULT,
                              .server_id = 2,
                              .request_vote_result = {.term = 5}};
    assert_int_equal(check_message(&follower, &m), ERR_NONE);
    m.request_vote_result.term = 1ull << 40;
    refused(&m);

    m = (struct raft_message){
        .type = RAFT_TIMEOUT_NOW, .server_id = 2, .timeout_now = {.term = 5}};
    assert_int_equal(check_message(&follower, &m), ERR_NONE);
    m.timeout_now.term = 0;
    refused(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_a_leader_are_taken),
        cmocka_unit_test(a_sender_is_another_node),
        cmocka_unit_test(an_unknown_type_is_refused),
        cmocka_unit_test(terms_of_entries_never_fall),
        cmocka_unit_test(terms_and_indexes_fit_into_kafkas_types),
        cmocka_unit_test(an_entry_has_a_known_type_and_a_readable_membership),
        cmocka_unit_test(a_second_leader_of_our_term_is_told_apart),
        cmocka_unit_test(a_candidate_asks_for_itself),
        cmocka_unit_test(answers_are_of_a_term),
    };

    return cmocka_run_group_tests_name("quorum/check_core", tests, NULL, NULL);
}
