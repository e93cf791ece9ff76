/* guards_test.c - one of three voters, by script: the test plays the others.
 *
 * Each guard of core/quorum/README.md has a script here that fails without it.
 */
#include "unit/quorum/one_node.h"
#include "quorum/quorum_private.h"

static int setup(void **state)
{
    *state = one_make(3);
    return 0;
}

static int teardown(void **state)
{
    one_free(*state);
    return 0;
}

/* What the test says. */

struct letter {
    struct one_node *node;
    uint64_t from;
    struct str frame;
};

static void letter_run(void *arg)
{
    struct letter *letter = arg;

    quorum_receive(letter->node->quorum, letter->from, letter->frame);
}

static void tell(struct one_node *n, uint64_t from,
                 const struct raft_message *message)
{
    struct letter letter = {.node = n, .from = from};

    assert_int_equal(transport_encode(message, &n->arena, &letter.frame),
                     ERR_NONE);
    simenv_run(n->sim, letter_run, &letter);
}

struct append {
    uint64_t from;
    uint64_t term;
    uint64_t prev_index;
    uint64_t prev_term;
    uint64_t commit;
    struct raft_entry *entries;
    unsigned count;
};

static void tell_append(struct one_node *n, struct append append)
{
    struct raft_message m = {
        .type = RAFT_APPEND_ENTRIES,
        .append_entries =
            {
                .version = 0,
                .term = append.term,
                .prev_log_index = append.prev_index,
                .prev_log_term = append.prev_term,
                .leader_commit = append.commit,
                .entries = append.entries,
                .n_entries = append.count,
            },
    };

    tell(n, append.from, &m);
}

static void tell_appended(struct one_node *n, uint64_t from, uint64_t term,
                          uint64_t rejected, uint64_t last)
{
    struct raft_message m = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 2,
                                  .term = term,
                                  .rejected = rejected,
                                  .last_log_index = last},
    };

    tell(n, from, &m);
}

static void tell_vote(struct one_node *n, uint64_t from, uint64_t term,
                      bool pre_vote)
{
    struct raft_message m = {
        .type = RAFT_REQUEST_VOTE_RESULT,
        .request_vote_result = {.version = 2,
                                .term = term,
                                .vote_granted = true,
                                .pre_vote = pre_vote},
    };

    tell(n, from, &m);
}

static void ask_vote(struct one_node *n, uint64_t from, uint64_t term,
                     bool pre_vote)
{
    struct raft_message m = {
        .type = RAFT_REQUEST_VOTE,
        .request_vote = {.version = 2,
                         .term = term,
                         .candidate_id = from,
                         .last_log_index = 1,
                         .last_log_term = 1,
                         .pre_vote = pre_vote},
    };

    tell(n, from, &m);
}

/* What the node says. */

/* The last message of a type that was sent since the mark; NULL: none. */
static const struct raft_message *said(struct one_node *n, uint32_t mark,
                                       enum raft_message_type type)
{
    for (uint32_t i = n->sent_count; i > mark; i--) {
        if (n->sent[i - 1].type == type) {
            return &n->sent[i - 1];
        }
    }
    return NULL;
}

static struct one_node *opened(void **state)
{
    struct one_node *n = *state;

    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    return n;
}

static const struct raft_append_entries_result *answer(struct one_node *n,
                                                       uint32_t mark)
{
    const struct raft_message *m = said(n, mark, RAFT_APPEND_ENTRIES_RESULT);

    assert_non_null(m);
    return &m->append_entries_result;
}

