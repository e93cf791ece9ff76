/* budget.h - a bound for what clients can make large.
 *
 * One struct budget counts bytes against a limit. Taking may be refused; the
 * caller then answers with a Kafka error or stops reading from the socket.
 * Counted atomically: one budget (limits.memory) is shared by all loops. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/base.h"
#include <stdatomic.h>

struct budget {
    _Atomic uint64_t used_bytes;
    uint64_t limit_bytes;
};

/* Nothing is used yet. */
void budget_init(struct budget *budget, uint64_t limit_bytes);
/* False, and nothing taken, when it does not fit. */
MUST_USE bool budget_take(struct budget *budget, uint64_t bytes);
/* The same, but the last quarter of the budget is left to others: for what is
 * large, so that the small ones always get through. */
MUST_USE bool budget_take_large(struct budget *budget, uint64_t bytes);
/* Takes even what does not fit: for memory that is in use already. Until
 * enough was given back, budget_take() refuses. */
void budget_charge(struct budget *budget, uint64_t bytes);
/* More is in use than the limit: by what was charged. */
bool budget_is_over(struct budget *budget);
/* bytes: at most what was taken. */
void budget_give(struct budget *budget, uint64_t bytes);

#endif
