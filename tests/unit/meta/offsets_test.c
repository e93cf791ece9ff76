/* Offsets of groups, against a plain table that is searched from end to end. */
#include "unit/meta/script.h"

#include <stdio.h>

enum { GROUPS = 4, TOPICS = 5, PARTITIONS = 9 };

struct plain {
    bool there;
    int64_t offset;
    int64_t at_ms;
    char text[16];
};

struct model {
    struct plain all[GROUPS][TOPICS][PARTITIONS];
    struct offsets offsets;
    struct rows rows;
    char group[8];
    char letter[2];
};

static struct offset_place place_of(struct model *m, int g, int t, int p)
{
    snprintf(m->group, sizeof(m->group), "g%d", g);
    snprintf(m->letter, sizeof(m->letter), "%c", 'A' + t);
    return (struct offset_place){.group_id = str_of(m->group),
                                 .topic_id = script_uuid(str_of(m->letter)),
                                 .topic_name = str_of(m->letter),
                                 .partition = p};
}

static int64_t model_count(const struct model *m)
{
    int64_t count = 0;

    for (int g = 0; g < GROUPS; g++) {
        for (int t = 0; t < TOPICS; t++) {
            for (int p = 0; p < PARTITIONS; p++) {
                count += m->all[g][t][p].there;
            }
        }
    }
    return count;
}

static void model_compare(struct model *m)
{
    for (int g = 0; g < GROUPS; g++) {
        bool any = false;

        for (int t = 0; t < TOPICS; t++) {
            for (int p = 0; p < PARTITIONS; p++) {
                struct offset_place at = place_of(m, g, t, p);
                const struct plain *plain = &m->all[g][t][p];
                const struct offset *found = offsets_find(
                    &m->offsets, at.group_id, at.topic_id, at.partition);

                assert_int_equal(found != NULL, plain->there);
                any = any || plain->there;
                if (found != NULL) {
                    assert_int_equal(found->offset, plain->offset);
                    assert_int_equal(found->committed_at_ms, plain->at_ms);
                    assert_true(
                        str_eq(offset_metadata(found), str_of(plain->text)));
                }
            }
        }
        assert_int_equal(
            any, offsets_find_group(&m->offsets,
                                    place_of(m, g, 0, 0).group_id) != NULL);
    }
    assert_int_equal(offsets_count(&m->offsets), model_count(m));
}

static void model_put(struct model *m, int g, int t, int p, int64_t number)
{
    struct offset_place at = place_of(m, g, t, p);
    struct plain *plain = &m->all[g][t][p];

    plain->there = true;
    plain->offset = number;
    plain->at_ms = number % 3;
    plain->text[0] = '\0';
    if (number % 4 != 0) {
        snprintf(plain->text, sizeof(plain->text), "n%d", (int)(number % 5));
    }
    offsets_put(
        &m->offsets, &at,
        &(struct offset){.offset = number, .committed_at_ms = number % 3},
        str_of(plain->text), &m->rows);
}

static void what_was_committed_last_is_found(void **unused)
{
    struct model m = {0};
    uint64_t seed = 2;
    size_t expected_rows = 0;

    for (int round = 0; round < 20000; round++) {
        int g = (int)(fixture_random(&seed) % GROUPS);
        int t = (int)(fixture_random(&seed) % TOPICS);
        int p = (int)(fixture_random(&seed) % PARTITIONS);
        int64_t number = (int64_t)(fixture_random(&seed) % 1000);
        struct offset_place at = place_of(&m, g, t, p);
        struct plain *plain = &m.all[g][t][p];

        switch (fixture_random(&seed) % 40) {
        case 0:
            for (int i = 0; i < GROUPS; i++) {
                for (int j = 0; j < PARTITIONS; j++) {
                    expected_rows += m.all[i][t][j].there;
                    m.all[i][t][j].there = false;
                }
            }
            offsets_remove_topic(&m.offsets, at.topic_id, at.topic_name,
                                 &m.rows);
            break;
        case 1:
            for (int j = 0; j < PARTITIONS; j++) {
                expected_rows += m.all[g][t][j].there;
                m.all[g][t][j].there = false;
            }
            offsets_remove_group_topic(&m.offsets, at.group_id, at.topic_id,
                                       at.topic_name, &m.rows);
            break;
        case 2:
        case 3:
        case 4:
        case 5: {
            int64_t only_if = (int64_t)(number % 4) - 1;
            bool goes =
                plain->there && (only_if < 0 || only_if == plain->at_ms);

            assert_int_equal(offsets_remove(&m.offsets, &at, only_if, &m.rows),
                             goes);
            expected_rows += goes;
            plain->there = plain->there && !goes;
            break;
        }
        default:
            expected_rows++;
            model_put(&m, g, t, p, number);
        }
        assert_int_equal(rows_count(&m.rows), expected_rows);
        if (round % 100 == 0) {
            model_compare(&m);
        }
    }
    model_compare(&m);
    offsets_fini(&m.offsets);
    rows_fini(&m.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_committed_last_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
