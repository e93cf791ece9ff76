/* budget.c - a counter that nobody takes beyond its limit. */
#include "base/budget.h"
#include "base/must.h"

void budget_init(struct budget *budget, uint64_t limit_bytes)
{
    atomic_init(&budget->used_bytes, 0);
    budget->limit_bytes = limit_bytes;
}

static bool budget_take_below(struct budget *budget, uint64_t bytes,
                              uint64_t limit_bytes)
{
    uint64_t used =
        atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);

    do {
        if (used > limit_bytes || bytes > limit_bytes - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &budget->used_bytes, &used, used + bytes, memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

bool budget_take(struct budget *budget, uint64_t bytes)
{
    return budget_take_below(budget, bytes, budget->limit_bytes);
}

bool budget_take_large(struct budget *budget, uint64_t bytes)
{
    return budget_take_below(budget, bytes,
                             budget->limit_bytes - budget->limit_bytes / 4);
}

void budget_charge(struct budget *budget, uint64_t bytes)
{
    (void)atomic_fetch_add_explicit(&budget->used_bytes, bytes,
                                    memory_order_relaxed);
}

bool budget_is_over(struct budget *budget)
{
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) >
           budget->limit_bytes;
}

void budget_give(struct budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_fetch_sub_explicit(&budget->used_bytes, bytes,
                                              memory_order_relaxed);

    must(used >= bytes);
}
