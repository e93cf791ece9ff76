/* liar_test.c - a node that is who it says, and lies in every field.
 *
 * It may keep others from agreeing: that is not to be helped. It must not make
 * them crash, end, or answer a proposal that nobody else has. */
#include "quorum/quorum_private.h"
#include "unit/quorum/one_node.h"

enum role { FOLLOWS, STANDS, LEADS };

struct letter {
    struct one_node *node;
    struct str frame;
};

static void letter_run(void *arg)
{
    struct letter *letter = arg;

    quorum_receive(letter->node->quorum, 2, letter->frame);
}

static void tell(struct one_node *n, const struct raft_message *m)
{
    struct letter letter = {.node = n};

    assert_int_equal(transport_encode(m, &n->arena, &letter.frame), ERR_NONE);
    simenv_run(n->sim, letter_run, &letter);
}

/* A number near to what matters, or far from everything. */
static uint64_t number(struct one_node *n, uint64_t *random, bool is_term)
{
    uint64_t last = quorum_last(n->quorum);
    uint64_t term = (uint64_t)quorum_term(n->quorum);
    uint64_t near = fixture_random(random) % 4;

    if (is_term) {
        return fixture_random(random) % 200 == 0 ? term + near
                                                 : term + near % 2 - near / 3;
    }
    switch (fixture_random(random) % 8) {
    case 0:
        return near;
    case 1:
        return INT64_MAX - near;
    case 2:
        return UINT64_MAX - near;
    default:
        return last + near - 2;
    }
}

static const char voters[24] = "\1\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0a\0\1";
static const char three[72] =
    "\1\3\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0node1:9093\0\1"
    "\2\0\0\0\0\0\0\0node2:9093\0\1\3\0\0\0\0\0\0\0node3:9093\0\1";

static void lie_about_entries(struct one_node *n, uint64_t *random,
                              struct raft_append_entries *a)
{
    static struct raft_entry entries[4];
    static uint32_t command = 9;

    a->term = number(n, random, true);
    a->prev_log_index = number(n, random, false);
    a->prev_log_term = number(n, random, true);
    a->leader_commit = number(n, random, false);
    a->entries = entries;
    a->n_entries = (unsigned)(fixture_random(random) % 5);
    for (unsigned i = 0; i < a->n_entries; i++) {
        entries[i] = (struct raft_entry){
            .term = number(n, random, true),
            .type =
                fixture_random(random) % 12 == 0 ? RAFT_CHANGE : RAFT_COMMAND,
            .buf = {&command, sizeof(command)},
        };
        if (entries[i].type == RAFT_CHANGE) {
            bool good = fixture_random(random) % 2 == 0;

            entries[i].buf.base = (void *)(uintptr_t)(good ? three : voters);
            entries[i].buf.len =
                good ? sizeof(three) : fixture_random(random) % 24;
        }
    }
}

static void lie(struct one_node *n, uint64_t *random)
{
    struct raft_message m = {.type = fixture_random(random) % 6 + 1};
    uint64_t flags = fixture_random(random);

    switch (m.type) {
    case RAFT_APPEND_ENTRIES:
        lie_about_entries(n, random, &m.append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        m.append_entries_result.term = number(n, random, true);
        m.append_entries_result.rejected =
            flags % 2 == 0 ? 0 : number(n, random, false);
        m.append_entries_result.last_log_index = number(n, random, false);
        m.append_entries_result.features = (unsigned short)flags;
        m.append_entries_result.capacity = (unsigned short)(flags >> 16);
        break;
    case RAFT_REQUEST_VOTE:
        m.request_vote.term = number(n, random, true);
        m.request_vote.candidate_id = flags % 8 == 0 ? 3 : 2;
        m.request_vote.last_log_index = number(n, random, false);
        m.request_vote.last_log_term = number(n, random, true);
        m.request_vote.disrupt_leader = (flags & 16) != 0;
        m.request_vote.pre_vote = (flags & 32) != 0;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        m.request_vote_result.term = number(n, random, true);
        m.request_vote_result.vote_granted = (flags & 16) != 0;
        m.request_vote_result.pre_vote = (flags & 32) != 0;
        break;
    default:
        m.type = RAFT_TIMEOUT_NOW;
        m.timeout_now.term = number(n, random, true);
        m.timeout_now.last_log_index = number(n, random, false);
        m.timeout_now.last_log_term = number(n, random, true);
        break;
    }
    m.append_entries.version = (unsigned char)(fixture_random(random) % 4);
    tell(n, &m);
}

static bool has_role(struct one_node *n, enum role role)
{
    static const enum raft_state states[] = {
        [FOLLOWS] = RAFT_FOLLOWER,
        [STANDS] = RAFT_CANDIDATE,
        [LEADS] = RAFT_LEADER,
    };

    return raft_state(&n->quorum->raft) == states[role];
}

/* Votes for what it asks, until it is what it should be. */
static void bring_into(struct one_node *n, enum role role)
{
    for (int i = 0; i < 400 && !has_role(n, role); i++) {
        struct raft_message m = {
            .type = RAFT_REQUEST_VOTE_RESULT,
            .request_vote_result =
                {
                    .version = 2,
                    .term = (raft_term)quorum_term(n->quorum),
                    .vote_granted = true,
                },
        };

        simclock_run_for_ms(&n->clock, 50);
        if (role == LEADS && has_role(n, STANDS)) {
            if (n->quorum->raft.candidate_state.in_pre_vote) {
                m.request_vote_result.term++;
                m.request_vote_result.pre_vote = true;
            }
            tell(n, &m);
        }
        n->sent_count = 0;
        arena_reset(&n->arena);
    }
}

static void hear_lies(enum role role)
{
    struct one_node *n = one_make(3);
    uint64_t random = 11 + role;
    unsigned in_role = 0;

    one_open(n);
    assert_int_equal(n->err, ERR_NONE);
    trace_level_set((enum trace_level) - 1); /* it is told of each lie */
    one_settle(n);
    for (unsigned round = 0; round < 300; round++) {
        bring_into(n, role);
        in_role += has_role(n, role);
        for (unsigned i = 0; i < 40 && !n->has_failed; i++) {
            lie(n, &random);
            if (fixture_random(&random) % 8 == 0) {
                simclock_run_for_ms(&n->clock, 30);
            }
        }
        if (n->has_failed) {
            fail_msg("a lie ended the node: %s", n->why.text);
        }
        if (round % 20 == 19) { /* and what is on its disk starts again */
            one_close(n);
            one_open(n);
            assert_int_equal(n->err, ERR_NONE);
            one_settle(n);
        }
    }
    assert_true(in_role > 30);
    trace_level_set(TRACE_ERROR);
    one_free(n);
}

static void a_follower_survives_every_lie(void **state)
{
    hear_lies(FOLLOWS);
}

static void a_candidate_survives_every_lie(void **state)
{
    hear_lies(STANDS);
}

static void a_leader_survives_every_lie(void **state)
{
    hear_lies(LEADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_survives_every_lie),
        cmocka_unit_test(a_candidate_survives_every_lie),
        cmocka_unit_test(a_leader_survives_every_lie),
    };

    return cmocka_run_group_tests_name("quorum/liar", tests, NULL, NULL);
}
