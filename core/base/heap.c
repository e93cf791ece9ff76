/* heap.c - a binary heap of pointers; each node carries its place.
 *
 * Invariants:
 * 1. nodes[place - 1]->place == place, for every node that is in: heap_has().
 * 2. No node has a smaller key than the one at place / 2. */
#include "base/heap.h"
#include "base/mem.h"
#include "base/must.h"

enum { HEAP_CAPACITY_MIN = 16 };

static void heap_set(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place - 1] = node;
    node->place = place;
}

static struct heap_node *heap_get(const struct heap *heap, size_t place)
{
    return heap->nodes[place - 1];
}

/* The node is somewhere in the heap with a new key: up or down it goes. */
static void heap_sift(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;

    while (place > 1 && heap_get(heap, place / 2)->key > node->key) {
        heap_set(heap, place, heap_get(heap, place / 2));
        place /= 2;
    }
    for (;;) {
        size_t child = 2 * place;

        if (child > heap->count) {
            break;
        }
        if (child < heap->count &&
            heap_get(heap, child + 1)->key < heap_get(heap, child)->key) {
            child++;
        }
        if (heap_get(heap, child)->key >= node->key) {
            break;
        }
        heap_set(heap, place, heap_get(heap, child));
        place = child;
    }
    heap_set(heap, place, node);
}

static bool heap_has(const struct heap *heap, const struct heap_node *node)
{
    return node->place != 0 && node->place <= heap->count &&
           heap_get(heap, node->place) == node;
}

void heap_put(struct heap *heap, struct heap_node *node, int64_t key)
{
    if (node->place == 0) {
        if (heap->count == heap->capacity) {
            heap->capacity = MAX(2 * heap->capacity, (size_t)HEAP_CAPACITY_MIN);
            heap->nodes =
                mem_realloc(heap->nodes, heap->capacity * sizeof(*heap->nodes));
        }
        heap->count++;
        heap_set(heap, heap->count, node);
    }
    must(heap_has(heap, node));
    node->key = key;
    heap_sift(heap, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *last;
    size_t place = node->place;

    if (place == 0) {
        return;
    }
    must(heap_has(heap, node));
    last = heap_get(heap, heap->count);
    heap->count--;
    node->place = 0;
    if (last != node) {
        heap_set(heap, place, last);
        heap_sift(heap, last);
    }
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}

void heap_fini(struct heap *heap)
{
    for (size_t place = 1; place <= heap->count; place++) {
        heap_get(heap, place)->place = 0;
    }
    mem_free(heap->nodes);
    *heap = (struct heap){0};
}