/* Node 2 grants what is asked until node 1 leads; gives the term. */
static uint64_t elect(struct one_node *n)
{
    uint32_t mark = n->sent_count;
    const struct raft_message *m = NULL;
    uint64_t term;

    for (int i = 0; i < 100 && m == NULL; i++) {
        simclock_run_for_ms(&n->clock, 50);
        m = said(n, mark, RAFT_REQUEST_VOTE);
    }
    assert_non_null(m);
    assert_true(m->request_vote.pre_vote);
    term = m->request_vote.term;
    mark = n->sent_count;
    tell_vote(n, 2, term, true);
    m = said(n, mark, RAFT_REQUEST_VOTE);
    assert_non_null(m);
    assert_false(m->request_vote.pre_vote);
    term = m->request_vote.term;
    mark = n->sent_count;
    tell_vote(n, 2, term, false);
    one_settle(n);
    assert_non_null(said(n, mark, RAFT_APPEND_ENTRIES));
    return term;
}

static struct raft_entry command(uint64_t term, uint32_t *number)
{
    return (struct raft_entry){
        .term = term, .type = RAFT_COMMAND, .buf = {number, sizeof(*number)}};
}

static void three_voters_start_alike_and_wait_for_votes(void **state)
{
    struct one_node *n = opened(state);
    const struct raft_message *m;

    assert_int_equal(quorum_term(n->quorum), 1);
    assert_int_equal(quorum_last(n->quorum), 1);
    simclock_run_for_ms(&n->clock, 3000);
    m = said(n, 0, RAFT_REQUEST_VOTE);
    assert_non_null(m);
    assert_int_equal(m->request_vote.last_log_index, 1);
    assert_int_equal(m->request_vote.last_log_term, 1);
    assert_int_equal(quorum_term(n->quorum), 1); /* only asked beforehand */
    assert_int_equal(n->lead_count, 0);
}

static void g3_it_leads_when_an_entry_of_its_term_is_applied(void **state)
{
    struct one_node *n = opened(state);
    uint64_t term = elect(n);
    struct one_ask ask;

    assert_int_equal(n->lead_count, 0);
    assert_false(quorum_is_leader(n->quorum));
    assert_int_equal(quorum_last(n->quorum), 2); /* the barrier */
    one_propose(n, &ask, 7);
    one_settle(n);
    assert_int_equal(quorum_last(n->quorum), 3);
    tell_appended(n, 2, term, 0, 2);
    one_settle(n);
    assert_int_equal(n->lead_count, 1);
    assert_int_equal(n->lead_term, term);
    assert_false(ask.is_done);
    tell_appended(n, 3, term, 0, 3);
    one_settle(n);
    assert_true(ask.is_done && ask.err == ERR_NONE);
    assert_int_equal(ask.index, 3);
}

static void a_read_waits_for_the_word_of_a_majority(void **state)
{
    struct one_node *n = opened(state);
    uint64_t term = elect(n);
    struct one_ask ask;

    tell_appended(n, 2, term, 0, 2);
    one_settle(n);
    one_read(n, &ask);
    one_settle(n);
    assert_false(ask.is_done);
    tell_appended(n, 2, term, 0, 3);
    one_settle(n);
    assert_true(ask.is_done && ask.err == ERR_NONE);
}

static void what_is_open_when_the_lead_is_lost_is_unknown(void **state)
{
    struct one_node *n = opened(state);
    uint64_t term = elect(n);
    struct one_ask sent;
    struct one_ask queued;

    tell_appended(n, 2, term, 0, 2);
    one_settle(n);
    one_propose(n, &sent, 1);
    one_propose(n, &queued, 2); /* the write of the first is out */
    tell_append(n, (struct append){.from = 3,
                                   .term = term + 1,
                                   .prev_index = 2,
                                   .prev_term = term});
    one_settle(n);
    assert_int_equal(sent.err, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(queued.err, ERR_NOT_CONTROLLER);
    assert_int_equal(n->lead_term, 0);
    assert_int_equal(n->leader, 3);
    assert_int_equal(quorum_leader(n->quorum), 3);
}

/* Figure 8 of the Raft paper: an entry of an old term that is on a majority is
 * not agreed on by that; another leader may still replace it. */
static void
figure_8_no_entry_of_an_old_term_is_committed_by_counting(void **state)
{
    struct one_node *n = opened(state);
    uint32_t number = 7;
    struct raft_entry entry = command(2, &number);
    uint64_t term;

    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = &entry,
                                   .count = 1});
    one_settle(n);
    term = elect(n);
    assert_true(term > 2);
    assert_int_equal(quorum_last(n->quorum), 3);
    tell_appended(n, 2, term, 0, 2); /* the old entry is on two of three */
    one_settle(n);
    assert_int_equal(n->apply_count, 0);
    tell_appended(n, 3, term, 0, 2); /* and on all */
    one_settle(n);
    assert_int_equal(n->apply_count, 0);
    tell_appended(n, 2, term, 0, 3);
    one_settle(n);
    assert_int_equal(n->apply_count, 1);
    assert_int_equal(n->index_of[7], 2);
}

