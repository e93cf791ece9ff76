/* From a rebalance to what each member owns, and how members go: transcripts.
 * transcript.h says how they read. Source: behaviours 2, "SyncGroup",
 * "Heartbeat", "LeaveGroup". */
#include "unit/coord/transcript.h"

/* Whoever the leader does not name owns nothing; whom nobody knows is left out.
 */
static void the_assignment_is_stored_before_anybody_hears_of_it(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n"
           "2 join c\n"
           "  at 20\n"
           "    a: is a in generation 1, range, led by a: a=x b=x c=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    c: is c in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "20 sync sb id=b gen=1\n"
           "21 beat id=b gen=1\n"
           "    ok\n"
           "22 sync sa id=a gen=1 give=a:1,b:2,nobody:3\n"
           "    store generation 1 a=1 b=2 c=, then go on\n"
           "23 sync sc id=c gen=1\n"
           "24 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    sb: owns \"2\"\n"
           "    sc: owns \"\"\n"
           "    [Stable]\n"
           "25 sync sc2 id=c gen=1\n"
           "    sc2: owns \"\"\n");
}

/* And the group tries again. */
static void
an_assignment_that_cannot_be_stored_is_an_error_for_all_who_wait(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync sb id=b gen=1\n"
           "21 sync sa id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "22 saved gen=1 err=1\n"
           "    sa: COORDINATOR_NOT_AVAILABLE\n"
           "    sb: COORDINATOR_NOT_AVAILABLE\n"
           "    [PreparingRebalance]\n"
           "23 join b2 id=b\n"
           "24 join a2 id=a\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b2: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "25 sync sa2 id=a gen=2 give=a:1,b:2\n"
           "    store generation 2 a=1 b=2, then go on\n"
           "26 saved gen=2\n"
           "    sa2: owns \"1\"\n"
           "    [Stable]\n");
}

/* With "1234567890" for each the three are 141 bytes. The newest goes, and
 * hears that there is no place for it; the others go on without it, and it does
 * not come back: once would be for ever. */
static void
the_newest_goes_when_what_was_assigned_cannot_be_stored(void **state)
{
    replay("limits delay=10 bytes=120\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n"
           "2 join c\n"
           "  at 20\n"
           "    a: is a in generation 1, range, led by a: a=x b=x c=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    c: is c in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "20 sync sb id=b gen=1\n"
           "21 sync sc id=c gen=1\n"
           "22 sync sa id=a gen=1 give=a:1234567890,b:1234567890,"
           "c:1234567890\n"
           "    sc: GROUP_MAX_SIZE_REACHED\n"
           "    sa: REBALANCE_IN_PROGRESS\n"
           "    sb: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "23 beat id=c gen=1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "24 join a2 id=a\n"
           "25 join b2 id=b\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b2: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "26 join c2\n"
           "    c2: GROUP_MAX_SIZE_REACHED\n"
           "27 sync sa2 id=a gen=2 give=a:1234567890,b:1234567890\n"
           "    store generation 2 a=1234567890 b=1234567890, then go on\n"
           "28 saved gen=2\n"
           "    sa2: owns \"1234567890\"\n"
           "    [Stable]\n"
           "29 join c3\n"
           "    c3: GROUP_MAX_SIZE_REACHED\n");
}

/* Its client comes again and again; small as the group is without it, it would
 * be sent away each time. */
static void who_never_fits_causes_one_rebalance(void **state)
{
    replay("limits bytes=80\n" ONE_JOINED "0 join b\n"
           "    [PreparingRebalance]\n"
           "1 join a2 id=a\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "2 sync s id=a gen=2 give=a:1,b:1234567890\n"
           "    s: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "3 join a3 id=a\n"
           "    a3: is a in generation 3, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "5 sync s3 id=a gen=3 give=a:1\n"
           "    store generation 3 a=1, then go on\n"
           "6 saved gen=3\n"
           "    s3: owns \"1\"\n"
           "    [Stable]\n"
           "7 join b4\n"
           "    b4: GROUP_MAX_SIZE_REACHED\n");
}

