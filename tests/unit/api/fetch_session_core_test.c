/* Fetch sessions, as transcripts: what is asked on the left, what comes of it
 * on the right. */
#include "api/fetch_session_core.h"

#include "base/must.h"
#include "lib/fixture.h"

#include <stdio.h>
#include <string.h>

struct script {
    struct fetch_session_cache cache;
    struct fetch_session *session; /* in use */
    char text[4096];
    size_t bytes;
};

static void script_open(struct script *s, uint32_t limit, uint32_t partitions)
{
    *s = (struct script){.bytes = 0};
    fetch_session_cache_init(&s->cache, limit, partitions);
}

__attribute__((format(printf, 2, 3))) static void say(struct script *s,
                                                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    s->bytes += (size_t)vsnprintf(s->text + s->bytes,
                                  sizeof(s->text) - s->bytes, format, args);
    va_end(args);
    must(s->bytes < sizeof(s->text));
}

/* Partitions of the session in the order of serving, with their offsets. */
static void say_partitions(struct script *s)
{
    list_each(node, &s->session->partitions)
    {
        struct fetch_session_partition *p =
            container_of(node, struct fetch_session_partition, node);

        say(s, " %.*s-%d@%lld", STR_ARG(p->topic), p->partition,
            (long long)p->fetch_offset);
    }
    say(s, "\n");
}

static void create(struct script *s, int32_t id, int64_t now_ms)
{
    s->session = fetch_session_create(&s->cache, id, false, now_ms);
    say(s, "create %d at %lld: %s\n", id, (long long)now_ms,
        s->session == NULL ? "no room" : "epoch 1 is next");
}

static void wish(struct script *s, const char *topic, int32_t partition,
                 int64_t offset)
{
    struct fetch_session_wish w = {.topic = str_of(topic),
                                   .partition = partition,
                                   .max_bytes = 1000,
                                   .fetch_offset = offset};

    say(s, "wish %s-%d@%lld:%s", topic, partition, (long long)offset,
        fetch_session_wish(s->session, &w) ? "" : " one too many, still");
    say_partitions(s);
}

static void forget(struct script *s, const char *topic, int32_t partition)
{
    fetch_session_forget(s->session, (struct uuid){{0}}, str_of(topic),
                         partition);
    say(s, "forget %s-%d:", topic, partition);
    say_partitions(s);
}

/* The at-th partition had data. */
static void served(struct script *s, int at)
{
    struct list *node = s->session->partitions.next;

    while (at-- > 0) {
        node = node->next;
    }
    fetch_session_served(
        s->session, container_of(node, struct fetch_session_partition, node));
    say(s, "served:");
    say_partitions(s);
}

static void release(struct script *s)
{
    fetch_session_release(&s->cache, s->session);
    s->session = NULL;
    say(s, "release: %u sessions, %u partitions\n", s->cache.count,
        s->cache.partitions);
}

static void go_on(struct script *s, int32_t id, int32_t epoch, bool by_id,
                  int64_t now_ms)
{
    struct fetch_session *session = NULL;
    enum err err =
        fetch_session_continue(&s->cache, id, epoch, by_id, now_ms, &session);

    if (err == ERR_NONE) {
        s->session = session;
        say(s, "continue %d epoch %d: epoch %d is next\n", id, epoch,
            session->epoch);
    } else {
        say(s, "continue %d epoch %d: %s\n", id, epoch, err_name(err));
    }
}

static void drop(struct script *s, int32_t id)
{
    fetch_session_close(&s->cache, id);
    say(s, "close %d: %u sessions, %u partitions\n", id, s->cache.count,
        s->cache.partitions);
}

static void script_is(struct script *s, const char *expected)
{
    assert_string_equal(s->text, expected);
    fetch_session_cache_fini(&s->cache);
}

static void a_session_remembers_what_was_wished(void **state)
{
    struct script s;

    script_open(&s, 10, 100);
    create(&s, 7, 0);
    wish(&s, "a", 0, 5);
    wish(&s, "a", 1, 6);
    wish(&s, "b", 0, 7);
    release(&s);
    go_on(&s, 7, 1, false, 10);
    wish(&s, "a", 1, 60);
    forget(&s, "a", 0);
    forget(&s, "a", 9);
    release(&s);
    script_is(&s, "create 7 at 0: epoch 1 is next\n"
                  "wish a-0@5: a-0@5\n"
                  "wish a-1@6: a-0@5 a-1@6\n"
                  "wish b-0@7: a-0@5 a-1@6 b-0@7\n"
                  "release: 1 sessions, 3 partitions\n"
                  "continue 7 epoch 1: epoch 2 is next\n"
                  "wish a-1@60: a-0@5 a-1@60 b-0@7\n"
                  "forget a-0: a-1@60 b-0@7\n"
                  "forget a-9: a-1@60 b-0@7\n"
                  "release: 1 sessions, 2 partitions\n");
}

