/* Ports, and who may come through them. */
#include "unit/net/net_world.h"

#include "base/trace.h"

static int quiet(void **state)
{
    trace_level_set(TRACE_ERROR);
    return 0;
}

static void try_to_listen(struct net_world *w)
{
    uint16_t port;

    w->err = net_listen(w->net, w->host, w->wanted_port, 1, &port, &w->why);
}

static void a_taken_port_is_refused_and_its_holder_named(void **state)
{
    struct net_world w = world_init();
    char text[64];

    world_open(&w, 1, 1 << 20);
    w.wanted_port = w.port;
    world_do(&w, try_to_listen);
    assert_int_equal(w.err, ERR_EXISTS);
    snprintf(text, sizeof(text), "process %ld)", (long)getpid());
    assert_non_null(strstr(w.why.text, text));
    assert_non_null(strstr(w.why.text, "the port is taken"));
    world_close(&w);
}

static void what_is_no_address_is_refused(void **state)
{
    struct net_world w = world_init();

    world_open(&w, 1, 1 << 20);
    w.host = "localhost";
    world_do(&w, try_to_listen);
    assert_int_equal(w.err, ERR_INVALID);
    w.host = "192.0.2.1"; /* of no machine */
    world_do(&w, try_to_listen);
    assert_int_equal(w.err, ERR_INVALID);
    world_close(&w);
}

static void a_connection_too_many_is_closed(void **state)
{
    struct net_world w = world_init();
    int fds[3];

    w.options.limits.connections = 2;
    world_open(&w, 2, 1 << 20);
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = client_open(&w);
        client_ask(fds[i], 'e', i);
        assert_int_equal(client_number(fds[i]), i);
    }
    fds[2] = client_open(&w);
    assert_true(client_ended(fds[2]));
    close(fds[2]);
    close(fds[0]);
    assert_true(world_comes_down_to(&w, 1));
    fds[0] = client_open(&w);
    client_ask(fds[0], 'e', 9);
    assert_int_equal(client_number(fds[0]), 9);
    close(fds[0]);
    close(fds[1]);
    world_close(&w);
}

/* Everybody on a machine shares loopback: the limit is for the others. */
static void loopback_is_not_counted_by_address(void **state)
{
    struct net_world w = world_init();
    int fds[3];

    w.options.limits.connections_per_ip = 1;
    world_open(&w, 2, 1 << 20);
    for (uint32_t i = 0; i < 3; i++) {
        fds[i] = client_open(&w);
        client_ask(fds[i], 'e', i);
        assert_int_equal(client_number(fds[i]), i);
    }
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taken_port_is_refused_and_its_holder_named),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_connection_too_many_is_closed),
        cmocka_unit_test(loopback_is_not_counted_by_address),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
