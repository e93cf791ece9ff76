/* Random lives of a group: what always holds, holds. */
#include "unit/coord/walk.h"

#include "lib/fixture.h"

enum { WALKS = 300, WALK_BYTES = 4000 };

static void every_token_is_answered_exactly_once_whatever_happens(void **state)
{
    uint8_t *bytes = mem_alloc(WALK_BYTES);
    uint64_t seed = 1;
    int32_t generations = 0;

    for (int i = 0; i < WALKS; i++) {
        for (int j = 0; j < WALK_BYTES; j++) {
            bytes[j] = (uint8_t)(fixture_random(&seed) >> 32);
        }
        generations += walk_bytes(bytes, WALK_BYTES);
    }
    /* The walks get somewhere: many rebalances were completed. */
    assert_in_range(generations, 10 * WALKS, INT32_MAX);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_is_answered_exactly_once_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