static void a_group_that_was_empty_takes_more_members_again(void **state)
{
    replay("limits bytes=80\n" ONE_JOINED "0 join b\n"
           "    [PreparingRebalance]\n"
           "1 join a2 id=a\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "2 sync s id=a gen=2 give=a:12345,b:67890\n"
           "    s: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "3 join a3 id=a\n"
           "    a3: is a in generation 3, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "4 join b3 id=b\n"
           "    b3: GROUP_MAX_SIZE_REACHED\n"
           "5 sync s3 id=a gen=3 give=a:1\n"
           "    store generation 3 a=1, then go on\n"
           "6 saved gen=3\n"
           "    s3: owns \"1\"\n"
           "    [Stable]\n"
           "7 leave id=a\n"
           "    ok\n"
           "    store generation 4\n"
           "    [Empty]\n"
           "8 join b4\n"
           "    [PreparingRebalance]\n"
           "  at 8\n"
           "    b4: is b4 in generation 5, range, led by b4: b4=x\n"
           "    [CompletingRebalance]\n"
           "9 join c\n"
           "    [PreparingRebalance]\n");
}

/* Who was sent away takes no place of those who stay. */
static void who_was_sent_away_pushes_nobody_out(void **state)
{
    replay("limits delay=10 bytes=120\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n"
           "2 join c\n"
           "  at 20\n"
           "    a: is a in generation 1, range, led by a: a=x b=x c=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    c: is c in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "20 sync sb id=b gen=1\n"
           "21 sync sc id=c gen=1\n"
           "22 sync sa id=a gen=1 give=a:1234567890,b:1234567890,"
           "c:1234567890\n"
           "    sc: GROUP_MAX_SIZE_REACHED\n"
           "    sa: REBALANCE_IN_PROGRESS\n"
           "    sb: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "23 join c9\n"
           "    c9: GROUP_MAX_SIZE_REACHED\n"
           "24 join a2 id=a\n"
           "25 join b2 id=b\n"
           "    a2: is a in generation 2, range, led by a: a=x b=x\n"
           "    b2: is b in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n");
}

static void a_member_whose_own_assignment_does_not_fit_is_out(void **state)
{
    replay("limits bytes=40\n" ONE_JOINED "1 sync s id=a gen=1 give=a:12345\n"
           "    s: GROUP_MAX_SIZE_REACHED\n"
           "    store generation 2\n"
           "    [Empty]\n"
           "2 join b\n"
           "    [PreparingRebalance]\n");
}

static void a_store_that_comes_back_too_late_changes_nothing(void **state)
{
    replay(ONE_JOINED "1 sync s id=a gen=1 give=a:1\n"
                      "    store generation 1 a=1, then go on\n"
                      "2 join b\n"
                      "    s: REBALANCE_IN_PROGRESS\n"
                      "    [PreparingRebalance]\n"
                      "3 saved gen=1\n"
                      "4 join a2 id=a\n"
                      "    a2: is a in generation 2, range, led by a: a=x b=x\n"
                      "    b: is b in generation 2, range, led by a\n"
                      "    [CompletingRebalance]\n"
                      "5 saved gen=1\n"
                      "6 sync s2 id=a gen=2 give=a:1,b:2\n"
                      "    store generation 2 a=1 b=2, then go on\n"
                      "7 saved gen=1\n"
                      "8 saved gen=2\n"
                      "    s2: owns \"1\"\n"
                      "    [Stable]\n");
}

static void who_may_not_sync(void **state)
{
    replay("0 join a static=i as=a\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "1 sync s id=nobody gen=1\n"
           "    s: UNKNOWN_MEMBER_ID\n"
           "2 sync s id=a gen=2\n"
           "    s: ILLEGAL_GENERATION\n"
           "3 sync s id=a gen=1 static=j\n"
           "    s: UNKNOWN_MEMBER_ID\n"
           "4 sync s id=b gen=1 static=i\n"
           "    s: FENCED_INSTANCE_ID \n"
           "5 join b\n"
           "    [PreparingRebalance]\n"
           "6 sync s id=a gen=1\n"
           "    s: REBALANCE_IN_PROGRESS\n");
}

