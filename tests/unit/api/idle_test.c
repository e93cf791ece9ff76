/* A broker that has nothing to do does nothing: no thread of it wakes up. The
 * one timer above these floors is the reserve's: unit/broker/reserve_test. */
#include "unit/api/api_world.h"

#include <dirent.h>
#include <string.h>

enum {
    SETTLE_MS = 4000, /* the last timers of what was before */
    WATCH_MS = 10000,
};

/* How often this thread has run; 0 for those that are not the broker's. */
static long switches_of(const char *task)
{
    char path[300];
    char line[128];
    long count = 0;
    bool ours = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        long n;

        ours = ours || strcmp(line, "Name:\tdisk\n") == 0 ||
               strncmp(line, "Name:\tloop-", 11) == 0;
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1) {
            count += n;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return ours ? count : 0;
}

static long switches(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long count = 0;

    assert_non_null(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.') {
            count += switches_of(entry->d_name);
        }
    }
    closedir(tasks);
    return count;
}

static void nothing_wakes_up_when_there_is_nothing_to_do(void **state)
{
    struct api_world world;
    struct client client;
    long before, after;

    world_open(&world, 2);
    pthread_setname_np(world.thread, "loop-0");
    client = client_open(&world);
    assert_int_equal(client_create(&client, "busy", 4, NULL), ERR_NONE);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(client_produce(&client, "busy", i % 4, 1, 100, NULL),
                         ERR_NONE);
    }
    client_send_fetch(&client, "busy", 0, 25, 1, 200);
    (void)client_fetched(&client);
    client_close(&client);
    usleep(SETTLE_MS * 1000);
    before = switches();
    assert_true(before > 0);
    usleep(WATCH_MS * 1000);
    after = switches();
    assert_int_equal(after - before, 0);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wakes_up_when_there_is_nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
