/* The file that holds space ready, in a folder of its own, on a volume that has
 * as much space as the test says. tests/crash has one that is really full. */
#include "broker/reserve.h"

#include "base/trace.h"
#include "lib/fixture.h"
#include "lib/simenv.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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
        struct reserve *reserve =
            reserve_open(disk_real(), place.folder, 2 << 20);

        assert_true(reserve_is_held(reserve));
        assert_int_equal(place_bytes(&place), 1 << 20);
        reserve_close(reserve);
    }
    fixture_remove(place.folder);
}

static void it_is_not_made_where_there_is_no_room_beside_it(void **state)
{
    struct place place = place_make();
    struct reserve *reserve =
        reserve_open(disk_real(), place.folder, UINT64_MAX / 2);

    assert_false(reserve_is_held(reserve));
    assert_int_equal(place_bytes(&place), -1);
    reserve_close(reserve);
    fixture_remove(place.folder);
}

static void a_volume_of_no_known_size_has_none(void **state)
{
    struct place place = place_make();
    struct reserve *reserve = reserve_open(disk_real(), place.folder, 0);

    assert_int_equal(place_bytes(&place), -1);
    reserve_close(reserve);
    fixture_remove(place.folder);
}

static void a_part_of_it_does_not_stay(void **state)
{
    struct place place = place_make();
    struct reserve *reserve;
    int fd = open(place.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(fallocate(fd, 0, 0, 1 << 20), 0);
    close(fd);
    /* No room to make it whole. */
    reserve = reserve_open(disk_real(), place.folder, UINT64_MAX / 2);
    assert_false(reserve_is_held(reserve));
    assert_int_equal(place_bytes(&place), -1);
    reserve_close(reserve);
    fixture_remove(place.folder);
}

/* A volume of the test, virtual time, and a reserve of 1 MiB beside 2. */
struct volume {
    struct disk disk;
    struct place place;
    struct simclock clock;
    struct simenv *sim;
    struct reserve *reserve;
    uint64_t free_bytes;
    int looks;
};

static uint64_t volume_free_bytes(struct disk *disk, const char *path)
{
    struct volume *v = container_of(disk, struct volume, disk);

    v->looks++;
    return v->free_bytes;
}

static const struct disk_ops volume_ops = {.free_bytes = volume_free_bytes};

static void volume_watch(void *arg)
{
    struct volume *v = arg;

    reserve_watch(v->reserve, simenv_env(v->sim));
}

static void volume_give(void *arg)
{
    reserve_give(((struct volume *)arg)->reserve);
}

static void volume_open(struct volume *v, uint64_t free_bytes)
{
    *v = (struct volume){
        .disk = {&volume_ops}, .place = place_make(), .free_bytes = free_bytes};
    simclock_init(&v->clock, 1);
    v->sim = simenv_open(&v->clock, &v->disk);
    v->reserve = reserve_open(&v->disk, v->place.folder, 2 << 20);
    simenv_run(v->sim, volume_watch, v);
}

static void volume_close(struct volume *v)
{
    simenv_close(v->sim); /* which knows its timer */
    reserve_close(v->reserve);
    simclock_fini(&v->clock);
    fixture_remove(v->place.folder);
}

/* One that is there wakes nobody up. */
static void it_is_given_and_comes_back_when_there_is_room(void **state)
{
    struct volume v;

    volume_open(&v, 64 << 20);
    assert_true(reserve_is_held(v.reserve));
    assert_true(simenv_is_idle(v.sim));
    v.free_bytes = 0;
    for (int i = 0; i < 2; i++) { /* the second time there is none */
        simenv_run(v.sim, volume_give, &v);
        assert_false(reserve_is_held(v.reserve));
        assert_int_equal(place_bytes(&v.place), -1);
    }
    simclock_run_for_ms(&v.clock, 6000);
    assert_false(reserve_is_held(v.reserve));
    v.free_bytes = (3 << 20) - 1; /* it would leave less than 2 MiB */
    simclock_run_for_ms(&v.clock, 11000);
    assert_false(reserve_is_held(v.reserve));
    v.free_bytes = 3 << 20;
    simclock_run_for_ms(&v.clock, 21000);
    assert_true(reserve_is_held(v.reserve));
    assert_int_equal(place_bytes(&v.place), 1 << 20);
    assert_true(simenv_is_idle(v.sim));
    volume_close(&v);
}

static void a_full_volume_gets_it_back_at_a_start(void **state)
{
    struct volume v;
    struct reserve *reserve;

    volume_open(&v, 64 << 20);
    v.free_bytes = 4096;
    reserve = reserve_open(&v.disk, v.place.folder, 2 << 20);
    assert_false(reserve_is_held(reserve));
    assert_int_equal(place_bytes(&v.place), -1);
    reserve_close(reserve);
    volume_close(&v);
}

/* After 5, 10, 20, 40, 60, 60 ... seconds; and as soon as at first when it was
 * there in between. */
static void a_volume_that_stays_full_is_looked_at_once_a_minute(void **state)
{
    struct volume v;

    volume_open(&v, 2 << 20);
    assert_false(reserve_is_held(v.reserve));
    v.looks = 0;
    simclock_run_for_ms(&v.clock, 80000);
    assert_int_equal(v.looks, 4);
    simclock_run_for_ms(&v.clock, 600000);
    assert_int_equal(v.looks, 14);
    v.free_bytes = 64 << 20;
    simclock_run_for_ms(&v.clock, 61000);
    assert_true(reserve_is_held(v.reserve));
    v.free_bytes = 0;
    simenv_run(v.sim, volume_give, &v);
    v.looks = 0;
    simclock_run_for_ms(&v.clock, 6000);
    assert_int_equal(v.looks, 1);
    volume_close(&v);
}

static int quiet(void **state)
{
    trace_level_set(TRACE_ERROR);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_half_of_the_reserve_and_at_most_8_mib),
        cmocka_unit_test(it_is_made_where_there_is_room_and_stays),
        cmocka_unit_test(it_is_not_made_where_there_is_no_room_beside_it),
        cmocka_unit_test(a_volume_of_no_known_size_has_none),
        cmocka_unit_test(a_part_of_it_does_not_stay),
        cmocka_unit_test(it_is_given_and_comes_back_when_there_is_room),
        cmocka_unit_test(a_full_volume_gets_it_back_at_a_start),
        cmocka_unit_test(a_volume_that_stays_full_is_looked_at_once_a_minute),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
