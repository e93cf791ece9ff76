/* Members that keep their place over a restart, KIP-345: transcripts.
 * transcript.h says how they read. Source: behaviours 2, "Static member
 * replacement". */
#include "unit/coord/transcript.h"

/* No version makes it ask twice: its instance is its identity. */
static void a_static_member_is_a_member_at_once(void **state)
{
    replay("0 join t v=9 static=i as=a\n"
           "    [PreparingRebalance]\n");
}

/* KIP-814, version 9 on. Nobody else notices. */
static void
a_static_leader_that_restarts_leads_on_and_need_not_assign(void **state)
{
    replay("limits delay=10\n"
           "0 join a v=9 static=i as=a1\n"
           "    [PreparingRebalance]\n"
           "1 join b v=9 static=j as=b1\n"
           "  at 20\n"
           "    a: is a1 in generation 1, range, led by a1: a1=x b1=x\n"
           "    b: is b1 in generation 1, range, led by a1\n"
           "    [CompletingRebalance]\n"
           "20 sync sa id=a1 gen=1 give=a1:1,b1:2\n"
           "    store generation 1 a1=1 b1=2, then go on\n"
           "20 sync sb id=b1 gen=1\n"
           "21 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    sb: owns \"2\"\n"
           "    [Stable]\n"
           "30 join a v=9 static=i as=a2\n"
           "    a: is a2 in generation 1, range, led by a2, "
           "assigned: a2=x b1=x\n"
           "    store generation 1 a2=1 b1=2, then answer\n"
           "31 saved gen=1\n"
           "32 sync s id=a2 gen=1 static=i\n"
           "    s: owns \"1\"\n"
           "33 beat id=b1 gen=1 static=j\n"
           "    ok\n"
           "34 beat id=a1 gen=1 static=i\n"
           "    FENCED_INSTANCE_ID\n"
           "34 beat id=a1 gen=1\n"
           "    UNKNOWN_MEMBER_ID\n");
}

/* So it follows, and asks for its assignment instead of making one. */
static void before_version_9_it_hears_that_its_old_self_leads(void **state)
{
    replay("limits delay=10\n"
           "0 join a v=8 static=i as=a1\n"
           "    [PreparingRebalance]\n"
           "1 join b v=8 static=j as=b1\n"
           "  at 20\n"
           "    a: is a1 in generation 1, range, led by a1: a1=x b1=x\n"
           "    b: is b1 in generation 1, range, led by a1\n"
           "    [CompletingRebalance]\n"
           "20 sync sa id=a1 gen=1 give=a1:1,b1:2\n"
           "    store generation 1 a1=1 b1=2, then go on\n"
           "20 sync sb id=b1 gen=1\n"
           "21 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    sb: owns \"2\"\n"
           "    [Stable]\n"
           "30 join a v=8 static=i as=a2\n"
           "    a: is a2 in generation 1, range, led by a1\n"
           "    store generation 1 a2=1 b1=2, then answer\n"
           "31 sync s id=a2 gen=1 static=i\n"
           "    s: owns \"1\"\n"
           "32 join b v=8 static=j as=b2\n"
           "    b: is b2 in generation 1, range, led by a2\n"
           "    store generation 1 a2=1 b2=2, then answer\n");
}

static void
other_metadata_is_no_reason_to_rebalance_another_protocol_is(void **state)
{
    replay("limits delay=10\n"
           "0 join a static=i as=a1 can=range:1,rr:1\n"
           "    [PreparingRebalance]\n"
           "1 join b static=j as=b1 can=range:1,rr:1\n"
           "  at 20\n"
           "    a: is a1 in generation 1, range, led by a1: a1=1 b1=1\n"
           "    b: is b1 in generation 1, range, led by a1\n"
           "    [CompletingRebalance]\n"
           "20 sync sa id=a1 gen=1 give=a1:1,b1:2\n"
           "    store generation 1 a1=1 b1=2, then go on\n"
           "20 sync sb id=b1 gen=1\n"
           "21 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    sb: owns \"2\"\n"
           "    [Stable]\n"
           "30 join b static=j as=b2 can=range:2,rr:2\n"
           "    b: is b2 in generation 1, range, led by a1\n"
           "    store generation 1 a1=1 b2=2, then answer\n"
           "40 join a static=i as=a2 can=rr:3\n"
           "    [PreparingRebalance]\n"
           "41 join b2 id=b2 static=j can=range:2,rr:2\n"
           "    a: is a2 in generation 2, rr, led by a2: a2=3 b2=2\n"
           "    b2: is b2 in generation 2, rr, led by a2\n"
           "    [CompletingRebalance]\n");
}

/* The leader may know the old id. */
static void
while_the_leader_assigns_a_restart_makes_the_group_rebalance(void **state)
{
    replay("limits delay=10\n"
           "0 join a static=i as=a1\n"
           "    [PreparingRebalance]\n"
           "1 join b static=j as=b1\n"
           "  at 20\n"
           "    a: is a1 in generation 1, range, led by a1: a1=x b1=x\n"
           "    b: is b1 in generation 1, range, led by a1\n"
           "    [CompletingRebalance]\n"
           "20 sync sb id=b1 gen=1 static=j\n"
           "30 join b static=j as=b2\n"
           "    sb: FENCED_INSTANCE_ID \n"
           "    [PreparingRebalance]\n"
           "31 join a id=a1 static=i\n"
           "    a: is a1 in generation 2, range, led by a1: a1=x b2=x\n"
           "    b: is b2 in generation 2, range, led by a1\n"
           "    [CompletingRebalance]\n");
}

