/* list.h - an intrusive doubly linked list with a head.
 *
 * The head is a node, too: next is the first, prev the last. A node that is in
 * no list points to itself (list_init), so that list_remove() is always safe.
 * Owns nothing; whoever embeds a node takes it out before it is freed. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct list {
    struct list *next;
    struct list *prev;
};

/* An empty list, or a node that is in none. */
static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

/* Of a head: nothing in it. Of a node: it is in no list. */
static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* As the last. node: in no list. */
static inline void list_push(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* As the first. node: in no list. */
static inline void list_push_first(struct list *list, struct list *node)
{
    list_push(list->next, node);
}

/* Out of the list it is in, if it is in one. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, taken out; NULL when there is none. */
static inline struct list *list_pop(struct list *list)
{
    struct list *node = list->next;

    if (node == list) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Moves all of from to the end of into: queues are moved before they are
 * walked. */
static inline void list_move(struct list *from, struct list *into)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = into->prev;
    from->prev->next = into;
    into->prev->next = from->next;
    into->prev = from->prev;
    list_init(from);
}

#define list_each(node, head)                                                  \
    for (struct list *node = (head)->next; node != (head); node = node->next)

/* The current node may be removed. */
#define list_each_safe(node, head)                                             \
    for (struct list *node = (head)->next, *node##_next = node->next;          \
         node != (head); node = node##_next, node##_next = node->next)

#endif