/* The longest rebalance time-out after the joins were answered. */
static void a_member_that_does_not_sync_in_time_is_out(void **state)
{
    replay("limits delay=10\n"
           "0 join a rebalance=8000 session=30000\n"
           "    [PreparingRebalance]\n"
           "1 join b rebalance=9000 session=30000\n" TWO_JOINED
           "20 sync sa id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "21 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    [Stable]\n"
           "9000 beat id=a gen=1\n"
           "    ok\n"
           "9000 beat id=b gen=1\n"
           "    ok\n"
           "  at 9020\n"
           "    [PreparingRebalance]\n"
           "9020 pass\n"
           "9021 beat id=b gen=1\n"
           "    UNKNOWN_MEMBER_ID\n");
}

static void a_leader_that_does_not_assign_in_time_is_out_too(void **state)
{
    replay("limits delay=10\n"
           "0 join a rebalance=8000 session=30000\n"
           "    [PreparingRebalance]\n"
           "1 join b rebalance=9000 session=30000\n" TWO_JOINED
           "20 sync sb id=b gen=1\n"
           "  at 9020\n"
           "    sb: REBALANCE_IN_PROGRESS\n"
           "    [PreparingRebalance]\n"
           "9020 pass\n"
           "9021 join b2 id=b\n"
           "    b2: is b in generation 2, range, led by b: b=x\n"
           "    [CompletingRebalance]\n"
           "9022 sync sb id=b gen=2 give=b:all\n"
           "    store generation 2 b=all, then go on\n"
           "9023 saved gen=2\n"
           "    sb: owns \"all\"\n"
           "    [Stable]\n"
           "  at 19023\n"
           "    store generation 3\n"
           "    [Empty]\n"
           "50000 pass\n");
}

static void a_sync_that_is_sent_again_takes_the_place_of_the_first(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync sb id=b gen=1\n"
           "21 sync sb2 id=b gen=1\n"
           "    sb: REBALANCE_IN_PROGRESS\n"
           "22 sync sa id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "23 sync sa2 id=a gen=1 give=a:other\n"
           "    sa: REBALANCE_IN_PROGRESS\n"
           "24 saved gen=1\n"
           "    sa2: owns \"1\"\n"
           "    sb2: owns \"2\"\n"
           "    [Stable]\n");
}

static void heartbeats_say_who_is_known_and_what_goes_on(void **state)
{
    replay("limits delay=10\n"
           "0 beat id=a gen=0\n"
           "    UNKNOWN_MEMBER_ID\n"
           "0 join a static=i as=a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n"
           "9 beat id=a gen=0\n"
           "    REBALANCE_IN_PROGRESS\n" TWO_JOINED "20 beat id=a gen=1\n"
           "    ok\n"
           "20 beat id=a gen=0\n"
           "    ILLEGAL_GENERATION\n"
           "20 beat id=nobody gen=1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "20 beat id=b gen=1 static=i\n"
           "    FENCED_INSTANCE_ID\n"
           "20 beat id=b gen=1 static=j\n"
           "    UNKNOWN_MEMBER_ID\n"
           "21 sync sa id=a gen=1 give=a:1\n"
           "    store generation 1 a=1 b=, then go on\n"
           "22 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    [Stable]\n"
           "22 beat id=a gen=1 static=i\n"
           "    ok\n"
           "22 beat id=b gen=1\n"
           "    ok\n");
}

