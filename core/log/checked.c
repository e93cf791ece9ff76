/* checked.c - a short sorted list; what does not fit is looked at again. */
#include "log/checked.h"

#include "base/must.h"
#include <string.h>

void checked_init(struct checked *checked)
{
    *checked = (struct checked){0};
    must(pthread_mutex_init(&checked->lock, NULL) == 0);
}

void checked_fini(struct checked *checked)
{
    (void)pthread_mutex_destroy(&checked->lock);
}

static void checked_remove(struct checked *checked, uint32_t at)
{
    checked->count--;
    memmove(checked->list + at, checked->list + at + 1,
            sizeof(checked->list[0]) * (checked->count - at));
}

static uint32_t checked_shortest(const struct checked *checked)
{
    uint32_t shortest = 0;

    for (uint32_t i = 1; i < checked->count; i++) {
        if (checked->list[i].to - checked->list[i].from <
            checked->list[shortest].to - checked->list[shortest].from) {
            shortest = i;
        }
    }
    return shortest;
}

void checked_add(struct checked *checked, uint64_t from, uint64_t to)
{
    uint32_t at = 0;

    must(from <= to);
    must(pthread_mutex_lock(&checked->lock) == 0);
    while (at < checked->count) {
        struct checked_stretch it = checked->list[at];

        if (it.to < from) {
            at++;
        } else if (it.from <= to) {
            from = MIN(from, it.from);
            to = MAX(to, it.to);
            checked_remove(checked, at);
        } else {
            break;
        }
    }
    if (checked->count == CHECKED_STRETCHES) {
        uint32_t shortest = checked_shortest(checked);

        checked_remove(checked, shortest);
        at -= shortest < at;
    }
    memmove(checked->list + at + 1, checked->list + at,
            sizeof(checked->list[0]) * (checked->count - at));
    checked->list[at] = (struct checked_stretch){from, to};
    checked->count++;
    must(pthread_mutex_unlock(&checked->lock) == 0);
}

bool checked_has(struct checked *checked, uint64_t from, uint64_t to)
{
    bool has = false;

    must(pthread_mutex_lock(&checked->lock) == 0);
    for (uint32_t i = 0; i < checked->count && !has; i++) {
        has = checked->list[i].from <= from && to <= checked->list[i].to;
    }
    must(pthread_mutex_unlock(&checked->lock) == 0);
    return has;
}
