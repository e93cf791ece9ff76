/* placement_core.h - which brokers hold a new topic's partitions.
 *
 * Kafka's striped order: over the racks first, over the brokers of each rack
 * second, each partition beginning one further on. So the replicas of a
 * partition lie in as many racks as there can be, and leaders and replicas
 * are spread evenly. Where the stripes begin is drawn by the caller, as
 * nothing random is decided here: else the first brokers would lead the
 * one-partition topics of everybody.
 * Pure; any thread.
 * Source: KIP-36, KIP-631. */
#ifndef META_PLACEMENT_CORE_H
#define META_PLACEMENT_CORE_H

#include "base/arena.h"
#include "base/err.h"
#include "meta/brokers_core.h"

/* brokers: those that may take replicas, no id twice.
 * start: any number; the same one gives the same places.
 * out: partitions times replicas broker ids, the preferred leader first.
 * Errors: ERR_INVALID_REPLICATION_FACTOR (below 1, or more than brokers),
 *         ERR_INVALID_PARTITIONS (below 1). */
MUST_USE enum err placement_make(const struct brokers *brokers,
                                 int32_t partitions, int16_t replicas,
                                 uint64_t start, int32_t *out, struct why *why);

/* What a topic gets that does not say otherwise: min(3, brokers). */
int16_t placement_default_replicas(int32_t brokers_count);
/* More than half of the replicas; fixed when the topic is made. */
int16_t placement_default_min_insync(int16_t replicas);

#endif
