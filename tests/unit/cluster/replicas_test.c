/* The table of replicas: found by any loop, while it changes. */
#include "unit/cluster/loops_world.h"

#include "base/mem.h"
#include "cluster/replicas.h"

enum { TOPICS = 500, PARTITIONS = 3, ROUNDS = 20 };

/* The table never looks into a replica: a number stands for one. */
static struct replica *made_up(int topic, int partition)
{
    return (struct replica *)(uintptr_t)(topic * PARTITIONS + partition + 1);
}

static struct uuid id_of(int topic)
{
    struct uuid id = {{0}};

    /* Many share a first place in the table. */
    id.bytes[0] = (uint8_t)(topic % 5);
    id.bytes[8] = (uint8_t)topic;
    id.bytes[9] = (uint8_t)(topic >> 8);
    id.bytes[15] = 1;
    return id;
}

static void publish(struct replicas *replicas, int topic)
{
    struct replica *all[PARTITIONS];

    for (int i = 0; i < PARTITIONS; i++) {
        all[i] = made_up(topic, i);
    }
    replicas_publish(replicas, id_of(topic), all, PARTITIONS);
}

static void withdraw(struct replicas *replicas, int topic)
{
    struct replica **all;

    assert_int_equal(replicas_withdraw(replicas, id_of(topic), &all),
                     PARTITIONS);
    assert_ptr_equal(all[1], made_up(topic, 1));
    mem_free(all);
}

static void find_what_was_published(struct errand *errand)
{
    struct replicas *replicas =
        replicas_open(loop_env(loops_at(errand->arg, 0)));
    struct replica **all;

    assert_null(replicas_find(replicas, id_of(0), 0));
    for (int i = 0; i < TOPICS; i++) {
        publish(replicas, i);
    }
    for (int i = 0; i < TOPICS; i++) {
        for (int p = 0; p < PARTITIONS; p++) {
            assert_ptr_equal(replicas_find(replicas, id_of(i), p),
                             made_up(i, p));
        }
        assert_null(replicas_find(replicas, id_of(i), PARTITIONS));
        assert_null(replicas_find(replicas, id_of(i), -1));
    }
    assert_null(replicas_find(replicas, id_of(TOPICS), 0));
    assert_int_equal(replicas_withdraw(replicas, id_of(TOPICS), &all), 0);
    assert_null(all);
    for (int i = 0; i < TOPICS; i += 2) {
        withdraw(replicas, i);
    }
    for (int i = 0; i < TOPICS; i++) {
        assert_ptr_equal(replicas_find(replicas, id_of(i), 2),
                         i % 2 == 0 ? NULL : made_up(i, 2));
    }
    for (int i = 1; i < TOPICS; i += 2) {
        withdraw(replicas, i);
    }
    replicas_close(replicas, errand_end, errand);
}

static void what_was_published_is_found_until_it_is_withdrawn(void **state)
{
    struct loops_world w;

    loops_world_open(&w, 1);
    loops_world_do(&w, 0, find_what_was_published, w.loops);
    loops_world_close(&w);
}

/* Topics come and go for ever: the graves must not fill the table. */
static void come_and_go(struct errand *errand)
{
    struct replicas *replicas =
        replicas_open(loop_env(loops_at(errand->arg, 0)));

    for (int i = 0; i < 20000; i++) {
        publish(replicas, i);
        if (i >= 3) {
            withdraw(replicas, i - 3);
        }
        assert_ptr_equal(replicas_find(replicas, id_of(i), 0), made_up(i, 0));
        assert_null(replicas_find(replicas, id_of(i + 1), 0));
    }
    for (int i = 20000 - 3; i < 20000; i++) {
        withdraw(replicas, i);
    }
    replicas_close(replicas, errand_end, errand);
}

static void a_table_lives_through_many_topics(void **state)
{
    struct loops_world w;

    loops_world_open(&w, 1);
    loops_world_do(&w, 0, come_and_go, w.loops);
    loops_world_close(&w);
}