static void who_had_data_is_served_last_next_time(void **state)
{
    struct script s;

    script_open(&s, 10, 100);
    create(&s, 7, 0);
    wish(&s, "a", 0, 0);
    wish(&s, "a", 1, 0);
    wish(&s, "a", 2, 0);
    served(&s, 0);
    served(&s, 1);
    release(&s);
    script_is(&s, "create 7 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "wish a-1@0: a-0@0 a-1@0\n"
                  "wish a-2@0: a-0@0 a-1@0 a-2@0\n"
                  "served: a-1@0 a-2@0 a-0@0\n"
                  "served: a-1@0 a-0@0 a-2@0\n"
                  "release: 1 sessions, 3 partitions\n");
}

static void epochs_go_up_by_one_and_wrap_to_one(void **state)
{
    struct script s;

    script_open(&s, 10, 100);
    create(&s, 7, 0);
    wish(&s, "a", 0, 0);
    release(&s);
    go_on(&s, 7, 2, false, 0);
    go_on(&s, 7, 1, false, 0);
    release(&s);
    go_on(&s, 7, 1, false, 0);
    go_on(&s, 7, -5, false, 0);
    go_on(&s, 8, 2, false, 0);
    go_on(&s, 7, 2, true, 0); /* by ids where it was made by names */
    go_on(&s, 7, 2, false, 0);
    s.session->epoch = INT32_MAX;
    release(&s);
    go_on(&s, 7, INT32_MAX, false, 0);
    release(&s);
    script_is(&s, "create 7 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 1 sessions, 1 partitions\n"
                  "continue 7 epoch 2: INVALID_FETCH_SESSION_EPOCH\n"
                  "continue 7 epoch 1: epoch 2 is next\n"
                  "release: 1 sessions, 1 partitions\n"
                  "continue 7 epoch 1: INVALID_FETCH_SESSION_EPOCH\n"
                  "continue 7 epoch -5: INVALID_FETCH_SESSION_EPOCH\n"
                  "continue 8 epoch 2: FETCH_SESSION_ID_NOT_FOUND\n"
                  "continue 7 epoch 2: FETCH_SESSION_TOPIC_ID_ERROR\n"
                  "continue 7 epoch 2: epoch 3 is next\n"
                  "release: 1 sessions, 1 partitions\n"
                  "continue 7 epoch 2147483647: epoch 1 is next\n"
                  "release: 1 sessions, 1 partitions\n");
}

static void a_session_in_use_is_nobody_elses(void **state)
{
    struct script s;
    struct fetch_session *first;

    script_open(&s, 10, 100);
    create(&s, 7, 0);
    wish(&s, "a", 0, 0);
    release(&s);
    go_on(&s, 7, 1, false, 0);
    first = s.session;
    go_on(&s, 7, 2, false, 0);
    drop(&s, 7); /* goes when its request is done */
    go_on(&s, 7, 2, false, 0);
    drop(&s, 7);
    s.session = first;
    release(&s);
    script_is(&s, "create 7 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 1 sessions, 1 partitions\n"
                  "continue 7 epoch 1: epoch 2 is next\n"
                  "continue 7 epoch 2: INVALID_FETCH_SESSION_EPOCH\n"
                  "close 7: 0 sessions, 1 partitions\n"
                  "continue 7 epoch 2: FETCH_SESSION_ID_NOT_FOUND\n"
                  "close 7: 0 sessions, 1 partitions\n"
                  "release: 0 sessions, 0 partitions\n");
}

static void an_empty_session_is_closed(void **state)
{
    struct script s;

    script_open(&s, 10, 100);
    create(&s, 7, 0);
    wish(&s, "a", 0, 0);
    release(&s);
    go_on(&s, 7, 1, false, 0);
    forget(&s, "a", 0);
    release(&s);
    go_on(&s, 7, 2, false, 0);
    script_is(&s, "create 7 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 1 sessions, 1 partitions\n"
                  "continue 7 epoch 1: epoch 2 is next\n"
                  "forget a-0:\n"
                  "release: 0 sessions, 0 partitions\n"
                  "continue 7 epoch 2: FETCH_SESSION_ID_NOT_FOUND\n");
}

