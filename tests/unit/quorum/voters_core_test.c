/* voters_core_test.c - memberships are read with bounds. */
#include "quorum/voters_core.h"
#include "base/mem.h"
#include "lib/fixture.h"
#include <raft.h>
#include <stdio.h>

/* What the library itself writes. */
static struct raft_buffer encode(const uint64_t *ids, const int *roles,
                                 unsigned count)
{
    struct raft_configuration c;
    struct raft_buffer buffer;

    raft_configuration_init(&c);
    for (unsigned i = 0; i < count; i++) {
        char address[32];

        snprintf(address, sizeof(address), "node%u:9093", i);
        assert_int_equal(raft_configuration_add(&c, ids[i], address, roles[i]),
                         0);
    }
    assert_int_equal(raft_configuration_encode(&c, &buffer), 0);
    raft_configuration_close(&c);
    return buffer;
}

static void what_the_library_writes_is_read(void **state)
{
    static const uint64_t ids[] = {1, 7, INT64_MAX};
    static const int roles[] = {RAFT_VOTER, RAFT_STANDBY, RAFT_SPARE};
    struct raft_buffer buffer = encode(ids, roles, 3);
    struct voters voters;

    assert_int_equal(voters_parse(str_sub(buffer.base, buffer.len), &voters),
                     ERR_NONE);
    assert_int_equal(voters.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(voters.servers[i].id, ids[i]);
        assert_int_equal(voters.servers[i].role, roles[i]);
    }
    assert_string_equal(voters.servers[2].address, "node2:9093");
    assert_true(voters_is_lone(&voters, 1));
    assert_false(voters_is_lone(&voters, 7));
    assert_ptr_equal(voters_find(&voters, 7), &voters.servers[1]);
    assert_null(voters_find(&voters, 8));
    raft_free(buffer.base);
}

static void two_voters_are_not_lone(void **state)
{
    static const uint64_t ids[] = {1, 2};
    static const int roles[] = {RAFT_VOTER, RAFT_VOTER};
    struct raft_buffer buffer = encode(ids, roles, 2);
    struct voters voters;

    assert_int_equal(voters_parse(str_sub(buffer.base, buffer.len), &voters),
                     ERR_NONE);
    assert_false(voters_is_lone(&voters, 1));
    raft_free(buffer.base);
}

/* Each length on its own piece of memory, so that a sanitizer sees a read past
 * its end. */
static void every_shorter_membership_is_refused(void **state)
{
    static const uint64_t ids[] = {1, 2, 3};
    static const int roles[] = {RAFT_VOTER, RAFT_VOTER, RAFT_SPARE};
    struct raft_buffer buffer = encode(ids, roles, 3);
    struct voters voters;

    for (size_t bytes = 0; bytes < buffer.len; bytes++) {
        char *copy = mem_alloc(bytes);

        memcpy(copy, buffer.base, bytes);
        assert_int_equal(voters_parse(str_sub(copy, bytes), &voters),
                         ERR_MALFORMED);
        mem_free(copy);
    }
    raft_free(buffer.base);
}

struct bad {
    const char *why;
    char bytes[24];
};

static void what_no_library_writes_is_refused(void **state)
{
    static const struct bad cases[] = {
        {"format", "\2\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1\0\0\0\0"},
        {"no server", "\1\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1\0\0\0\0"},
        {"200 servers", "\1\xc8\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1\0\0\0\0"},
        {"id 0", "\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\0\1\0\0\0\0"},
        {"id too large", "\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80"
                         "a\0\1\0\0\0\0"},
        {"role", "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\3\0\0\0\0"},
        {"padding", "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1\0\0\1\0"},
        {"no NUL", "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0aaaaaaa"},
        {"role missing", "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0aaaaaa\0"},
    };
    static const char good[24] = "\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0\1";
    struct voters voters;

    assert_int_equal(voters_parse(str_sub(good, 24), &voters), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (voters_parse(str_sub(cases[i].bytes, 24), &voters) !=
            ERR_MALFORMED) {
            fail_msg("%s was taken", cases[i].why);
        }
    }
}

static void an_id_or_an_address_that_comes_twice_is_refused(void **state)
{
    static const uint64_t ids[] = {1, 2};
    static const int roles[] = {RAFT_VOTER, RAFT_VOTER};
    struct raft_buffer buffer = encode(ids, roles, 2);
    struct voters voters;

    ((char *)buffer.base)[9 + 8 + 11 + 1] = 1; /* the second id */
    assert_int_equal(voters_parse(str_sub(buffer.base, buffer.len), &voters),
                     ERR_MALFORMED);
    ((char *)buffer.base)[9 + 8 + 11 + 1] = 2;
    assert_int_equal(voters_parse(str_sub(buffer.base, buffer.len), &voters),
                     ERR_NONE);
    ((char *)buffer.base)[9 + 8 + 4] = '1'; /* node0 becomes node1 */
    assert_int_equal(voters_parse(str_sub(buffer.base, buffer.len), &voters),
                     ERR_MALFORMED);
    raft_free(buffer.base);
}

/* What passes is what the library's decoder, which knows no bounds, gets. */
static void what_is_taken_never_harms_the_library(void **state)
{
    static const uint64_t ids[] = {1, 2, 3};
    static const int roles[] = {RAFT_VOTER, RAFT_STANDBY, RAFT_SPARE};
    struct raft_buffer buffer = encode(ids, roles, 3);
    uint64_t random = 7;
    unsigned taken = 0;

    for (unsigned round = 0; round < 20000; round++) {
        size_t bytes = buffer.len - 8 * (fixture_random(&random) % 3);
        char *copy = mem_alloc(bytes);
        struct voters voters;

        memcpy(copy, buffer.base, bytes);
        for (uint64_t n = fixture_random(&random) % 3; n > 0; n--) {
            copy[fixture_random(&random) % bytes] =
                (char)fixture_random(&random);
        }
        if (voters_parse(str_sub(copy, bytes), &voters) == ERR_NONE) {
            struct raft_configuration c;
            struct raft_buffer b = {copy, bytes};

            assert_int_equal(raft_configuration_decode(&b, &c), 0);
            assert_int_equal(c.n, voters.count);
            raft_configuration_close(&c);
            taken++;
        }
        mem_free(copy);
    }
    assert_true(taken > 0 && taken < 20000);
    raft_free(buffer.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_library_writes_is_read),
        cmocka_unit_test(two_voters_are_not_lone),
        cmocka_unit_test(every_shorter_membership_is_refused),
        cmocka_unit_test(what_no_library_writes_is_refused),
        cmocka_unit_test(an_id_or_an_address_that_comes_twice_is_refused),
        cmocka_unit_test(what_is_taken_never_harms_the_library),
    };

    return cmocka_run_group_tests_name("quorum/voters_core", tests, NULL, NULL);
}
