/* Where new partitions go: evenly, over racks, and the same for one start. */
#include "lib/fixture.h"

#include "meta/placement_core.h"

/* brokers: "1:a 2:b 3" as pairs. */
static struct brokers *brokers_of(const int32_t *ids, const char *const *racks,
                                  int count)
{
    struct brokers *list = NULL;

    for (int i = 0; i < count; i++) {
        struct broker broker = {
            .id = ids[i], .rack = racks == NULL ? STR_NULL : str_of(racks[i])};
        struct brokers *next = brokers_with(list, &broker);

        brokers_unref(list);
        list = next;
    }
    return list;
}

static void one_broker_takes_all(void **unused)
{
    int32_t id = 7;
    int32_t out[3];
    struct brokers *list = brokers_of(&id, NULL, 1);

    assert_int_equal(placement_make(list, 3, 1, 99, out, NULL), ERR_NONE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(out[i], 7);
    }
    brokers_unref(list);
}

static void what_cannot_be_placed_is_refused(void **unused)
{
    int32_t ids[] = {1, 2};
    int32_t out[6];
    struct brokers *list = brokers_of(ids, NULL, 2);
    struct why why;

    assert_int_equal(placement_make(list, 1, 3, 0, out, &why),
                     ERR_INVALID_REPLICATION_FACTOR);
    assert_string_equal(why.text, "a replication factor of 3 is not possible: "
                                  "there are 2 brokers");
    assert_int_equal(placement_make(list, 1, 0, 0, out, &why),
                     ERR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(placement_make(list, 0, 1, 0, out, &why),
                     ERR_INVALID_PARTITIONS);
    assert_int_equal(placement_make(NULL, 1, 1, 0, out, &why),
                     ERR_INVALID_REPLICATION_FACTOR);
    brokers_unref(list);
}

static void three_brokers_lead_in_turn(void **unused)
{
    int32_t ids[] = {1, 2, 3};
    int32_t out[12];
    static const int32_t expected[] = {1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 1};
    struct brokers *list = brokers_of(ids, NULL, 3);

    assert_int_equal(placement_make(list, 6, 2, 0, out, NULL), ERR_NONE);
    assert_memory_equal(out, expected, sizeof(expected));
    brokers_unref(list);
}

static void replicas_go_over_the_racks_first(void **unused)
{
    int32_t ids[] = {1, 2, 3, 4, 5, 6};
    const char *racks[] = {"a", "a", "b", "b", "c", "c"};
    int32_t out[36];
    static const int32_t expected[] = {
        1, 3, 5, /* a b c */
        4, 6, 2, /* b c a, each one broker further */
        5, 1, 3, /* c a b */
    };
    struct brokers *list = brokers_of(ids, racks, 6);

    assert_int_equal(placement_make(list, 3, 3, 0, out, NULL), ERR_NONE);
    assert_memory_equal(out, expected, sizeof(expected));
    brokers_unref(list);
}

/* For any cluster and start: a broker once a partition; racks as even as they
 * can be; where the racks are alike, leaders too. */
static void places_are_fair_whatever_the_cluster(void **unused)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    uint64_t seed = 3;

    for (int round = 0; round < 2000; round++) {
        int32_t ids[16];
        const char *racks[16];
        int32_t out[64 * 16];
        int per_rack = 1 + (int)(fixture_random(&seed) % 4);
        int rack_count = 1 + (int)(fixture_random(&seed) % 4);
        int count = per_rack * rack_count;
        int16_t replicas =
            (int16_t)(1 + fixture_random(&seed) % (uint64_t)count);
        int32_t partitions = 1 + (int32_t)(fixture_random(&seed) % 64);
        int leads[16] = {0};
        struct brokers *list;

        for (int i = 0; i < count; i++) {
            ids[i] = i;
            racks[i] = names[i / per_rack];
        }
        list = brokers_of(ids, racks, count);
        assert_int_equal(placement_make(list, partitions, replicas,
                                        fixture_random(&seed), out, NULL),
                         ERR_NONE);
        for (int32_t i = 0; i < partitions; i++) {
            const int32_t *row = out + i * replicas;
            int in_rack[4] = {0};

            leads[row[0]]++;
            for (int16_t j = 0; j < replicas; j++) {
                in_rack[row[j] / per_rack]++;
                for (int16_t k = 0; k < j; k++) {
                    assert_int_not_equal(row[j], row[k]);
                }
            }
            for (int j = 0; j < rack_count; j++) {
                assert_in_range(in_rack[j], replicas / rack_count,
                                (replicas + rack_count - 1) / rack_count);
            }
        }
        for (int i = 0; i < count; i++) {
            assert_in_range(leads[i] + 2, partitions / count,
                            partitions / count + 4);
        }
        brokers_unref(list);
    }
}

static void defaults_follow_the_number_of_brokers(void **unused)
{
    assert_int_equal(placement_default_replicas(0), 1);
    assert_int_equal(placement_default_replicas(1), 1);
    assert_int_equal(placement_default_replicas(2), 2);
    assert_int_equal(placement_default_replicas(9), 3);
    assert_int_equal(placement_default_min_insync(1), 1);
    assert_int_equal(placement_default_min_insync(2), 2);
    assert_int_equal(placement_default_min_insync(3), 2);
    assert_int_equal(placement_default_min_insync(5), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_broker_takes_all),
        cmocka_unit_test(what_cannot_be_placed_is_refused),
        cmocka_unit_test(three_brokers_lead_in_turn),
        cmocka_unit_test(replicas_go_over_the_racks_first),
        cmocka_unit_test(places_are_fair_whatever_the_cluster),
        cmocka_unit_test(defaults_follow_the_number_of_brokers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
