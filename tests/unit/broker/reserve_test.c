/* The file that holds space ready, on a volume that has some. tests/crash has
 * the full one. */
#include "broker/reserve.h"

#include "lib/fixture.h"

#include <stdio.h>
#include <sys/stat.h>

struct place {
    char folder[FIXTURE_PATH_BYTES];
    char file[FIXTURE_PATH_BYTES + 16];
};

static struct place place_make(void)
{
    struct place place;

    fixture_folder(place.folder);
    snprintf(place.file, sizeof(place.file), "%s/.reserve", place.folder);
    return place;
}

/* Its bytes, and those that the volume has given for it; -1: it is not there.
 */
static int64_t place_bytes(const struct place *place)
{
    struct stat info;

    if (stat(place->file, &info) != 0) {
        return -1;
    }
    assert_true((int64_t)info.st_blocks * 512 >= (int64_t)info.st_size);
    return (int64_t)info.st_size;
}

static void it_is_half_of_the_reserve_and_at_most_8_mib(void **state)
{
    assert_int_equal(reserve_file_bytes(0), 0);
    assert_int_equal(reserve_file_bytes(3 << 20), 3 << 19);
    assert_int_equal(reserve_file_bytes(16 << 20), 8 << 20);
    assert_int_equal(reserve_file_bytes(256 << 20), 8 << 20);
}

static void it_is_made_where_there_is_room_and_stays(void **state)
{
    struct place place = place_make();

    for (int i = 0; i < 2; i++) {
        struct reserve *reserve = reserve_open(place.folder, 2 << 20);

        assert_true(reserve_is_held(reserve));
        assert_int_equal(place_bytes(&place), 1 << 20);
        reserve_close(reserve);
    }
    fixture_remove(place.folder);
}

static void it_is_not_made_where_there_is_no_room_beside_it(void **state)
{
    struct place place = place_make();
    struct reserve *reserve = reserve_open(place.folder, UINT64_MAX / 2);

    assert_false(reserve_is_held(reserve));
    assert_int_equal(place_bytes(&place), -1);
    reserve_close(reserve);
    fixture_remove(place.folder);
}

static void a_volume_of_no_known_size_has_none(void **state)
{
    struct place place = place_make();
    struct reserve *reserve = reserve_open(place.folder, 0);

    assert_int_equal(place_bytes(&place), -1);
    reserve_close(reserve);
    fixture_remove(place.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_half_of_the_reserve_and_at_most_8_mib),
        cmocka_unit_test(it_is_made_where_there_is_room_and_stays),
        cmocka_unit_test(it_is_not_made_where_there_is_no_room_beside_it),
        cmocka_unit_test(a_volume_of_no_known_size_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
