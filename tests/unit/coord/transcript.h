/* transcript.h - a group's life as text: what was said to it, what it did.
 *
 * A transcript has a line for each event, with its time in ms, and below it,
 * indented, what came of it. replay() reads the events out of the text, plays
 * them, writes the same text anew, and compares it whole: so the text is the
 * test and its documentation.
 *
 *   limits delay=3000 members=3 bytes=200      before the first event
 *   stored gen=4 leader=a a=1 b=2     the group as it was on the disk
 *   0 join t [id=a] [as=a] [static=i] [can=range:x,rr:y] [type=consumer]
 *          [session=10000] [rebalance=60000] [v=3]
 *   0 sync t id=a gen=1 [static=i] [give=a:1,b:2] [type=] [protocol=]
 *   0 beat id=a gen=1 [static=i]      also: commit, leave (without gen)
 *   0 saved gen=1 [err=1]             the group is stored, or could not be
 *   0 pass                            nothing but time
 *   0 abandon
 *
 * t is a token: who is answered. as: the id that a new member gets, else the
 * token. What falls due before an event happens before it, and says when. */
#ifndef UNIT_COORD_TRANSCRIPT_H
#define UNIT_COORD_TRANSCRIPT_H

#include "coord/group_core.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"
#include "lib/fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Beginnings that many have in common. "a" comes alone, without a delay: */
#define ONE_JOINED                                                             \
    "0 join a\n"                                                               \
    "    [PreparingRebalance]\n"                                               \
    "  at 0\n"                                                                 \
    "    a: is a in generation 1, range, led by a: a=x\n"                      \
    "    [CompletingRebalance]\n"

/* "a" and "b" have come within a delay of 10 ms: */
#define TWO_JOINED                                                             \
    "  at 20\n"                                                                \
    "    a: is a in generation 1, range, led by a: a=x b=x\n"                  \
    "    b: is b in generation 1, range, led by a\n"                           \
    "    [CompletingRebalance]\n"

/* The same, and they have what "a" gives them: */
#define TWO_STABLE                                                             \
    TWO_JOINED                                                                 \
    "20 sync sa id=a gen=1 give=a:1,b:2\n"                                     \
    "    store generation 1 a=1 b=2, then go on\n"                             \
    "20 sync sb id=b gen=1\n"                                                  \
    "21 saved gen=1\n"                                                         \
    "    sa: owns \"1\"\n"                                                     \
    "    sb: owns \"2\"\n"                                                     \
    "    [Stable]\n"

enum { TRANSCRIPT_BYTES = 65536, TRANSCRIPT_LIST_MAX = 16 };

struct transcript {
    struct arena arena;
    struct group *group;
    struct group_limits limits;
    struct group_effects effects;
    enum group_state state;
    char text[TRANSCRIPT_BYTES];
    size_t len;
};

static void PRINTF_LIKE(2, 3)
    transcript_say(struct transcript *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->len += (size_t)vsnprintf(t->text + t->len, sizeof(t->text) - t->len,
                                format, args);
    va_end(args);
    must(t->len < sizeof(t->text));
}

/* The value of " key=" in the line; null when it is not there. */
static struct str transcript_get(struct transcript *t, struct str line,
                                 const char *key)
{
    char what[32];
    char *copy = arena_alloc(&t->arena, line.len + 1);
    char *at;

    memcpy(copy, line.ptr, line.len);
    snprintf(what, sizeof(what), " %s=", key);
    at = strstr(copy, what);
    if (at == NULL) {
        return STR_NULL;
    }
    at += strlen(what);
    return str_sub(at, strcspn(at, " "));
}

static int32_t transcript_number(struct transcript *t, struct str line,
                                 const char *key, int32_t otherwise)
{
    struct str value = transcript_get(t, line, key);
    int64_t number;

    if (str_is_null(value)) {
        return otherwise;
    }
    must(str_to_i64(value, &number));
    return (int32_t)number;
}

static struct str transcript_or(struct str value, struct str otherwise)
{
    return str_is_null(value) ? otherwise : value;
}

/* "a:1,b:2" as a list; items that have no colon have no bytes. */
static struct group_protocol *transcript_list(struct transcript *t,
                                              struct str text, int32_t *count)
{
    struct group_protocol *list =
        arena_array(&t->arena, TRANSCRIPT_LIST_MAX, sizeof(*list));

    *count = 0;
    while (text.len > 0) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        const char *colon = memchr(text.ptr, ':', len);
        size_t name = colon == NULL ? len : (size_t)(colon - text.ptr);

        must(*count < TRANSCRIPT_LIST_MAX);
        list[(*count)++] = (struct group_protocol){
            .name = str_sub(text.ptr, name),
            .metadata = colon == NULL ? STR_LIT("")
                                      : str_sub(colon + 1, len - name - 1)};
        len += comma == NULL ? 0 : 1;
        text = str_sub(text.ptr + len, text.len - len);
    }
    return list;
}