static void g1_an_old_leader_is_answered_with_our_term(void **state)
{
    struct one_node *n = opened(state);
    uint32_t mark;

    tell_append(n, (struct append){
                       .from = 2, .term = 5, .prev_index = 1, .prev_term = 1});
    one_settle(n);
    mark = n->sent_count;
    tell_append(n, (struct append){
                       .from = 3, .term = 4, .prev_index = 1, .prev_term = 1});
    assert_int_equal(answer(n, mark)->term, 5);
    assert_int_equal(answer(n, mark)->rejected, INT64_MAX);
    assert_int_equal(answer(n, mark)->last_log_index, 0);
}

static void g12_an_old_candidate_is_answered_with_our_term(void **state)
{
    struct one_node *n = opened(state);
    const struct raft_message *m;
    uint32_t mark;

    tell_append(n, (struct append){
                       .from = 2, .term = 5, .prev_index = 1, .prev_term = 1});
    one_settle(n);
    mark = n->sent_count;
    ask_vote(n, 3, 4, true);
    m = said(n, mark, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(m);
    assert_int_equal(m->request_vote_result.term, 5);
    assert_false(m->request_vote_result.vote_granted);
    assert_true(m->request_vote_result.pre_vote);
}

static void g5_a_late_refusal_is_dropped(void **state)
{
    struct one_node *n = opened(state);
    uint64_t term = elect(n);
    struct one_ask ask;
    raft_index match = 0;
    uint32_t mark;

    tell_appended(n, 2, term, 0, 2);
    one_settle(n);
    one_propose(n, &ask, 1);
    one_settle(n);
    tell_appended(n, 2, term, 0, 3);
    one_settle(n);
    assert_int_equal(raft_match_index(&n->quorum->raft, 2, &match), 0);
    assert_int_equal(match, 3);
    tell_appended(n, 2, term, 4, 3); /* lost one: it is asked where it is */
    mark = n->sent_count;
    tell_appended(n, 2, term, 3, 0); /* from before it had anything */
    one_settle(n);
    for (uint32_t i = mark; i < n->sent_count; i++) {
        assert_true(n->sent_to[i] != 2 ||
                    n->sent[i].append_entries.prev_log_index >= 3);
    }
}

static void votes_that_nobody_asked_for_are_dropped(void **state)
{
    struct one_node *n = opened(state);

    tell_vote(n, 2, 1, false);
    tell_vote(n, 3, 9, true);
    tell_appended(n, 3, 1, 0, 9);
    one_settle(n);
    assert_int_equal(quorum_term(n->quorum), 1);
    assert_int_equal(n->lead_count, 0);
}

static void a_second_leader_of_our_term_is_not_heard(void **state)
{
    struct one_node *n = opened(state);
    uint64_t term = elect(n);
    uint32_t number = 7;
    struct raft_entry entry = command(term, &number);

    trace_level_set(TRACE_ERROR);
    tell_append(n, (struct append){.from = 3,
                                   .term = term,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = &entry,
                                   .count = 1});
    one_settle(n);
    assert_false(n->has_failed);
    assert_int_equal(quorum_last(n->quorum), 2);
}

/* The voters that the others agree on. */
static struct raft_buffer members(const uint64_t *ids, unsigned count)
{
    struct raft_configuration c;
    struct raft_buffer buffer;

    raft_configuration_init(&c);
    for (unsigned i = 0; i < count; i++) {
        char address[20];

        snprintf(address, sizeof(address), "node%u:9093", (unsigned)ids[i]);
        assert_int_equal(
            raft_configuration_add(&c, ids[i], address, RAFT_VOTER), 0);
    }
    assert_int_equal(raft_configuration_encode(&c, &buffer), 0);
    raft_configuration_close(&c);
    return buffer;
}

/* A membership behind other entries, and another one behind it: each is filed
 * under its own index. The library alone would file the first under 2. */
static void g4_memberships_are_filed_under_their_own_index(void **state)
{
    static const uint64_t four[] = {1, 2, 3, 4};
    static const uint64_t three[] = {1, 2, 3};
    struct one_node *n = opened(state);
    struct raft_buffer more = members(four, 4);
    struct raft_buffer less = members(three, 3);
    uint32_t numbers[] = {5, 6};
    struct raft_entry entries[] = {
        command(2, &numbers[0]),
        {.term = 2, .type = RAFT_CHANGE, .buf = more},
        command(2, &numbers[1]),
        {.term = 2, .type = RAFT_CHANGE, .buf = less},
    };

    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = entries,
                                   .count = 2});
    assert_int_equal(n->quorum->raft.configuration_uncommitted_index, 3);
    assert_int_equal(n->quorum->raft.configuration.n, 4);
    one_settle(n);
    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 3,
                                   .prev_term = 2,
                                   .entries = &entries[2],
                                   .count = 2});
    assert_int_equal(n->quorum->raft.configuration_committed_index, 3);
    assert_int_equal(n->quorum->raft.configuration_uncommitted_index, 5);
    one_settle(n);
    /* A new leader has neither of the two last: the membership goes back. */
    entries[0].term = 3;
    tell_append(n, (struct append){.from = 3,
                                   .term = 3,
                                   .prev_index = 3,
                                   .prev_term = 2,
                                   .commit = 4,
                                   .entries = entries,
                                   .count = 1});
    one_settle(n);
    assert_int_equal(n->quorum->raft.configuration_uncommitted_index, 0);
    assert_int_equal(n->quorum->raft.configuration.n, 4);
    assert_int_equal(n->index_of[5], 4);
    assert_int_equal(n->index_of[6], 0);
    raft_free(more.base);
    raft_free(less.base);
}

