/* The hash map: entries, graves, walks, and the hash itself. */
#include "base/map.h"

#include "lib/fixture.h"

#include <stdio.h>

static struct str key_of(char *text, size_t capacity, int i)
{
    return (struct str){text, (size_t)snprintf(text, capacity, "key-%d", i)};
}

static void an_empty_map_has_nothing(void **state)
{
    struct map map = {0};
    struct str key;
    void *value;
    size_t at = 0;

    assert_null(map_find(&map, STR_LIT("a")));
    assert_null(map_remove(&map, STR_LIT("a")));
    assert_false(map_next(&map, &at, &key, &value));
    assert_int_equal(map_count(&map), 0);
    map_fini(&map);
}

static void put_replaces_and_gives_the_old_value_back(void **state)
{
    struct map map = {0};
    int one, two;

    assert_null(map_put(&map, STR_LIT("a"), &one));
    assert_ptr_equal(map_put(&map, STR_LIT("a"), &two), &one);
    assert_ptr_equal(map_find(&map, STR_LIT("a")), &two);
    assert_int_equal(map_count(&map), 1);
    map_fini(&map);
}

static void keys_are_copied_and_may_hold_any_byte(void **state)
{
    struct map map = {0};
    char bytes[3] = {0, 'x', 0};
    int value;

    map_put(&map, str_sub(bytes, 3), &value);
    memset(bytes, 'y', sizeof(bytes));
    assert_null(map_find(&map, str_sub(bytes, 3)));
    assert_ptr_equal(map_find(&map, str_sub("\0x\0", 3)), &value);
    assert_null(map_find(&map, str_sub("\0x", 2)));
    map_fini(&map);
}

static void the_empty_key_is_a_key(void **state)
{
    struct map map = {0};
    int value;

    assert_null(map_find(&map, STR_LIT("")));
    map_put(&map, STR_LIT(""), &value);
    assert_ptr_equal(map_find(&map, STR_NULL), &value);
    assert_ptr_equal(map_remove(&map, STR_LIT("")), &value);
    map_fini(&map);
}

static void many_entries_come_and_go(void **state)
{
    static int values[5000];
    struct map map = {0};
    char text[32];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            assert_null(
                map_put(&map, key_of(text, sizeof(text), i), &values[i]));
        }
        assert_int_equal(map_count(&map), 5000);
        for (int i = 0; i < 5000; i++) {
            struct str key = key_of(text, sizeof(text), i);

            assert_ptr_equal(map_find(&map, key), &values[i]);
            assert_ptr_equal(map_remove(&map, key), &values[i]);
            assert_null(map_find(&map, key));
        }
        assert_int_equal(map_count(&map), 0);
    }
    map_fini(&map);
}

/* Graves must neither fill the table nor make it grow for ever. */
static void a_small_map_under_churn_stays_small(void **state)
{
    struct map map = {0};
    char text[32];
    int value;

    for (int i = 0; i < 100000; i++) {
        map_put(&map, key_of(text, sizeof(text), i), &value);
        if (i >= 5) {
            assert_ptr_equal(
                map_remove(&map, key_of(text, sizeof(text), i - 5)), &value);
        }
    }
    assert_int_equal(map_count(&map), 5);
    assert_true(map.capacity <= 16);
    map_fini(&map);
}

static void a_walk_sees_each_entry_once_and_may_remove_it(void **state)
{
    static int values[1000];
    struct map map = {0};
    char text[32];
    struct str key;
    void *value;
    size_t at = 0;

    for (int i = 0; i < 1000; i++) {
        map_put(&map, key_of(text, sizeof(text), i), &values[i]);
    }
    while (map_next(&map, &at, &key, &value)) {
        assert_int_equal(*(int *)value, 0);
        *(int *)value = 1;
        assert_ptr_equal(map_remove(&map, key), value);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(values[i], 1);
    }
    assert_int_equal(map_count(&map), 0);
    map_fini(&map);
}

/* Written down once by an independent implementation (Python's own hash of
 * bytes is SipHash-1-3; with PYTHONHASHSEED=0 its key is zero). */
static void the_hash_is_siphash_1_3(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"a", 0x407448d2b89b1813},
        {"abcdefg", 0x6db12aae9070f506},
        {"abcdefgh", 0x3f7b849c0b8e35ea},
        {"orders-3", 0xaf9159551ce6340d},
        {"a longer text of more than two words", 0x676cd9132355631a},
    };

    map_seed(0, 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_true(map_hash(str_of(cases[i].text)) == cases[i].hash);
    }
    map_seed(1, 2);
    assert_true(map_hash(STR_LIT("a")) != cases[0].hash);
    map_seed(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(put_replaces_and_gives_the_old_value_back),
        cmocka_unit_test(keys_are_copied_and_may_hold_any_byte),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(many_entries_come_and_go),
        cmocka_unit_test(a_small_map_under_churn_stays_small),
        cmocka_unit_test(a_walk_sees_each_entry_once_and_may_remove_it),
        cmocka_unit_test(the_hash_is_siphash_1_3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
