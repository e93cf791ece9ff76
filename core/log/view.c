/* view.c - a published pointer, and a sequence lock without fences. */
#include "log/view.h"

#include "base/mem.h"
#include "base/must.h"

void view_init(struct view *view)
{
    *view = (struct view){.list = NULL};
    for (int i = 0; i < VIEW_HINTS; i++) {
        atomic_init(&view->hints[i].offset, -1);
    }
    must(pthread_mutex_init(&view->lock, NULL) == 0);
}

void view_fini(struct view *view)
{
    must(atomic_load(&view->list) == NULL);
    (void)pthread_mutex_destroy(&view->lock);
}

void view_list_unref(struct view_list *list)
{
    if (list == NULL ||
        atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        segment_unref(list->segments[i]);
    }
    mem_free(list);
}

static void view_list_release(struct retired *retired)
{
    view_list_unref(container_of(retired, struct view_list, retired));
}

void view_publish(struct view *view, struct retire *retire,
                  struct segment *const *segments, uint32_t count)
{
    struct view_list *list = NULL;
    struct view_list *old = NULL;

    if (count > 0) {
        list = mem_zalloc(sizeof(*list) + count * sizeof(list->segments[0]));
        list->count = count;
        atomic_init(&list->refs, 1);
        for (uint32_t i = 0; i < count; i++) {
            segment_ref(segments[i]);
            list->segments[i] = segments[i];
        }
    }
    must(pthread_mutex_lock(&view->lock) == 0);
    old = atomic_exchange_explicit(&view->list, list, memory_order_acq_rel);
    must(pthread_mutex_unlock(&view->lock) == 0);
    if (old != NULL) {
        retire_put(retire, &old->retired, view_list_release);
    }
}

void view_abandon(struct view *view)
{
    view_list_unref(atomic_exchange(&view->list, NULL));
}

struct view_list *view_list(struct view *view)
{
    return atomic_load_explicit(&view->list, memory_order_acquire);
}

struct view_list *view_take(struct view *view)
{
    struct view_list *list = NULL;

    must(pthread_mutex_lock(&view->lock) == 0);
    list = atomic_load_explicit(&view->list, memory_order_acquire);
    if (list != NULL) {
        (void)atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    }
    must(pthread_mutex_unlock(&view->lock) == 0);
    return list;
}

static void view_cell_write(struct view_cell *cell, struct view_mark mark)
{
    uint32_t sequence =
        atomic_load_explicit(&cell->sequence, memory_order_relaxed);

    atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&cell->offset, mark.offset, memory_order_release);
    atomic_store_explicit(&cell->base, mark.base, memory_order_release);
    atomic_store_explicit(&cell->position, mark.position, memory_order_release);
    atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
}

/* False when it was written meanwhile. */
static bool view_cell_read(struct view_cell *cell, struct view_mark *mark)
{
    uint32_t before =
        atomic_load_explicit(&cell->sequence, memory_order_acquire);

    mark->offset = atomic_load_explicit(&cell->offset, memory_order_acquire);
    mark->base = atomic_load_explicit(&cell->base, memory_order_acquire);
    mark->position =
        atomic_load_explicit(&cell->position, memory_order_acquire);
    return (before & 1) == 0 &&
           before ==
               atomic_load_explicit(&cell->sequence, memory_order_relaxed);
}

void view_set_visible(struct view *view, struct view_mark mark)
{
    struct view_mark none = {.offset = -1};
    struct view_mark old = view_visible(view);

    if (mark.offset > old.offset) {
        view_cell_write(&view->hints[view->hint], old);
        view->hint = (view->hint + 1) % VIEW_HINTS;
    } else {
        for (int i = 0; i < VIEW_HINTS; i++) {
            view_cell_write(&view->hints[i], none);
        }
    }
    view_cell_write(&view->visible, mark);
}

struct view_mark view_visible(struct view *view)
{
    struct view_mark mark;

    while (!view_cell_read(&view->visible, &mark)) {
    }
    return mark;
}

bool view_hint(struct view *view, int64_t offset, struct view_mark *out)
{
    for (int i = 0; i < VIEW_HINTS; i++) {
        if (atomic_load_explicit(&view->hints[i].offset,
                                 memory_order_relaxed) == offset &&
            view_cell_read(&view->hints[i], out) && out->offset == offset) {
            return true;
        }
    }
    return false;
}

uint32_t view_list_floor(const struct view_list *list, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = list->count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (list->segments[middle]->base <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}
