/* wire_value.h - fills and prints any protocol message, by its table.
 *
 * What a test needs to treat all messages alike: random contents, and one
 * canonical text, which is the JSON that Kafka's own *JsonConverter classes
 * give (record batches as "recordsSizeInBytes"). */
#ifndef LIB_WIRE_VALUE_H
#define LIB_WIRE_VALUE_H

#include "wire/wire_tables.h"

/* NULL when there is none. name: "ProduceRequest". */
const struct wire_message *wire_value_find(struct str name);

/* A message in the arena, its fields filled at random as far as the version
 * has them, nulls and empty arrays included; others have their default. */
void *wire_value_fill(const struct wire_message *message, int version,
                      uint64_t *seed, struct arena *arena);

/* The message as compact JSON. */
struct str wire_value_dump(const struct wire_message *message, int version,
                           const void *value, struct arena *arena);

#endif
