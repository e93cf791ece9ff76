/* heap.h - an intrusive binary min-heap, for deadlines.
 *
 * A node knows its place, so it can be moved or removed in O(log n). Zero is a
 * valid empty heap; a zero node is in no heap. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/base.h"

struct heap_node {
    int64_t key;
    size_t place; /* private: 1-based, 0 = in no heap */
};

struct heap {
    struct heap_node **nodes; /* private from here on */
    size_t count;
    size_t capacity;
};

/* Puts the node in, or moves it when it is already in. */
void heap_put(struct heap *heap, struct heap_node *node, int64_t key);
/* Does nothing when the node is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The node with the smallest key, left in; NULL when empty. */
struct heap_node *heap_first(const struct heap *heap);
void heap_fini(struct heap *heap);

#endif
