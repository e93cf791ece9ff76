/* walk.h - a group driven by arbitrary bytes, for the fuzzer and for a test.
 *
 * Each event takes a few bytes: what, who, when. Clients follow the protocol as
 * far as the bytes want it. After each event the group's own check holds, no
 * deadline is overdue, and every token is answered at most once; at the end,
 * when all is abandoned, exactly once. */
#ifndef UNIT_COORD_WALK_H
#define UNIT_COORD_WALK_H

#include "coord/group_core.h"

#include "base/mem.h"
#include "base/must.h"

#include <stdio.h>

enum { WALK_CLIENTS = 6, WALK_TOKENS_MAX = 65536, WALK_SAVES_MAX = 64 };

struct walk_client {
    char id[32];
    char instance[16]; /* "" : not static */
    int32_t generation;
};

struct walk {
    const uint8_t *at;
    const uint8_t *end;
    struct group_limits limits;
    struct group *group;
    struct group_effects effects;
    struct walk_client clients[WALK_CLIENTS];
    int64_t now_ms;
    uint32_t ids;
    uint32_t tokens;
    uint32_t answered;
    bool open[WALK_TOKENS_MAX];     /* by token */
    uint8_t asker[WALK_TOKENS_MAX]; /* which client */
    int32_t saves[WALK_SAVES_MAX];
    uint32_t saves_count;
};

static inline uint8_t walk_byte(struct walk *walk)
{
    return walk->at < walk->end ? *walk->at++ : 0;
}

static inline void *walk_token(struct walk *walk, uint32_t client)
{
    must(walk->tokens < WALK_TOKENS_MAX);
    walk->open[walk->tokens] = true;
    walk->asker[walk->tokens] = (uint8_t)client;
    return &walk->open[walk->tokens++];
}

static inline void walk_answers(struct walk *walk)
{
    for (uint32_t i = 0; i < walk->effects.answers_count; i++) {
        const struct group_answer *answer = &walk->effects.answers[i];
        bool *open = answer->token;
        struct walk_client *client =
            &walk->clients[walk->asker[open - walk->open]];

        must(*open);
        *open = false;
        walk->answered++;
        if (answer->kind == GROUP_ANSWER_JOIN && answer->member_id.len > 0) {
            str_copy(answer->member_id, client->id, sizeof(client->id));
        }
        if (answer->kind == GROUP_ANSWER_JOIN && answer->err == ERR_NONE) {
            client->generation = answer->generation;
        }
        if (answer->err == ERR_UNKNOWN_MEMBER_ID) {
            client->id[0] = '\0';
        }
    }
    if (walk->effects.saved_wanted && walk->saves_count < WALK_SAVES_MAX) {
        walk->saves[walk->saves_count++] = walk->group->generation;
    }
    must(!walk->effects.saved_wanted || walk->effects.save);
    group_effects_clear(&walk->effects);
    group_check(walk->group);
    must(group_deadline_ms(walk->group) > walk->now_ms ||
         walk->group->state == GROUP_PREPARING);
}

static inline struct str walk_instance(const struct walk_client *client)
{
    return client->instance[0] == '\0' ? STR_NULL : str_of(client->instance);
}

static inline void walk_join(struct walk *walk, uint32_t who, uint8_t how)
{
    const struct group_protocol protocols[] = {
        {STR_LIT("range"), STR_LIT("x")},
        {STR_LIT("rr"), STR_LIT("y")},
        {STR_LIT("range"), STR_LIT("z")},
    };
    struct walk_client *client = &walk->clients[who];
    char fresh[32];
    struct group_join join = {.token = walk_token(walk, who),
                              .now_ms = walk->now_ms,
                              .member_id = (how & 1) != 0 ? STR_LIT("")
                                                          : str_of(client->id),
                              .instance_id = walk_instance(client),
                              .client_id = STR_LIT("client"),
                              .client_host = STR_LIT("/host"),
                              .protocol_type = STR_LIT("consumer"),
                              .protocols = &protocols[(how >> 1) % 3],
                              .protocols_count = (how >> 3) % 3,
                              .session_timeout_ms = 5000 + (how & 7) * 4000,
                              .rebalance_timeout_ms = (how & 15) * 2000,
                              .id_required = (how & 32) != 0,
                              .can_skip = (how & 64) != 0};

    join.protocols_count =
        MIN(join.protocols_count + 1, (int32_t)(3 - (how >> 1) % 3));
    snprintf(fresh, sizeof(fresh), "m%u", walk->ids++);
    join.new_member_id = str_of(fresh);
    group_join(walk->group, &join, &walk->effects);
}