static void transcript_answer(struct transcript *t,
                              const struct group_answer *answer)
{
    transcript_say(t, "    %s: ", (const char *)answer->token);
    if (answer->err != ERR_NONE) {
        transcript_say(t, "%s", err_name(answer->err));
        if (answer->err == ERR_MEMBER_ID_REQUIRED ||
            answer->err == ERR_FENCED_INSTANCE_ID) {
            transcript_say(t, " %.*s", STR_ARG(answer->member_id));
        }
    } else if (answer->kind == GROUP_ANSWER_SYNC) {
        transcript_say(t, "owns \"%.*s\"", STR_ARG(answer->assignment));
    } else {
        transcript_say(t, "is %.*s in generation %d, %.*s, led by %.*s",
                       STR_ARG(answer->member_id), (int)answer->generation,
                       STR_ARG(t->group->protocol), STR_ARG(answer->leader_id));
        transcript_say(t, "%s", answer->skip_assignment ? ", assigned" : "");
        if (answer->with_members) {
            transcript_say(t, ":");
            list_each(node, &t->group->members)
            {
                struct group_member *m =
                    container_of(node, struct group_member, node);

                transcript_say(t, " %.*s=%.*s", STR_ARG(m->id),
                               STR_ARG(group_member_metadata(t->group, m)));
            }
        }
    }
    transcript_say(t, "\n");
}

/* What is to be stored, and whether somebody waits for it. */
static void transcript_save(struct transcript *t)
{
    const struct group *group = t->group;

    transcript_say(t, "    store generation %d", (int)group->generation);
    list_each(node, &group->members)
    {
        struct group_member *m = container_of(node, struct group_member, node);

        transcript_say(t, " %.*s=%.*s", STR_ARG(m->id), STR_ARG(m->assignment));
    }
    transcript_say(t, "%s\n",
                   t->effects.saved_wanted         ? ", then go on"
                   : t->effects.answers_after_save ? ", then answer"
                                                   : "");
}

static void transcript_effects(struct transcript *t)
{
    for (uint32_t i = 0; i < t->effects.answers_count; i++) {
        transcript_answer(t, &t->effects.answers[i]);
    }
    if (t->effects.save) {
        transcript_save(t);
    }
    if (t->state != t->group->state) {
        t->state = t->group->state;
        transcript_say(t, "    [%s]\n", group_state_name(t->state));
    }
    group_effects_clear(&t->effects);
    group_check(t->group);
}

/* What falls due until then. */
static void transcript_pass(struct transcript *t, int64_t until_ms)
{
    while (group_deadline_ms(t->group) <= until_ms) {
        int64_t now_ms = group_deadline_ms(t->group);
        size_t before = t->len;
        size_t said;

        transcript_say(t, "  at %lld\n", (long long)now_ms);
        said = t->len;
        group_tick(t->group, now_ms, &t->effects);
        transcript_effects(t);
        t->len = t->len == said ? before : t->len;
    }
}

static void transcript_join(struct transcript *t, int64_t now_ms,
                            struct str line, char *token)
{
    int32_t version = transcript_number(t, line, "v", 3);
    struct str can =
        transcript_or(transcript_get(t, line, "can"), STR_LIT("range:x"));
    struct group_join join = {
        .token = token,
        .now_ms = now_ms,
        .member_id = transcript_or(transcript_get(t, line, "id"), STR_LIT("")),
        .instance_id = transcript_get(t, line, "static"),
        .client_id = STR_LIT("client"),
        .client_host = STR_LIT("/host"),
        .new_member_id =
            transcript_or(transcript_get(t, line, "as"), str_of(token)),
        .protocol_type =
            transcript_or(transcript_get(t, line, "type"), STR_LIT("consumer")),
        .session_timeout_ms = transcript_number(t, line, "session", 10000),
        .rebalance_timeout_ms = transcript_number(t, line, "rebalance", 60000),
        .id_required = version >= 4,
        .can_skip = version >= 9};

    join.protocols = transcript_list(t, can, &join.protocols_count);
    group_join(t->group, &join, &t->effects);
}

static void transcript_sync(struct transcript *t, int64_t now_ms,
                            struct str line, char *token)
{
    struct group_sync sync = {.token = token,
                              .now_ms = now_ms,
                              .member_id = transcript_get(t, line, "id"),
                              .instance_id = transcript_get(t, line, "static"),
                              .generation =
                                  transcript_number(t, line, "gen", -1),
                              .protocol_type = transcript_get(t, line, "type"),
                              .protocol = transcript_get(t, line, "protocol")};

    sync.assignments = transcript_list(t, transcript_get(t, line, "give"),
                                       &sync.assignments_count);
    group_sync(t->group, &sync, &t->effects);
}

