/* Connections counted by address. */
#include "net/peers.h"

#include "lib/fixture.h"

#include <arpa/inet.h>

static bool key_of(const char *text, struct peer_key *key)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        in6->sin6_family = AF_INET6;
    }
    return peers_key_of(&address, key);
}

static void loopback_and_sockets_of_the_machine_have_no_key(void **state)
{
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    struct peer_key key;

    assert_false(key_of("127.0.0.1", &key));
    assert_false(key_of("127.255.0.9", &key));
    assert_false(key_of("::1", &key));
    assert_false(key_of("::ffff:127.0.0.1", &key));
    assert_false(peers_key_of(&local, &key));
    assert_true(key_of("128.0.0.1", &key));
    assert_true(key_of("2001:db8::1", &key));
}

static void an_address_is_one_in_both_families(void **state)
{
    struct peer_key a, b;

    assert_true(key_of("192.0.2.7", &a));
    assert_true(key_of("::ffff:192.0.2.7", &b));
    assert_memory_equal(&a, &b, sizeof(a));
}

static void each_address_has_its_own_limit(void **state)
{
    struct peers peers = {0};
    struct peer_key a, b;

    assert_true(key_of("192.0.2.7", &a));
    assert_true(key_of("192.0.2.8", &b));
    assert_false(peers_add(&peers, &a, 0));
    assert_true(peers_add(&peers, &a, 2));
    assert_true(peers_add(&peers, &a, 2));
    assert_false(peers_add(&peers, &a, 2));
    assert_true(peers_add(&peers, &b, 2));
    peers_remove(&peers, &a);
    assert_true(peers_add(&peers, &a, 2));
    peers_remove(&peers, &a);
    peers_remove(&peers, &a);
    peers_remove(&peers, &b);
    peers_fini(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_and_sockets_of_the_machine_have_no_key),
        cmocka_unit_test(an_address_is_one_in_both_families),
        cmocka_unit_test(each_address_has_its_own_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
