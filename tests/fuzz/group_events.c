/* group_events.c - fuzzes a group with joins, syncs, time and failing stores.
 *
 * tests/unit/coord/walk.h says what the bytes mean and what must hold. */
#include "unit/coord/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    walk_bytes(data, bytes);
    return 0;
}