static void the_old_self_is_fenced_where_it_waits(void **state)
{
    replay("limits delay=10\n"
           "0 join a static=i as=a1\n"
           "    [PreparingRebalance]\n"
           "1 join a static=i as=a2\n"
           "    a: FENCED_INSTANCE_ID a1\n"
           "  at 10\n"
           "    a: is a2 in generation 1, range, led by a2: a2=x\n"
           "    [CompletingRebalance]\n"
           "20 join b static=j as=b1\n"
           "    [PreparingRebalance]\n"
           "21 join t id=a2 static=i\n"
           "    t: is a2 in generation 2, range, led by a2: a2=x b1=x\n"
           "    b: is b1 in generation 2, range, led by a2\n"
           "    [CompletingRebalance]\n"
           "22 sync s id=b1 gen=2 static=j\n"
           "23 join u static=j as=b2\n"
           "    s: FENCED_INSTANCE_ID \n"
           "    [PreparingRebalance]\n"
           "24 join w id=b1 static=j\n"
           "    w: FENCED_INSTANCE_ID b1\n"
           "25 join w id=b2\n"
           "    u: REBALANCE_IN_PROGRESS\n"
           "26 join w id=b2 static=k\n"
           "    w: UNKNOWN_MEMBER_ID\n");
}

/* It sends no LeaveGroup when it stops. What it must not miss is the time to
 * sync. */
static void
a_static_member_that_is_away_keeps_its_place_in_a_rebalance(void **state)
{
    replay("limits delay=10\n"
           "0 join a static=i as=a session=6000 rebalance=2000\n"
           "    [PreparingRebalance]\n"
           "1 join b session=6000 rebalance=2000\n" TWO_STABLE
           "1000 join c session=6000 rebalance=2000\n"
           "    [PreparingRebalance]\n"
           "1001 join b2 id=b session=6000 rebalance=2000\n"
           "  at 3000\n"
           "    b2: is b in generation 2, range, led by b: a=x b=x c=x\n"
           "    c: is c in generation 2, range, led by b\n"
           "    [CompletingRebalance]\n"
           "3000 sync s id=b gen=2 give=a:1,b:2,c:3\n"
           "    store generation 2 a=1 b=2 c=3, then go on\n"
           "3001 sync s2 id=c gen=2\n"
           "3002 saved gen=2\n"
           "    s: owns \"2\"\n"
           "    s2: owns \"3\"\n"
           "    [Stable]\n"
           "4900 beat id=b gen=2\n"
           "    ok\n"
           "4900 beat id=c gen=2\n"
           "    ok\n"
           "  at 5000\n"
           "    [PreparingRebalance]\n"
           "5000 pass\n");
}

static void static_members_that_are_all_away_have_another_time_out(void **state)
{
    replay("limits delay=10\n"
           "0 join a static=i as=a session=6000 rebalance=2500\n"
           "    [PreparingRebalance]\n"
           "1 join b session=6000 rebalance=2500\n" TWO_STABLE
           "1000 leave id=b\n"
           "    ok\n"
           "    [PreparingRebalance]\n"
           "5000 pass\n"
           "  at 6021\n"
           "    store generation 2\n"
           "    [Empty]\n"
           "7000 pass\n");
}

static void a_static_member_has_its_place_in_a_full_group(void **state)
{
    replay("limits members=1\n"
           "0 join a static=i as=a1\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a1 in generation 1, range, led by a1: a1=x\n"
           "    [CompletingRebalance]\n"
           "0 pass\n"
           "1 sync s id=a1 gen=1 give=a1:1\n"
           "    store generation 1 a1=1, then go on\n"
           "2 saved gen=1\n"
           "    s: owns \"1\"\n"
           "    [Stable]\n"
           "3 join b static=j as=b1\n"
           "    b: GROUP_MAX_SIZE_REACHED\n"
           "4 join a static=i as=a2\n"
           "    a: is a2 in generation 1, range, led by a1\n"
           "    store generation 1 a2=1, then answer\n");
}

static void
an_id_that_was_handed_out_does_not_make_a_member_static(void **state)
{
    replay("0 join t v=4 as=a\n"
           "    t: MEMBER_ID_REQUIRED a\n"
           "1 join u v=5 id=a static=i\n"
           "    u: UNKNOWN_MEMBER_ID\n"
           "2 join u v=5 as=b static=i\n"
           "    [PreparingRebalance]\n"
           "  at 2\n"
           "    u: is b in generation 1, range, led by b: b=x\n"
           "    [CompletingRebalance]\n"
           "2 pass\n"
           "3 join w v=5 id=a static=i\n"
           "    w: FENCED_INSTANCE_ID a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_member_is_a_member_at_once),
        cmocka_unit_test(
            a_static_leader_that_restarts_leads_on_and_need_not_assign),
        cmocka_unit_test(before_version_9_it_hears_that_its_old_self_leads),
        cmocka_unit_test(
            other_metadata_is_no_reason_to_rebalance_another_protocol_is),
        cmocka_unit_test(
            while_the_leader_assigns_a_restart_makes_the_group_rebalance),
        cmocka_unit_test(the_old_self_is_fenced_where_it_waits),
        cmocka_unit_test(
            a_static_member_that_is_away_keeps_its_place_in_a_rebalance),
        cmocka_unit_test(
            static_members_that_are_all_away_have_another_time_out),
        cmocka_unit_test(a_static_member_has_its_place_in_a_full_group),
        cmocka_unit_test(
            an_id_that_was_handed_out_does_not_make_a_member_static),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