static void checkpoint_run(void *arg)
{
    quorum_checkpoint(((struct one_node *)arg)->quorum, NULL, NULL);
}

/* The leader did not hear what we acknowledged, and we cut our log. */
static void g9_what_a_checkpoint_covers_is_skipped(void **state)
{
    struct one_node *n = *state;
    uint32_t numbers[] = {5, 6, 7};
    struct raft_entry entries[3];
    uint32_t mark;

    n->options.limits.no_trailing = true;
    n = opened(state);
    for (int i = 0; i < 3; i++) {
        entries[i] = command(2, &numbers[i]);
    }
    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .commit = 3,
                                   .entries = entries,
                                   .count = 2});
    one_settle(n);
    assert_int_equal(n->apply_count, 2);
    simenv_run(n->sim, checkpoint_run, n);
    one_settle(n);
    assert_int_equal(storage_tail(n->quorum->storage)->first, 4);
    mark = n->sent_count;
    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .commit = 4,
                                   .entries = entries,
                                   .count = 3});
    one_settle(n);
    assert_int_equal(answer(n, mark)->rejected, 0);
    assert_int_equal(answer(n, mark)->last_log_index, 4);
    assert_int_equal(n->index_of[7], 4);
}

static bool has_acknowledged(struct one_node *n, uint64_t index)
{
    for (uint32_t i = 0; i < n->sent_count; i++) {
        const struct raft_append_entries_result *a =
            &n->sent[i].append_entries_result;

        if (n->sent[i].type == RAFT_APPEND_ENTRIES_RESULT &&
            a->rejected == 0 && a->last_log_index == index) {
            return true;
        }
    }
    return false;
}