/* A session of 6 s, a heartbeat of 1 s: the "never rebalance". */
static void one_of_two_falls_silent_and_the_other_owns_all(void **state)
{
    replay("limits delay=3000\n"
           "0 join a session=6000\n"
           "    [PreparingRebalance]\n"
           "100 join b session=6000\n"
           "  at 6000\n"
           "    a: is a in generation 1, range, led by a: a=x b=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "6001 sync sa id=a gen=1 give=a:0-1,b:2-3\n"
           "    store generation 1 a=0-1 b=2-3, then go on\n"
           "6002 sync sb id=b gen=1\n"
           "6005 saved gen=1\n"
           "    sa: owns \"0-1\"\n"
           "    sb: owns \"2-3\"\n"
           "    [Stable]\n"
           "7000 beat id=a gen=1\n"
           "    ok\n"
           "7000 beat id=b gen=1\n"
           "    ok\n"
           "8000 beat id=a gen=1\n"
           "    ok\n"
           "9000 beat id=a gen=1\n"
           "    ok\n"
           "10000 beat id=a gen=1\n"
           "    ok\n"
           "11000 beat id=a gen=1\n"
           "    ok\n"
           "12000 beat id=a gen=1\n"
           "    ok\n"
           "  at 13000\n"
           "    [PreparingRebalance]\n"
           "13000 beat id=a gen=1\n"
           "    REBALANCE_IN_PROGRESS\n"
           "13001 join a2 id=a session=6000\n"
           "    a2: is a in generation 2, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "13002 sync sa2 id=a gen=2 give=a:0-3\n"
           "    store generation 2 a=0-3, then go on\n"
           "13005 saved gen=2\n"
           "    sa2: owns \"0-3\"\n"
           "    [Stable]\n"
           "14000 beat id=a gen=2\n"
           "    ok\n"
           "14000 beat id=b gen=1\n"
           "    UNKNOWN_MEMBER_ID\n");
}

/* It cannot send heartbeats then; it has a whole session afterwards. */
static void a_member_that_waits_for_its_sync_does_not_expire(void **state)
{
    replay("limits delay=10\n"
           "0 join a session=6000\n"
           "    [PreparingRebalance]\n"
           "1 join b session=6000\n" TWO_JOINED "20 sync sb id=b gen=1\n"
           "5000 beat id=a gen=1\n"
           "    ok\n"
           "10000 beat id=a gen=1\n"
           "    ok\n"
           "11000 sync sa id=a gen=1 give=b:all\n"
           "    store generation 1 a= b=all, then go on\n"
           "11001 saved gen=1\n"
           "    sa: owns \"\"\n"
           "    sb: owns \"all\"\n"
           "    [Stable]\n"
           "16000 beat id=a gen=1\n"
           "    ok\n"
           "  at 17001\n"
           "    [PreparingRebalance]\n"
           "17001 pass\n");
}

static void
a_member_that_waits_for_a_rebalance_does_not_expire_the_others_do(void **state)
{
    replay("limits delay=10\n"
           "0 join a session=6000\n"
           "    [PreparingRebalance]\n"
           "1 join b session=30000\n" TWO_STABLE "30 join c session=6000\n"
           "    [PreparingRebalance]\n"
           "31 join a2 id=a session=6000\n"
           "29000 pass\n"
           "  at 30021\n"
           "    a2: is a in generation 2, range, led by a: a=x c=x\n"
           "    c: is c in generation 2, range, led by a\n"
           "    [CompletingRebalance]\n"
           "31000 pass\n");
}

/* Who has not come back by then is out. */
static void a_rebalance_waits_no_longer_than_the_longest_time_out(void **state)
{
    replay("limits delay=10\n"
           "0 join a rebalance=7000 session=30000\n"
           "    [PreparingRebalance]\n"
           "1 join b rebalance=9000 session=30000\n" TWO_STABLE
           "30 join c rebalance=7000\n"
           "    [PreparingRebalance]\n"
           "31 join b2 id=b rebalance=9000 session=30000\n"
           "  at 9030\n"
           "    b2: is b in generation 2, range, led by b: b=x c=x\n"
           "    c: is c in generation 2, range, led by b\n"
           "    [CompletingRebalance]\n"
           "9030 pass\n"
           "9031 beat id=a gen=2\n"
           "    UNKNOWN_MEMBER_ID\n");
}

static void
who_leaves_starts_a_rebalance_and_the_last_one_empties_the_group(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_STABLE "30 leave id=nobody\n"
           "    UNKNOWN_MEMBER_ID\n"
           "30 leave id=\n"
           "    UNKNOWN_MEMBER_ID\n"
           "31 leave id=a\n"
           "    ok\n"
           "    [PreparingRebalance]\n"
           "32 join b2 id=b\n"
           "    b2: is b in generation 2, range, led by b: b=x\n"
           "    [CompletingRebalance]\n"
           "33 leave id=b\n"
           "    ok\n"
           "    store generation 3\n"
           "    [Empty]\n"
           "34 leave id=b\n"
           "    UNKNOWN_MEMBER_ID\n");
}

