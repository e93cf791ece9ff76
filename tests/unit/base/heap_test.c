/* The heap of deadlines, against a model that sorts. */
#include "base/heap.h"

#include "lib/fixture.h"

enum { NODES = 200 };

static void it_gives_nodes_in_the_order_of_their_keys(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {{0}};
    uint64_t seed = 1;
    int64_t before = INT64_MIN;

    assert_null(heap_first(&heap));
    for (int i = 0; i < NODES; i++) {
        heap_put(&heap, &nodes[i], (int64_t)(fixture_random(&seed) % 100));
    }
    for (int i = 0; i < NODES; i++) {
        struct heap_node *first = heap_first(&heap);

        assert_true(first->key >= before);
        before = first->key;
        heap_remove(&heap, first);
        assert_int_equal(first->place, 0);
    }
    assert_null(heap_first(&heap));
    heap_fini(&heap);
}

static int64_t smallest(const struct heap_node *nodes)
{
    int64_t key = INT64_MAX;

    for (int i = 0; i < NODES; i++) {
        if (nodes[i].place != 0) {
            key = MIN(key, nodes[i].key);
        }
    }
    return key;
}

static void moved_and_removed_nodes_keep_the_order(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {{0}};
    uint64_t seed = 2;

    for (int i = 0; i < 20000; i++) {
        struct heap_node *node = &nodes[fixture_random(&seed) % NODES];
        struct heap_node *first;

        if (fixture_random(&seed) % 3 == 0) {
            heap_remove(&heap, node);
        } else {
            heap_put(&heap, node, (int64_t)(fixture_random(&seed) % 1000));
        }
        first = heap_first(&heap);
        assert_true((first == NULL ? INT64_MAX : first->key) ==
                    smallest(nodes));
    }
    heap_fini(&heap);
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(nodes[i].place, 0);
    }
}

static void removing_a_node_that_is_in_no_heap_does_nothing(void **state)
{
    struct heap heap = {0};
    struct heap_node in = {0}, out = {0};

    heap_put(&heap, &in, 1);
    heap_remove(&heap, &out);
    assert_ptr_equal(heap_first(&heap), &in);
    heap_fini(&heap);
}

static void put_into_the_wrong_heap(void *arg)
{
    struct heap other = {0};

    heap_put(&other, arg, 1);
}

static void a_node_of_another_heap_is_a_bug(void **state)
{
    struct heap heap = {0};
    struct heap_node node = {0};

    heap_put(&heap, &node, 1);
    assert_true(fixture_aborts(put_into_the_wrong_heap, &node));
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_nodes_in_the_order_of_their_keys),
        cmocka_unit_test(moved_and_removed_nodes_keep_the_order),
        cmocka_unit_test(removing_a_node_that_is_in_no_heap_does_nothing),
        cmocka_unit_test(a_node_of_another_heap_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