/* Cut before it was on disk: that it is there in the end says nothing about
 * what took its place. The power goes in the moment of the acknowledgement. */
static void g10_what_was_cut_is_not_acknowledged(void **state)
{
    struct one_node *n = opened(state);
    uint32_t numbers[] = {5, 6, 7};
    struct raft_entry old[] = {command(2, &numbers[0]),
                               command(2, &numbers[1])};
    struct raft_entry fresh = command(3, &numbers[2]);

    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = old,
                                   .count = 2});
    tell_append(n, (struct append){.from = 3,
                                   .term = 3,
                                   .prev_index = 2,
                                   .prev_term = 2,
                                   .entries = &fresh,
                                   .count = 1});
    n->sent_count = 0;
    while (!has_acknowledged(n, 3)) {
        assert_true(n->clock.now_us < 10000000 && simclock_step(&n->clock));
    }
    one_die(n, 0);
    one_open(n);
    one_settle(n);
    assert_int_equal(storage_term_of(n->quorum->storage, 2), 2);
    assert_int_equal(storage_term_of(n->quorum->storage, 3), 3);
    tell_append(n, (struct append){.from = 3,
                                   .term = 3,
                                   .prev_index = 3,
                                   .prev_term = 3,
                                   .commit = 3});
    one_settle(n);
    assert_int_equal(n->index_of[5], 2);
    assert_int_equal(n->index_of[6], 0);
    assert_int_equal(n->index_of[7], 3);
}

/* It voted or followed in this term; leading in it would be two leaders. */
static void g2_a_follower_left_alone_takes_a_new_term(void **state)
{
    static const uint64_t self[] = {1};
    struct one_node *n = opened(state);
    struct raft_buffer alone = members(self, 1);
    struct raft_entry entry = {.term = 2, .type = RAFT_CHANGE, .buf = alone};
    struct raft_message now = {
        .type = RAFT_TIMEOUT_NOW,
        .timeout_now = {.version = 1,
                        .term = 2,
                        .last_log_index = 2,
                        .last_log_term = 2},
    };

    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .commit = 2,
                                   .entries = &entry,
                                   .count = 1});
    one_settle(n);
    tell(n, 2, &now);
    one_settle(n);
    assert_int_equal(n->lead_count, 0);
    assert_int_equal(quorum_term(n->quorum), 2);
    simclock_run_for_ms(&n->clock, 3000);
    assert_int_equal(n->lead_term, 3);
    raft_free(alone.base);
}