/* A partition that could not be opened comes later. */
static void one_more(struct errand *errand)
{
    struct replicas *replicas =
        replicas_open(loop_env(loops_at(errand->arg, 0)));
    struct replica *all[PARTITIONS] = {NULL};

    assert_false(replicas_has(replicas, id_of(1)));
    replicas_publish(replicas, id_of(1), all, PARTITIONS);
    assert_true(replicas_has(replicas, id_of(1)));
    assert_null(replicas_find(replicas, id_of(1), 1));
    publish(replicas, 2);
    publish(replicas, 1);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_ptr_equal(replicas_find(replicas, id_of(1), i), made_up(1, i));
        assert_ptr_equal(replicas_find(replicas, id_of(2), i), made_up(2, i));
    }
    withdraw(replicas, 1);
    assert_false(replicas_has(replicas, id_of(1)));
    withdraw(replicas, 2);
    replicas_close(replicas, errand_end, errand);
}

static void a_topic_that_is_there_is_replaced_in_its_place(void **state)
{
    struct loops_world w;

    loops_world_open(&w, 1);
    loops_world_do(&w, 0, one_more, w.loops);
    loops_world_close(&w);
}

struct crowd {
    struct loops *loops;
    struct replicas *replicas;
    _Atomic bool stop;
    _Atomic int found;
};

/* One turn after the other, as a loop that serves would. */
static void look_again(struct errand *errand)
{
    struct crowd *crowd = errand->arg;

    for (int i = 0; i < 200; i++) {
        struct replica *replica =
            replicas_find(crowd->replicas, id_of(i % 50), 1);

        must(replica == NULL || replica == made_up(i % 50, 1));
        if (replica != NULL) {
            atomic_fetch_add(&crowd->found, 1);
        }
    }
    if (atomic_load(&crowd->stop)) {
        errand_end(errand);
    } else {
        mail_send(loop_current(), &errand->mail);
    }
}

static void open_table(struct errand *errand)
{
    struct crowd *crowd = errand->arg;

    crowd->replicas = replicas_open(loop_env(loops_at(crowd->loops, 0)));
    errand_end(errand);
}

static void publish_all(struct errand *errand)
{
    struct crowd *crowd = errand->arg;

    for (int i = 0; i < 50; i++) {
        publish(crowd->replicas, i);
    }
    errand_end(errand);
}

static void withdraw_all(struct errand *errand)
{
    struct crowd *crowd = errand->arg;

    for (int i = 0; i < 50; i++) {
        withdraw(crowd->replicas, i);
    }
    errand_end(errand);
}

static void close_table(struct errand *errand)
{
    struct crowd *crowd = errand->arg;

    replicas_close(crowd->replicas, errand_end, errand);
}

static void loops_look_while_the_table_changes(void **state)
{
    struct loops_world w;
    struct crowd crowd = {.found = 0};
    struct errand lookers[3];

    loops_world_open(&w, 4);
    crowd.loops = w.loops;
    loops_world_do(&w, 0, open_table, &crowd);
    for (unsigned i = 0; i < 3; i++) {
        errand_start(&w, i + 1, &lookers[i], look_again, &crowd);
    }
    for (int i = 0; i < ROUNDS; i++) {
        loops_world_do(&w, 0, publish_all, &crowd);
        usleep(1000);
        loops_world_do(&w, 0, withdraw_all, &crowd);
    }
    atomic_store(&crowd.stop, true);
    for (unsigned i = 0; i < 3; i++) {
        errand_wait(&lookers[i]);
    }
    assert_true(atomic_load(&crowd.found) > 0);
    loops_world_do(&w, 0, close_table, &crowd);
    loops_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_published_is_found_until_it_is_withdrawn),
        cmocka_unit_test(a_table_lives_through_many_topics),
        cmocka_unit_test(a_topic_that_is_there_is_replaced_in_its_place),
        cmocka_unit_test(loops_look_while_the_table_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