/* What is answered at once. */
static enum err transcript_call(struct transcript *t, int64_t now_ms,
                                struct str line, const char *verb)
{
    struct group_caller caller = {
        .member_id = transcript_or(transcript_get(t, line, "id"), STR_LIT("")),
        .instance_id = transcript_get(t, line, "static"),
        .generation = transcript_number(t, line, "gen", -1)};

    if (strcmp(verb, "beat") == 0) {
        return group_heartbeat(t->group, &caller, now_ms);
    }
    if (strcmp(verb, "commit") == 0) {
        return group_check_commit(t->group, &caller, now_ms);
    }
    must(strcmp(verb, "leave") == 0);
    return group_leave(t->group, &caller, now_ms, &t->effects);
}

static void transcript_event(struct transcript *t, int64_t now_ms,
                             struct str line, const char *verb, char *token)
{
    int32_t gen = transcript_number(t, line, "gen", -1);

    if (strcmp(verb, "join") == 0) {
        transcript_join(t, now_ms, line, token);
    } else if (strcmp(verb, "sync") == 0) {
        transcript_sync(t, now_ms, line, token);
    } else if (strcmp(verb, "saved") == 0) {
        group_saved(t->group, gen,
                    transcript_number(t, line, "err", 0) == 0
                        ? ERR_NONE
                        : ERR_COORDINATOR_NOT_AVAILABLE,
                    now_ms, &t->effects);
    } else if (strcmp(verb, "abandon") == 0) {
        group_abandon(t->group, ERR_COORDINATOR_NOT_AVAILABLE, &t->effects);
    } else if (strcmp(verb, "pass") != 0) {
        enum err err = transcript_call(t, now_ms, line, verb);

        transcript_say(t, "    %s\n", err == ERR_NONE ? "ok" : err_name(err));
    }
    transcript_effects(t);
}

static void transcript_limits(struct transcript *t, struct str line)
{
    t->limits.initial_delay_ms = transcript_number(t, line, "delay", 0);
    t->limits.members =
        (uint32_t)transcript_number(t, line, "members", INT32_MAX);
    t->limits.stored_bytes =
        (uint64_t)transcript_number(t, line, "bytes", INT32_MAX);
}

/* "stored gen=4 leader=a a=1 b=2": members are single letters. */
static void transcript_stored(struct transcript *t, struct str line)
{
    struct str leader = transcript_get(t, line, "leader");

    group_restore(t->group, transcript_number(t, line, "gen", 0),
                  STR_LIT("consumer"),
                  str_is_null(leader) ? STR_NULL : STR_LIT("range"));
    for (char name = 'a'; name <= 'z'; name++) {
        struct group_protocol range = {STR_LIT("range"), STR_LIT("x")};
        char key[2] = {name, '\0'};
        struct group_member member = {.id = str_of(key),
                                      .client_id = STR_LIT("client"),
                                      .client_host = STR_LIT("/host"),
                                      .session_timeout_ms = 10000,
                                      .rebalance_timeout_ms = 60000,
                                      .protocols = &range,
                                      .protocols_count = 1};

        member.assignment = transcript_get(t, line, key);
        if (!str_is_null(member.assignment)) {
            group_restore_member(t->group, &member, str_eq(leader, member.id),
                                 0);
        }
    }
    transcript_effects(t);
}

static void transcript_line(struct transcript *t, struct str line)
{
    long long now_ms = 0;
    char verb[16];
    char *token = arena_alloc(&t->arena, 16);

    if (line.len == 0 || line.ptr[0] == ' ') {
        return; /* what is expected: it is compared in the end */
    }
    line = arena_str(&t->arena, line);
    if (line.ptr[0] > '9') {
        transcript_say(t, "%s\n", line.ptr);
        if (line.ptr[0] == 'l') {
            transcript_limits(t, line);
        } else {
            transcript_stored(t, line);
        }
        return;
    }
    must(sscanf(line.ptr, "%lld %15s %15s", &now_ms, verb, token) >= 2);
    transcript_pass(t, now_ms);
    transcript_say(t, "%s\n", line.ptr);
    transcript_event(t, now_ms, line, verb, token);
}

static void replay(const char *text)
{
    struct transcript *t = MEM_NEW(struct transcript);
    const char *at = text;

    t->limits = (struct group_limits){.session_ms_min = 6000,
                                      .session_ms_max = 1800000,
                                      .members = INT32_MAX,
                                      .stored_bytes = INT32_MAX};
    t->group = group_open(STR_LIT("g"), &t->limits);
    while (*at != '\0') {
        size_t len = strcspn(at, "\n");

        transcript_line(t, str_sub(at, len));
        at += len + (at[len] == '\n' ? 1 : 0);
    }
    if (strcmp(t->text, text) != 0) {
        fprintf(stderr, "%s", t->text);
    }
    assert_string_equal(t->text, text);
    group_abandon(t->group, ERR_COORDINATOR_NOT_AVAILABLE, &t->effects);
    group_effects_fini(&t->effects);
    group_close(t->group);
    arena_reset(&t->arena);
    mem_free(t);
}

#endif