/* A vote is on disk before it is given. */
static void a_vote_is_kept_over_a_restart(void **state)
{
    struct one_node *n = opened(state);
    const struct raft_message *m;
    uint32_t mark = n->sent_count;

    ask_vote(n, 2, 7, false);
    m = said(n, mark, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(m);
    assert_true(m->request_vote_result.vote_granted);
    one_die(n, 3); /* at once */
    one_open(n);
    one_settle(n);
    assert_int_equal(quorum_term(n->quorum), 7);
    mark = n->sent_count;
    ask_vote(n, 3, 7, false);
    m = said(n, mark, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(m);
    assert_false(m->request_vote_result.vote_granted);
}

/* A new leader may lawfully make our log shorter than it was known to be on
 * disk. */
static void a_lawful_cut_below_the_mark_starts_again(void **state)
{
    struct one_node *n = opened(state);
    uint32_t numbers[] = {5, 6, 7, 8};
    struct raft_entry old[] = {command(2, &numbers[0]), command(2, &numbers[1]),
                               command(2, &numbers[2])};
    struct raft_entry fresh = command(3, &numbers[3]);

    tell_append(n, (struct append){.from = 2,
                                   .term = 2,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = old,
                                   .count = 3});
    one_settle(n);
    one_close(n); /* the mark is 4 now */
    one_open(n);
    one_settle(n);
    tell_append(n, (struct append){.from = 3,
                                   .term = 3,
                                   .prev_index = 1,
                                   .prev_term = 1,
                                   .entries = &fresh,
                                   .count = 1});
    one_die(n, 0); /* cut, and nothing behind it */
    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    one_settle(n);
    assert_int_equal(quorum_last(n->quorum), 1);
}

/* Entries that are in no memory any more are read back. */
static void a_follower_far_behind_is_served_from_the_disk(void **state)
{
    struct one_node *n = *state;
    uint64_t term;
    const struct raft_message *m;
    uint32_t mark;

    n->options.limits.cache_bytes = 1;
    n = opened(state);
    term = elect(n);
    tell_appended(n, 2, term, 0, 2);
    one_settle(n);
    for (uint32_t i = 1; i <= 50; i++) {
        struct one_ask ask;

        one_propose(n, &ask, i);
        one_settle(n);
        tell_appended(n, 2, term, 0, 2 + i);
        one_settle(n);
        assert_true(ask.is_done && ask.err == ERR_NONE);
    }
    assert_true(storage_tail(n->quorum->storage)->cached > 50);
    mark = n->sent_count;
    tell_appended(n, 3, term, 2, 1); /* node 3 has entry 1 only */
    one_settle(n);
    m = NULL;
    for (uint32_t i = mark; i < n->sent_count && m == NULL; i++) {
        if (n->sent_to[i] == 3 && n->sent[i].append_entries.n_entries > 0) {
            m = &n->sent[i];
        }
    }
    assert_non_null(m);
    assert_int_equal(m->append_entries.prev_log_index, 1);
    for (unsigned i = 1; i < m->append_entries.n_entries; i++) {
        const struct raft_entry *entry = &m->append_entries.entries[i];
        uint32_t number;

        assert_int_equal(entry->type, RAFT_COMMAND);
        memcpy(&number, entry->buf.base, sizeof(number));
        assert_int_equal(number, i);
    }
}

static void garbage_is_dropped(void **state)
{
    struct one_node *n = opened(state);
    struct letter letter = {.node = n, .from = 2, .frame = STR_LIT("garbage!")};

    simenv_run(n->sim, letter_run, &letter);
    letter.frame = STR_NULL;
    simenv_run(n->sim, letter_run, &letter);
    one_settle(n);
    assert_false(n->has_failed);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(three_voters_start_alike_and_wait_for_votes),
        ONE(g3_it_leads_when_an_entry_of_its_term_is_applied),
        ONE(a_read_waits_for_the_word_of_a_majority),
        ONE(what_is_open_when_the_lead_is_lost_is_unknown),
        ONE(figure_8_no_entry_of_an_old_term_is_committed_by_counting),
        ONE(g1_an_old_leader_is_answered_with_our_term),
        ONE(g12_an_old_candidate_is_answered_with_our_term),
        ONE(g5_a_late_refusal_is_dropped),
        ONE(votes_that_nobody_asked_for_are_dropped),
        ONE(a_second_leader_of_our_term_is_not_heard),
        ONE(g4_memberships_are_filed_under_their_own_index),
        ONE(g9_what_a_checkpoint_covers_is_skipped),
        ONE(g10_what_was_cut_is_not_acknowledged),
        ONE(g2_a_follower_left_alone_takes_a_new_term),
        ONE(a_vote_is_kept_over_a_restart),
        ONE(a_lawful_cut_below_the_mark_starts_again),
        ONE(a_follower_far_behind_is_served_from_the_disk),
        ONE(garbage_is_dropped),
    };

    return cmocka_run_group_tests_name("quorum/guards", tests, NULL, NULL);
}