static void a_member_that_leaves_while_it_waits_is_answered(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync sb id=b gen=1\n"
           "21 leave id=b\n"
           "    ok\n"
           "    sb: UNKNOWN_MEMBER_ID\n"
           "    [PreparingRebalance]\n"
           "22 join c\n"
           "23 leave id=c\n"
           "    ok\n"
           "    c: UNKNOWN_MEMBER_ID\n");
}

/* KIP-345. */
static void an_operator_takes_a_static_member_out_by_its_instance(void **state)
{
    replay("0 join a static=i as=a\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "1 leave static=j\n"
           "    UNKNOWN_MEMBER_ID\n"
           "2 leave static=i id=other\n"
           "    FENCED_INSTANCE_ID\n"
           "3 leave static=i\n"
           "    ok\n"
           "    store generation 2\n"
           "    [Empty]\n");
}

static void commits_are_for_members_and_for_groups_without(void **state)
{
    replay("limits delay=10\n"
           "0 commit gen=-1\n"
           "    ok\n"
           "0 commit gen=-1 id=x\n"
           "    ok\n"
           "0 commit gen=0 id=x\n"
           "    UNKNOWN_MEMBER_ID\n"
           "1 join a static=i as=a\n"
           "    [PreparingRebalance]\n"
           "2 join b\n"
           "3 commit gen=-1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "20 commit id=a gen=1\n"
           "    ILLEGAL_GENERATION\n"
           "  at 21\n"
           "    a: is a in generation 1, range, led by a: a=x b=x\n"
           "    b: is b in generation 1, range, led by a\n"
           "    [CompletingRebalance]\n"
           "21 sync sa id=a gen=1 give=a:1,b:2\n"
           "    store generation 1 a=1 b=2, then go on\n"
           "22 sync sb id=b gen=1\n"
           "23 saved gen=1\n"
           "    sa: owns \"1\"\n"
           "    sb: owns \"2\"\n"
           "    [Stable]\n"
           "24 commit id=a gen=1\n"
           "    ok\n"
           "24 commit id=a gen=1 static=i\n"
           "    ok\n"
           "24 commit id=a gen=0\n"
           "    ILLEGAL_GENERATION\n"
           "24 commit id=a gen=-1\n"
           "    ILLEGAL_GENERATION\n"
           "24 commit id=b gen=1 static=i\n"
           "    FENCED_INSTANCE_ID\n"
           "24 commit id=nobody gen=1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "24 commit gen=-1\n"
           "    UNKNOWN_MEMBER_ID\n"
           "25 leave id=b\n"
           "    ok\n"
           "    [PreparingRebalance]\n"
           "26 commit id=a gen=1\n"
           "    ok\n");
}

static void a_commit_is_a_sign_of_life(void **state)
{
    replay("0 join a session=6000\n"
           "    [PreparingRebalance]\n"
           "  at 0\n"
           "    a: is a in generation 1, range, led by a: a=x\n"
           "    [CompletingRebalance]\n"
           "1 sync s id=a gen=1 give=a:1\n"
           "    store generation 1 a=1, then go on\n"
           "2 saved gen=1\n"
           "    s: owns \"1\"\n"
           "    [Stable]\n"
           "5000 commit id=a gen=1\n"
           "    ok\n"
           "10999 beat id=a gen=1\n"
           "    ok\n"
           "  at 16999\n"
           "    store generation 2\n"
           "    [Empty]\n"
           "17000 pass\n");
}

