/* Who may join a classic group, and what a join does to it: transcripts.
 * transcript.h says how they read. Source: behaviours 2, "JoinGroup". */
#include "unit/coord/transcript.h"

/* Nobody else comes: the delay is not extended. */
static void
the_first_member_leads_a_group_of_its_own_after_the_initial_delay(void **state)
{
    replay("limits delay=3000\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "2999 pass\n"
           "  at 3000\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "3000 pass\n"
           "3001 sync s id=a gen=1 give=a:all\n"
           "    store generation 1 a=all, then go on\n"
           "3002 saved gen=1\n"
           "    s: owns \"all\"\n"
           "    [Stable]\n");
}

/* Each time by as much again, if somebody came since; KIP-134. */
static void members_that_come_during_the_initial_delay_extend_it(void **state)
{
    replay("limits delay=3000\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "2000 join b\n"
           "4000 join c\n"
           "6500 join d\n"
           "  at 12000\n"
           "    a: is a in generation 1, range, led by a: a=x b=x c=x d=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    c: is c in generation 1, range, led by a\n"
           "    d: is d in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "13000 pass\n");
}

static void
the_initial_delay_ends_with_the_longest_rebalance_time_out(void **state)
{
    replay("limits delay=3000\n"
           "0 join a rebalance=7000\n"
           "    [PreparingRebalance]\n"
           "2000 join b rebalance=5000\n"
           "5000 join c rebalance=7000\n"
           "6500 join d rebalance=1000\n"
           "  at 7000\n"
           "    a: is a in generation 1, range, led by a: a=x b=x c=x d=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    c: is c in generation 1, range, led by a\n"
           "    d: is d in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "8000 pass\n");
}

static void
a_group_that_is_empty_again_before_its_delay_is_over_rests(void **state)
{
    replay("limits delay=3000\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1000 leave id=a\n"
           "    ok\n"
           "    a: UNKNOWN_MEMBER_ID\n"
           "    store generation 1\n"
           "    [Empty]\n"
           "20000 pass\n");
}

/* KIP-394: a client that gives up has not become a member. */
static void
from_version_4_on_a_member_asks_twice_and_has_its_id_first(void **state)
{
    replay("0 join t v=4 as=a\n"
           "    t: MEMBER_ID_REQUIRED a\n"
           "1 join u v=4 id=a\n"
           "    [PreparingRebalance]\n"
           "  at 1\n"
           "    u: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "2 join w v=4 id=b\n"
           "    w: UNKNOWN_MEMBER_ID\n");
}

static void an_id_that_was_handed_out_is_void_after_a_session(void **state)
{
    replay("0 join t v=4 as=a session=6000\n"
           "    t: MEMBER_ID_REQUIRED a\n"
           "5999 beat id=a gen=0\n"
           "    UNKNOWN_MEMBER_ID\n"
           "6000 join u v=4 id=a\n"
           "    u: UNKNOWN_MEMBER_ID\n");
}

static void a_rebalance_waits_for_ids_that_were_handed_out(void **state)
{
    replay(ONE_JOINED "1 join t v=4 as=b\n"
                      "    t: MEMBER_ID_REQUIRED b\n"
                      "2 join u v=4 as=c\n"
                      "    u: MEMBER_ID_REQUIRED c\n"
                      "3 join b id=b\n"
                      "    [PreparingRebalance]\n"
                      "4 join a2 id=a\n"
                      "5 leave id=c\n"
                      "    ok\n"
                      "    a2: is a in generation 2, range, led by a: a=x b=x\n"
                      "    b: is b in generation 2, range, led by a\n"
                      "    [CompletingRebalance]\n");
}

static void a_rebalance_does_not_wait_for_an_id_whose_time_is_over(void **state)
{
    replay("0 join a rebalance=30000 session=30000\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "1 join t v=4 as=b session=6000\n"
           "    t: MEMBER_ID_REQUIRED b\n"
           "2 join c rebalance=30000 session=30000\n"
           "    [PreparingRebalance]\n"
           "3 join a2 id=a rebalance=30000 session=30000\n"
           "  at 6001\n"
           "    a2: is a in generation 2, range, led by a: a=x c=x\n"
           "    c: is c in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "7000 pass\n");
}

static void session_time_outs_have_bounds(void **state)
{
    replay("0 join a session=5999\n"
           "    a: INVALID_SESSION_TIMEOUT\n"
           "0 join b session=1800001\n"
           "    b: INVALID_SESSION_TIMEOUT\n"
           "0 join c session=6000 id=x\n"
           "    c: UNKNOWN_MEMBER_ID\n");
}

static void a_member_that_nobody_knows_is_told_so(void **state)
{
    replay("0 join t id=nobody\n"
           "    t: UNKNOWN_MEMBER_ID\n"
           "1 join a\n"
           "    [PreparingRebalance]\n"
           "  at 1\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "2 join u id=nobody\n"
           "    u: UNKNOWN_MEMBER_ID\n"
           "3 join u id=a static=i\n"
           "    u: UNKNOWN_MEMBER_ID\n");
}

static void the_type_and_one_protocol_must_be_common_to_all(void **state)
{
    replay("0 join t can=\n"
           "    t: INCONSISTENT_GROUP_PROTOCOL\n"
           "1 join u type=\n"
           "    u: INCONSISTENT_GROUP_PROTOCOL\n"
           "2 join a can=range:1,rr:1\n"
           "    [PreparingRebalance]\n"
           "  at 2\n"
           "    a: is a in generation 1, range, led by a: a=1\n"
           "    [CompletingRebalance]\n"
           "3 join v type=connect\n"
           "    v: INCONSISTENT_GROUP_PROTOCOL\n"
           "4 join w can=sticky:1\n"
           "    w: INCONSISTENT_GROUP_PROTOCOL\n"
           "5 join x can=\n"
           "    x: INCONSISTENT_GROUP_PROTOCOL\n"
           "6 join b can=sticky:1,rr:1\n"
           "    [PreparingRebalance]\n");
}

static void an_empty_group_takes_any_type(void **state)
{
    replay(ONE_JOINED
           "1 leave id=a\n"
           "    ok\n"
           "    store generation 2\n"
           "    [Empty]\n"
           "2 join b type=connect can=default:1\n"
           "    [PreparingRebalance]\n"
           "  at 2\n"
           "    b: is b in generation 3, default, led by b: b=1\n"
           "    [CompletingRebalance]\n"
           "2 pass\n"
           "3 sync s id=b gen=3 type=consumer\n"
           "    s: INCONSISTENT_GROUP_PROTOCOL\n"
           "4 sync s id=b gen=3 type=connect protocol=range\n"
           "    s: INCONSISTENT_GROUP_PROTOCOL\n"
           "5 sync s id=b gen=3 type=connect protocol=default give=b:1\n"
           "    store generation 3 b=1, then go on\n"
           "6 saved gen=3\n"
           "    s: owns \"1\"\n"
           "    [Stable]\n");
}

static void each_member_votes_for_its_first_protocol_that_all_have(void **state)
{
    replay("limits delay=10\n"
           "0 join a can=only:a,range:a,rr:a\n"
           "    [PreparingRebalance]\n"
           "1 join b can=rr:b,range:b\n"
           "2 join c can=rr:c,mine:c,range:c\n"
           "  at 20\n"
           "    a: is a in generation 1, rr, led by a: a=a b=b c=c\n"
           "    b: is b in generation 1, rr, led by a\n"
           "    c: is c in generation 1, rr, led by a\n"
           "    [CompletingRebalance]\n"
           "20 pass\n");
}

static void equal_votes_go_to_what_the_first_member_prefers(void **state)
{
    replay("limits delay=10\n"
           "0 join a can=range:a,rr:a\n"
           "    [PreparingRebalance]\n"
           "1 join b can=rr:b,range:b\n"
           "  at 20\n"
           "    a: is a in generation 1, range, led by a: a=a b=b\n"
           "    b: is b in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "20 pass\n");
}

/* Also when its metadata says the same; the leader's join is how it asks for a
 * rebalance. */
static void
a_stable_group_answers_a_member_that_repeats_itself_at_once(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync s id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "20 sync u id=b gen=1\n"
           "20 saved gen=1\n"
           "    s: owns \"1\"\n"
           "    u: owns \"2\"\n"
           "    [Stable]\n"
           "30 join b2 id=b\n"
           "    b2: is b in generation 1, range, led by a\n"
           "40 join a2 id=a\n"
           "    [PreparingRebalance]\n"
           "50 join b3 id=b\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b3: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n");
}

/* So a cooperative member gives up partitions and joins again, KIP-429. */
static void
a_member_whose_metadata_changed_makes_the_group_rebalance(void **state)
{
    replay("limits delay=10\n"
           "0 join a can=sticky:owns-none\n"
           "    [PreparingRebalance]\n"
           "1 join b can=sticky:owns-none\n"
           "  at 20\n"
           "    a: is a in generation 1, sticky, led by a: "
           "a=owns-none b=owns-none\n"
           "    b: is b in generation 1, sticky, led by a\n"
           "    [CompletingRebalance]\n"
           "20 sync s id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "20 sync u id=b gen=1\n"
           "20 saved gen=1\n"
           "    s: owns \"1\"\n"
           "    u: owns \"2\"\n"
           "    [Stable]\n"
           "30 join b2 id=b can=sticky:owns-2\n"
           "    [PreparingRebalance]\n"
           "31 beat id=a gen=1\n"
           "    REBALANCE_IN_PROGRESS\n"
           "40 join a2 id=a can=sticky:owns-1\n"
           "    a2: is a in generation 2, sticky, led by a: a=owns-1 b=owns-2\n"
           "    b2: is b in generation 2, sticky, led by a\n"
           "    [CompletingRebalance]\n");
}

static void
a_join_while_the_leader_assigns_is_answered_if_it_says_the_same(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync u id=b gen=1\n"
           "21 join a2 id=a\n"
           "    a2: is a in generation 1, range, led by a: a=x b=x\n"
           "22 join b2 id=b\n"
           "    b2: is b in generation 1, range, led by a\n"
           "23 join b3 id=b can=range:new\n"
           "    u: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "24 join a3 id=a\n"
           "    a3: is a in generation 2, range, led by a: a=x b=new\n"
           "    b3: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n");
}

static void a_join_that_is_sent_again_takes_the_place_of_the_first(void **state)
{
    replay(ONE_JOINED "1 join b\n"
                      "    [PreparingRebalance]\n"
                      "2 join b2 id=b\n"
                      "    b: REBALANCE_IN_PROGRESS\n"
                      "3 join a2 id=a\n"
                      "    a2: is a in generation 2, range, led by a: a=x b=x\n"
                      "    b2: is b in generation 2, range, led by a\n"
                      "    [CompletingRebalance]\n");
}

static void a_group_is_full_at_its_limit(void **state)
{
    replay("limits members=2\n" ONE_JOINED "0 pass\n"
           "1 join b\n"
           "    [PreparingRebalance]\n"
           "2 join a2 id=a\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "3 join c\n"
           "    c: GROUP_MAX_SIZE_REACHED\n"
           "4 sync s id=a gen=2 give=a:1,b:2\n"
           "    store generation 2 a=1 b=2, then go on\n"
           "5 saved gen=2\n"
           "    s: owns \"1\"\n"
           "    [Stable]\n"
           "6 join c\n"
           "    c: GROUP_MAX_SIZE_REACHED\n"
           "7 join c v=4 as=c\n"
           "    c: GROUP_MAX_SIZE_REACHED\n"
           "8 join d v=4 as=d\n"
           "    d: GROUP_MAX_SIZE_REACHED\n"
           "9 join c2 id=c\n"
           "    c2: GROUP_MAX_SIZE_REACHED\n"
           "10 join b2 id=b\n"
           "    b2: is b in generation 2, range, led by a\n");
}

/* A member "a" that says "x" is 37 bytes when it is stored. */
static void a_group_is_full_when_with_one_more_it_could_not_be_stored(void **s)
{
    replay("limits bytes=80\n" ONE_JOINED "0 pass\n"
           "1 join b can=range:1234567890\n"
           "    b: GROUP_MAX_SIZE_REACHED\n"
           "2 join b v=4 can=rr:1234567890,range:1 as=b\n"
           "    b: GROUP_MAX_SIZE_REACHED\n"
           "3 join b\n"
           "    [PreparingRebalance]\n"
           "4 join a2 id=a\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "5 join c\n"
           "    c: GROUP_MAX_SIZE_REACHED\n"
           "6 join b3 id=b can=range:1234567890\n"
           "    b3: GROUP_MAX_SIZE_REACHED\n"
           "    [PreparingRebalance]\n"
           "7 join a3 id=a can=range:1234567890\n"
           "    a3: is a in generation 3, range, led by a: a=1234567890\n"
           "    [CompletingRebalance]\n");
}

static void the_first_member_may_be_too_large_already(void **state)
{
    replay("limits bytes=40\n"
           "0 join a can=range:12345\n"
           "    a: GROUP_MAX_SIZE_REACHED\n"
           "1 join a v=4 can=range:1234\n"
           "    a: MEMBER_ID_REQUIRED a\n"
           "2 join a id=a can=range:12345\n"
           "    a: GROUP_MAX_SIZE_REACHED\n"
           "3 beat id=a gen=1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "4 pass\n");
}

/* Whoever has not come back yet does not stand in a newcomer's way. */
static void who_joins_first_has_the_bytes_when_a_group_prepares(void **state)
{
    replay("limits bytes=80\n" ONE_JOINED "0 pass\n"
           "1 join b\n"
           "    [PreparingRebalance]\n"
           "2 join c\n"
           "3 join a2 id=a\n"
           "    a2: GROUP_MAX_SIZE_REACHED\n"
           "    b: is b in generation 2, range, led by b: b=x c=x\n"
           "    c: is c in generation 2, range, led by b\n"
           "    [CompletingRebalance]\n");
}

static void a_member_offers_at_most_64_protocols(void **state)
{
    struct group_limits limits = {
        .session_ms_max = 1, .members = 1, .stored_bytes = 1000};
    struct group *group = group_open(STR_LIT("g"), &limits);
    struct group_effects effects = {0};
    char names[65][16];
    struct group_protocol protocols[65];
    struct group_join join = {.token = group,
                              .new_member_id = STR_LIT("a"),
                              .protocol_type = STR_LIT("consumer"),
                              .protocols = protocols,
                              .protocols_count = 65};

    for (int i = 0; i < 65; i++) {
        snprintf(names[i], sizeof(names[i]), "p%d", i);
        protocols[i] = (struct group_protocol){str_of(names[i]), STR_NULL};
    }
    group_join(group, &join, &effects);
    assert_int_equal(effects.answers_count, 1);
    assert_int_equal(effects.answers[0].err, ERR_INCONSISTENT_GROUP_PROTOCOL);
    group_effects_clear(&effects);
    join.protocols_count = 64;
    group_join(group, &join, &effects);
    assert_int_equal(effects.answers_count, 0);
    assert_int_equal(group->members_count, 1);
    group_abandon(group, ERR_COORDINATOR_NOT_AVAILABLE, &effects);
    group_effects_fini(&effects);
    group_close(group);
}

static void
who_joins_first_has_the_place_when_a_full_group_prepares(void **state)
{
    replay("limits members=2\n" ONE_JOINED "0 pass\n"
           "1 join t v=4 as=b\n"
           "    t: MEMBER_ID_REQUIRED b\n"
           "2 join u v=4 as=c\n"
           "    u: MEMBER_ID_REQUIRED c\n"
           "3 join b id=b\n"
           "    [PreparingRebalance]\n"
           "4 join c id=c\n"
           "5 join a2 id=a\n"
           "    a2: GROUP_MAX_SIZE_REACHED\n"
           "    b: is b in generation 2, range, led by b: b=x c=x\n"
           "    c: is c in generation 2, range, led by b\n"
           "    [CompletingRebalance]\n");
}

static void ids_that_are_handed_out_are_limited_like_members(void **state)
{
    replay("limits members=2\n"
           "0 join t v=4 as=a\n"
           "    t: MEMBER_ID_REQUIRED a\n"
           "1 join u v=4 as=b\n"
           "    u: MEMBER_ID_REQUIRED b\n"
           "2 join w v=4 as=c\n"
           "    w: GROUP_MAX_SIZE_REACHED\n"
           "3 join a id=a\n"
           "    [PreparingRebalance]\n"
           "  at 3\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "4 join w v=4 as=c\n"
           "    w: MEMBER_ID_REQUIRED c\n");
}

/* Its client gave up, and joined again as somebody else each time. */
static void
a_new_member_that_never_hears_of_its_group_goes_after_five_minutes(void **state)
{
    replay("0 join a rebalance=1000000 session=1000000\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "0 pass\n"
           "1 join b rebalance=1000000\n"
           "    [PreparingRebalance]\n"
           "  at 300001\n"
           "    b: UNKNOWN_MEMBER_ID\n"
           "300001 pass\n");
}

static void
a_rebalance_time_out_of_nothing_is_taken_for_a_short_one(void **state)
{
    replay("0 join a rebalance=0\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "0 join b rebalance=-5\n"
           "    [PreparingRebalance]\n"
           "  at 100\n"
           "    b: is b in generation 2, range, led by b: b=x\n"
           "    [CompletingRebalance]\n"
           "100 pass\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_first_member_leads_a_group_of_its_own_after_the_initial_delay),
        cmocka_unit_test(members_that_come_during_the_initial_delay_extend_it),
        cmocka_unit_test(
            the_initial_delay_ends_with_the_longest_rebalance_time_out),
        cmocka_unit_test(
            a_group_that_is_empty_again_before_its_delay_is_over_rests),
        cmocka_unit_test(
            from_version_4_on_a_member_asks_twice_and_has_its_id_first),
        cmocka_unit_test(an_id_that_was_handed_out_is_void_after_a_session),
        cmocka_unit_test(a_rebalance_waits_for_ids_that_were_handed_out),
        cmocka_unit_test(
            a_rebalance_does_not_wait_for_an_id_whose_time_is_over),
        cmocka_unit_test(session_time_outs_have_bounds),
        cmocka_unit_test(a_member_that_nobody_knows_is_told_so),
        cmocka_unit_test(the_type_and_one_protocol_must_be_common_to_all),
        cmocka_unit_test(an_empty_group_takes_any_type),
        cmocka_unit_test(
            each_member_votes_for_its_first_protocol_that_all_have),
        cmocka_unit_test(equal_votes_go_to_what_the_first_member_prefers),
        cmocka_unit_test(
            a_stable_group_answers_a_member_that_repeats_itself_at_once),
        cmocka_unit_test(
            a_member_whose_metadata_changed_makes_the_group_rebalance),
        cmocka_unit_test(
            a_join_while_the_leader_assigns_is_answered_if_it_says_the_same),
        cmocka_unit_test(
            a_join_that_is_sent_again_takes_the_place_of_the_first),
        cmocka_unit_test(a_group_is_full_at_its_limit),
        cmocka_unit_test(
            a_group_is_full_when_with_one_more_it_could_not_be_stored),
        cmocka_unit_test(the_first_member_may_be_too_large_already),
        cmocka_unit_test(a_member_offers_at_most_64_protocols),
        cmocka_unit_test(who_joins_first_has_the_bytes_when_a_group_prepares),
        cmocka_unit_test(
            who_joins_first_has_the_place_when_a_full_group_prepares),
        cmocka_unit_test(ids_that_are_handed_out_are_limited_like_members),
        cmocka_unit_test(
            a_new_member_that_never_hears_of_its_group_goes_after_five_minutes),
        cmocka_unit_test(
            a_rebalance_time_out_of_nothing_is_taken_for_a_short_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
