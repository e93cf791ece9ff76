/* state_text.h - all that a state holds, as text: equal states, equal texts. */
#ifndef UNIT_META_STATE_TEXT_H
#define UNIT_META_STATE_TEXT_H

#include "unit/meta/script.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATE_LINES_MAX = 20000 };

struct state_lines {
    struct arena *arena;
    struct str lines[STATE_LINES_MAX];
    size_t count;
};

static inline int state_line_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static inline void state_line(struct state_lines *out, struct str line)
{
    must(out->count < STATE_LINES_MAX);
    out->lines[out->count++] = line;
}

static inline void state_topic_lines(struct state_lines *out,
                                     const struct topic *t)
{
    char id[UUID_TEXT_BYTES];

    uuid_text(t->id, id);
    state_line(out, arena_printf(out->arena, "topic %s %s %d %lld %s",
                                 t->name.ptr, id, (int)t->partitions_count,
                                 (long long)t->created_at_ms, t->source.ptr));
    for (int32_t i = 0; i < t->partitions_count; i++) {
        const struct topic_partition *p = &t->partitions[i];
        struct rows rows = {0};

        rows_add(&rows, ROW_PARTITION_PUT);
        rows_text(&rows, t->name);
        rows_i64(&rows, i);
        rows_i64(&rows, p->leader);
        rows_i64(&rows, p->leader_epoch);
        rows_i64(&rows, p->partition_epoch);
        rows_numbers(&rows, p->replicas, p->replicas_count);
        rows_numbers(&rows, p->isr, p->isr_count);
        state_line(out, script_rows_text(&rows, out->arena));
        rows_fini(&rows);
    }
    for (int32_t i = 0; i < t->overrides_count; i++) {
        state_line(out, arena_printf(out->arena, "config %s %s=%s", t->name.ptr,
                                     t->overrides[i].name.ptr,
                                     t->overrides[i].value.ptr));
    }
}

static inline void state_offset_lines(struct state_lines *out,
                                      const struct state *s)
{
    const struct offsets_group *g;
    size_t at = 0;

    while (offsets_next(&s->offsets, &at, &g)) {
        for (int32_t i = 0; i < g->count; i++) {
            const struct topic *t =
                topics_find_id(&s->topics, g->topics[i].topic_id);

            must(t != NULL && g->topics[i].count > 0);
            for (int32_t j = 0; j < g->topics[i].count; j++) {
                const struct offset *o = &g->topics[i].items[j];

                state_line(
                    out,
                    arena_printf(out->arena,
                                 "offset %.*s %s %d: %lld %d %lld %lld '%.*s'",
                                 (int)g->group_id_bytes, g->group_id,
                                 t->name.ptr, (int)o->partition,
                                 (long long)o->offset, (int)o->leader_epoch,
                                 (long long)o->committed_at_ms,
                                 (long long)o->expire_at_ms,
                                 STR_ARG(offset_metadata(o))));
            }
        }
    }
}

static inline void state_group_lines(struct state_lines *out,
                                     const struct state *s)
{
    const struct stored_group *g;
    size_t at = 0;

    while (groups_next(&s->groups, &at, &g)) {
        state_line(out, arena_printf(out->arena, "group %s %d %s %s %s %lld",
                                     g->group_id.ptr, (int)g->generation,
                                     g->protocol_type.ptr,
                                     g->protocol.ptr ? g->protocol.ptr : "null",
                                     g->leader.ptr ? g->leader.ptr : "null",
                                     (long long)g->saved_at_ms));
        for (int32_t i = 0; i < g->members_count; i++) {
            const struct stored_member *m = &g->members[i];

            state_line(out, arena_printf(
                                out->arena, "member %s %d %s %s %s %d %d %s %s",
                                g->group_id.ptr, (int)i, m->member_id.ptr,
                                m->client_id.ptr, m->client_host.ptr,
                                (int)m->session_timeout_ms,
                                (int)m->rebalance_timeout_ms,
                                m->subscription.ptr, m->assignment.ptr));
        }
    }
}