/* Fresh sessions, the old generation, no rebalance. */
static void a_group_from_the_disk_goes_on_as_if_nothing_had_been(void **state)
{
    replay("stored gen=4 leader=b a=1 b=2\n"
           "    [Stable]\n"
           "1000 beat id=a gen=4\n"
           "    ok\n"
           "1000 beat id=b gen=3\n"
           "    ILLEGAL_GENERATION\n"
           "1000 beat id=b gen=4\n"
           "    ok\n"
           "1001 sync s id=a gen=4\n"
           "    s: owns \"1\"\n"
           "1002 commit id=a gen=4\n"
           "    ok\n"
           "1003 join a2 id=a\n"
           "    a2: is a in generation 4, range, led by b\n"
           "9000 beat id=b gen=4\n"
           "    ok\n"
           "  at 11003\n"
           "    [PreparingRebalance]\n"
           "11003 pass\n"
           "11004 beat id=b gen=4\n"
           "    REBALANCE_IN_PROGRESS\n"
           "11005 join b2 id=b\n"
           "    b2: is b in generation 5, range, led by b: b=x\n"
           "    [CompletingRebalance]\n"
           "11006 join c\n"
           "    [PreparingRebalance]\n");
}

static void an_empty_group_from_the_disk_remembers_its_generation(void **state)
{
    replay("stored gen=4\n"
           "0 commit gen=-1\n"
           "    ok\n"
           "0 commit gen=4 id=a\n"
           "    UNKNOWN_MEMBER_ID\n"
           "0 beat id=a gen=4\n"
           "    UNKNOWN_MEMBER_ID\n"
           "1 join a\n"
           "    [PreparingRebalance]\n");
}

static void what_waits_is_answered_when_the_broker_stops(void **state)
{
    replay("limits delay=10\n"
           "0 join a\n"
           "    [PreparingRebalance]\n"
           "1 join b\n" TWO_JOINED "20 sync sb id=b gen=1\n"
           "21 abandon\n"
           "    sb: COORDINATOR_NOT_AVAILABLE\n"
           "22 join c\n"
           "    [PreparingRebalance]\n"
           "23 abandon\n"
           "    c: COORDINATOR_NOT_AVAILABLE\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_assignment_is_stored_before_anybody_hears_of_it),
        cmocka_unit_test(
            an_assignment_that_cannot_be_stored_is_an_error_for_all_who_wait),
        cmocka_unit_test(
            the_newest_goes_when_what_was_assigned_cannot_be_stored),
        cmocka_unit_test(who_never_fits_causes_one_rebalance),
        cmocka_unit_test(a_group_that_was_empty_takes_more_members_again),
        cmocka_unit_test(who_was_sent_away_pushes_nobody_out),
        cmocka_unit_test(a_member_whose_own_assignment_does_not_fit_is_out),
        cmocka_unit_test(a_store_that_comes_back_too_late_changes_nothing),
        cmocka_unit_test(who_may_not_sync),
        cmocka_unit_test(a_member_that_does_not_sync_in_time_is_out),
        cmocka_unit_test(a_leader_that_does_not_assign_in_time_is_out_too),
        cmocka_unit_test(
            a_sync_that_is_sent_again_takes_the_place_of_the_first),
        cmocka_unit_test(heartbeats_say_who_is_known_and_what_goes_on),
        cmocka_unit_test(one_of_two_falls_silent_and_the_other_owns_all),
        cmocka_unit_test(a_member_that_waits_for_its_sync_does_not_expire),
        cmocka_unit_test(
            a_member_that_waits_for_a_rebalance_does_not_expire_the_others_do),
        cmocka_unit_test(a_rebalance_waits_no_longer_than_the_longest_time_out),
        cmocka_unit_test(
            who_leaves_starts_a_rebalance_and_the_last_one_empties_the_group),
        cmocka_unit_test(a_member_that_leaves_while_it_waits_is_answered),
        cmocka_unit_test(an_operator_takes_a_static_member_out_by_its_instance),
        cmocka_unit_test(commits_are_for_members_and_for_groups_without),
        cmocka_unit_test(a_commit_is_a_sign_of_life),
        cmocka_unit_test(a_group_from_the_disk_goes_on_as_if_nothing_had_been),
        cmocka_unit_test(an_empty_group_from_the_disk_remembers_its_generation),
        cmocka_unit_test(what_waits_is_answered_when_the_broker_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