static inline void walk_sync(struct walk *walk, uint32_t who)
{
    struct group_protocol list[WALK_CLIENTS];
    struct walk_client *client = &walk->clients[who];
    struct group_sync sync = {.token = walk_token(walk, who),
                              .now_ms = walk->now_ms,
                              .member_id = str_of(client->id),
                              .instance_id = walk_instance(client),
                              .generation = client->generation,
                              .assignments = list};

    for (uint32_t i = 0; i < WALK_CLIENTS; i++) {
        list[sync.assignments_count++] = (struct group_protocol){
            str_of(walk->clients[i].id), STR_LIT("part")};
    }
    group_sync(walk->group, &sync, &walk->effects);
}

static inline void walk_saved(struct walk *walk, uint8_t how)
{
    int32_t generation;

    if (walk->saves_count == 0) {
        return;
    }
    generation = walk->saves[0];
    walk->saves_count--;
    memmove(walk->saves, walk->saves + 1,
            walk->saves_count * sizeof(walk->saves[0]));
    group_saved(walk->group, generation,
                how % 4 == 0 ? ERR_COORDINATOR_NOT_AVAILABLE : ERR_NONE,
                walk->now_ms, &walk->effects);
}

static inline void walk_event(struct walk *walk)
{
    uint8_t what = walk_byte(walk);
    uint8_t how = walk_byte(walk);
    uint32_t who = (what >> 4) % WALK_CLIENTS;
    struct walk_client *client = &walk->clients[who];
    struct group_caller caller = {.member_id = str_of(client->id),
                                  .instance_id = walk_instance(client),
                                  .generation = client->generation};
    enum err err = ERR_NONE;

    switch (what % 8) {
    case 0:
    case 1:
        walk_join(walk, who, how);
        break;
    case 2:
        walk_sync(walk, who);
        break;
    case 3:
        walk_saved(walk, how);
        break;
    case 4:
        err = group_heartbeat(walk->group, &caller, walk->now_ms);
        break;
    case 5:
        err = group_check_commit(walk->group, &caller, walk->now_ms);
        break;
    case 6:
        err = how % 4 == 0 ? group_leave(walk->group, &caller, walk->now_ms,
                                         &walk->effects)
                           : ERR_NONE;
        break;
    default:
        walk->now_ms += how * 50;
        group_tick(walk->group, walk->now_ms, &walk->effects);
        break;
    }
    must(err_wire(err) == (int16_t)err);
    walk_answers(walk);
}

/* Plays all bytes; gives how many rebalances were completed. */
static inline int32_t walk_bytes(const uint8_t *bytes, size_t count)
{
    struct walk *walk = MEM_NEW(struct walk);
    int32_t generations;

    walk->at = bytes;
    walk->end = bytes + MIN(count, (size_t)WALK_TOKENS_MAX);
    walk->limits = (struct group_limits){.initial_delay_ms = 3000,
                                         .session_ms_min = 6000,
                                         .session_ms_max = 30000,
                                         .members = 4,
                                         .stored_bytes = 160};
    walk->group = group_open(STR_LIT("g"), &walk->limits);
    for (int i = 0; i < WALK_CLIENTS / 2; i++) {
        snprintf(walk->clients[i].instance, sizeof(walk->clients[i].instance),
                 "i%d", i / 2); /* the first two are one instance */
    }
    while (walk->at < walk->end) {
        walk_event(walk);
    }
    group_abandon(walk->group, ERR_COORDINATOR_NOT_AVAILABLE, &walk->effects);
    walk_answers(walk);
    must(walk->answered == walk->tokens);
    generations = walk->group->generation;
    group_effects_fini(&walk->effects);
    group_close(walk->group);
    mem_free(walk);
    return generations;
}

#endif
