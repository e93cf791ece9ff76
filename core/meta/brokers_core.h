/* brokers_core.h - who is in the cluster: a list that never changes.
 *
 * A change makes another list, and there are few brokers: so a whole copy each
 * time. References are counted atomically; see topic_core.h for why.
 * Pure; any thread. */
#ifndef META_BROKERS_CORE_H
#define META_BROKERS_CORE_H

#include "base/arena.h"
#include "base/uuid.h"
#include <stdatomic.h>

/* An address that a broker has. */
struct broker_listener {
    struct str name;
    struct str host;
    int32_t port;
};

struct broker {
    int32_t id;
    struct str rack; /* null: none */
    struct uuid incarnation;
    int64_t epoch; /* the index of the command that registered it */
    int64_t registered_at_ms;
    const struct broker_listener *listeners;
    int32_t listeners_count;
};

struct brokers {
    _Atomic uint32_t refs; /* private */
    int32_t count;
    struct broker *items; /* sorted by id */
    struct arena arena;   /* private: holds the items */
};

/* A copy of the list in which broker is added, or in its old self's place.
 * list: NULL is an empty one. broker: copied. Gives a reference. */
struct brokers *brokers_with(const struct brokers *list,
                             const struct broker *broker);
struct brokers *brokers_ref(struct brokers *list);
/* list: NULL is accepted. */
void brokers_unref(struct brokers *list);
/* NULL when there is none. list: may be NULL. */
const struct broker *brokers_find(const struct brokers *list, int32_t id);

#endif
