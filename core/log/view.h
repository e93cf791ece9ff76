/* view.h - what a log shows to readers on other loops.
 *
 * The list of segments is immutable; the owner publishes another one and
 * retires the old. A reader on a loop borrows the list for its turn; another
 * thread takes a reference. The visible end is a triple (offset, segment,
 * position) that is read whole or again: a sequence lock of atomics.
 *
 * Threads: view_init/fini/publish/set: the owner; the rest: any. */
#ifndef LOG_VIEW_H
#define LOG_VIEW_H

#include "log/segment.h"

struct view_list {
    _Atomic int refs;
    struct retired retired; /* private */
    uint32_t count;
    struct segment *segments[]; /* one reference each; ascending base */
};

/* An end: the next offset, and where its batch will begin. */
struct view_mark {
    int64_t offset;
    int64_t base; /* of the segment */
    uint64_t position;
    uint32_t hole; /* offsets without a batch right below; for the owner only */
};

/* A mark under a sequence lock. */
struct view_cell {
    _Atomic uint32_t sequence; /* odd: it is being written */
    _Atomic int64_t offset;
    _Atomic int64_t base;
    _Atomic uint64_t position;
};

enum { VIEW_HINTS = 4 };

struct view {
    _Atomic(struct view_list *) list;
    _Atomic int64_t start;
    _Atomic int64_t flushed;
    _Atomic int64_t end;
    struct view_cell visible;
    /* Visible ends of before: where those who follow the log read next. */
    struct view_cell hints[VIEW_HINTS];
    uint32_t hint;        /* owner: the next to be written over */
    pthread_mutex_t lock; /* view_take() against view_publish() */
};

/* Shows nothing. */
void view_init(struct view *view);
/* No reader may be there; the list must have been retired. */
void view_fini(struct view *view);

/* Shows these segments; takes a reference on each. count 0: shows none. */
void view_publish(struct view *view, struct retire *retire,
                  struct segment *const *segments, uint32_t count);
/* After a simulated crash: nobody reads. */
void view_abandon(struct view *view);
void view_set_visible(struct view *view, struct view_mark mark);

/* On a loop, for this turn: borrows. NULL: closed. */
struct view_list *view_list(struct view *view);
/* Any thread: gives a reference; NULL: closed. */
struct view_list *view_take(struct view *view);
void view_list_unref(struct view_list *list);
struct view_mark view_visible(struct view *view);
static inline int64_t view_visible_offset(const struct view *view)
{
    return atomic_load_explicit(&view->visible.offset, memory_order_acquire);
}
/* Whether offset was the visible end lately: then where it is. */
bool view_hint(struct view *view, int64_t offset, struct view_mark *out);

/* The place of the last segment whose base is not above offset; 0 when all
 * are. list: not empty. */
uint32_t view_list_floor(const struct view_list *list, int64_t offset);

#endif