static inline void state_broker_lines(struct state_lines *out,
                                      const struct state *s)
{
    for (int32_t i = 0; s->brokers != NULL && i < s->brokers->count; i++) {
        const struct broker *b = &s->brokers->items[i];

        state_line(out,
                   arena_printf(out->arena, "broker %d %s %lld %lld",
                                (int)b->id, b->rack.ptr ? b->rack.ptr : "null",
                                (long long)b->epoch,
                                (long long)b->registered_at_ms));
        for (int32_t j = 0; j < b->listeners_count; j++) {
            state_line(out, arena_printf(out->arena, "listener %d %d %s %s:%d",
                                         (int)b->id, (int)j,
                                         b->listeners[j].name.ptr,
                                         b->listeners[j].host.ptr,
                                         (int)b->listeners[j].port));
        }
    }
}

/* In the arena. The index is left out: a refused command moves it too. */
static inline struct str state_text(const struct state *s, struct arena *arena)
{
    struct state_lines *out = ARENA_NEW(arena, struct state_lines);
    struct topic *topic;
    struct writer w;
    size_t at = 0;

    out->arena = arena;
    state_line(out,
               arena_printf(arena, "cluster '%s' %lld schema %d", s->cluster_id,
                            (long long)s->cluster_created_at_ms,
                            (int)s->schema_version));
    state_line(out, arena_printf(arena,
                                 "next id %lld, change %lld, %lld "
                                 "partitions, %lld offsets",
                                 (long long)s->producer_id_next,
                                 (long long)s->topics.history_next,
                                 (long long)s->topics.partitions_count,
                                 (long long)s->offsets.count));
    for (int i = 0; i < COORDINATOR_SLOTS; i++) {
        state_line(out, arena_printf(arena, "slot %d %d %d", i,
                                     (int)s->coordinators[i].broker_id,
                                     (int)s->coordinators[i].epoch));
    }
    state_broker_lines(out, s);
    while (topics_next(&s->topics, &at, &topic)) {
        state_topic_lines(out, topic);
    }
    state_offset_lines(out, s);
    state_group_lines(out, s);
    qsort(out->lines, out->count, sizeof(out->lines[0]), state_line_cmp);
    writer_init(&w, arena, 4096);
    for (size_t i = 0; i < out->count; i++) {
        writer_raw(&w, out->lines[i].ptr, out->lines[i].len);
        writer_raw(&w, "\n", 1);
    }
    writer_u8(&w, 0);
    return writer_output(&w);
}

/* A random line; most of them will do something. */
static inline struct str script_random(uint64_t *seed, struct arena *arena)
{
    int a = (int)(fixture_random(seed) % 4);
    int b = (int)(fixture_random(seed) % 3);
    int n = (int)(fixture_random(seed) % 1000);

    switch (fixture_random(seed) % 12) {
    case 0:
        return arena_printf(arena, "topic topic.%d %c %d retention.ms=%d", a,
                            'A' + a, b + 1, n);
    case 1:
        return arena_printf(arena, "topic topic.%d %c %d", a, 'A' + a, b + 1);
    case 2:
        return arena_printf(arena, "untopic %c", 'A' + a);
    case 3:
        return arena_printf(arena, "ids %d %d", b, n + 1);
    case 4:
        return arena_printf(arena, "slot %d %d %d", a, b, n);
    case 5:
        return arena_printf(arena, "group g%d -1 %d m%d:sub:asg n%d", a, n, b,
                            b);
    case 6:
        return arena_printf(arena, "group g%d -1 %d", a, n);
    case 7:
        return b != 0 ? arena_printf(arena, "ungroup g%d -1", a)
                      : arena_printf(arena, "broker %d - h:%d i:%d", a, n, b);
    case 8:
        return arena_printf(arena, "uncommit g%d -1 %c:%d", a, 'A' + b, b);
    default:
        return arena_printf(arena, "commit g%d -1 %c:%d:%d %c:%d:%d:text%d", b,
                            'A' + a, b, n, 'A' + b, a, n + 1, n);
    }
}

#endif