static void a_full_cache_gives_up_only_what_is_stale(void **state)
{
    struct script s;

    script_open(&s, 2, 100);
    create(&s, 1, 0);
    wish(&s, "a", 0, 0);
    release(&s);
    create(&s, 2, 1000);
    wish(&s, "a", 0, 0);
    release(&s);
    create(&s, 3, 119999);
    go_on(&s, 1, 1, false, 119999); /* in use, and not the oldest any more */
    release(&s);
    create(&s, 3, 121000);
    wish(&s, "a", 0, 0);
    release(&s);
    go_on(&s, 2, 1, false, 121000);
    go_on(&s, 1, 2, false, 121000);
    release(&s);
    script_is(&s, "create 1 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 1 sessions, 1 partitions\n"
                  "create 2 at 1000: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 2 sessions, 2 partitions\n"
                  "create 3 at 119999: no room\n"
                  "continue 1 epoch 1: epoch 2 is next\n"
                  "release: 2 sessions, 2 partitions\n"
                  "create 3 at 121000: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "release: 2 sessions, 2 partitions\n"
                  "continue 2 epoch 1: FETCH_SESSION_ID_NOT_FOUND\n"
                  "continue 1 epoch 2: epoch 3 is next\n"
                  "release: 2 sessions, 2 partitions\n");
}

static void a_cache_of_no_sessions_makes_none(void **state)
{
    struct script s;

    script_open(&s, 0, 100);
    create(&s, 1, 0);
    drop(&s, 1);
    script_is(&s, "create 1 at 0: no room\n"
                  "close 1: 0 sessions, 0 partitions\n");
}

static void partitions_of_all_sessions_have_a_limit(void **state)
{
    struct script s;

    script_open(&s, 10, 3);
    assert_true(fetch_session_fits(&s.cache, 3));
    assert_false(fetch_session_fits(&s.cache, 4));
    create(&s, 1, 0);
    wish(&s, "a", 0, 0);
    wish(&s, "a", 1, 0);
    release(&s);
    create(&s, 2, 0);
    wish(&s, "a", 0, 0);
    wish(&s, "a", 1, 0);
    wish(&s, "a", 0, 9); /* is there already */
    release(&s);
    drop(&s, 1);
    assert_true(fetch_session_fits(&s.cache, 2));
    script_is(&s, "create 1 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "wish a-1@0: a-0@0 a-1@0\n"
                  "release: 1 sessions, 2 partitions\n"
                  "create 2 at 0: epoch 1 is next\n"
                  "wish a-0@0: a-0@0\n"
                  "wish a-1@0: one too many, still a-0@0\n"
                  "wish a-0@9: a-0@9\n"
                  "release: 2 sessions, 3 partitions\n"
                  "close 1: 1 sessions, 1 partitions\n");
}

static void ids_and_names_are_different_partitions(void **state)
{
    struct script s;
    struct fetch_session_wish by_id = {.topic_id = {{1}}, .partition = 3};

    script_open(&s, 10, 100);
    create(&s, 1, 0);
    assert_true(fetch_session_wish(s.session, &by_id));
    by_id.topic_id.bytes[15] = 9;
    assert_true(fetch_session_wish(s.session, &by_id));
    assert_int_equal(s.session->count, 2);
    fetch_session_forget(s.session, by_id.topic_id, STR_NULL, 3);
    assert_int_equal(s.session->count, 1);
    release(&s);
    fetch_session_cache_fini(&s.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_remembers_what_was_wished),
        cmocka_unit_test(who_had_data_is_served_last_next_time),
        cmocka_unit_test(epochs_go_up_by_one_and_wrap_to_one),
        cmocka_unit_test(a_session_in_use_is_nobody_elses),
        cmocka_unit_test(an_empty_session_is_closed),
        cmocka_unit_test(a_full_cache_gives_up_only_what_is_stale),
        cmocka_unit_test(a_cache_of_no_sessions_makes_none),
        cmocka_unit_test(partitions_of_all_sessions_have_a_limit),
        cmocka_unit_test(ids_and_names_are_different_partitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
