/* broker_settings.c - fuzzes config files and --set.
 *
 * What comes before the first NUL is a config file, each line after it a --set.
 * Whatever they say: an answer comes, with a report exactly when it is no, and
 * what is accepted keeps its limits. */
#include "base/mem.h"
#include "base/must.h"
#include "broker/settings.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A folder of its own: a config may include what lies beside it. */
static char folder[] = "/tmp/tidemark-fuzz.XXXXXX";
static char path[sizeof(folder) + 12];

static int begin(void)
{
    must(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/config.lua", folder);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void forget(void)
{
    unlink(path);
    rmdir(folder);
}

static void check(const struct settings *s)
{
    must(s->listener_count > 0);
    for (size_t i = 0; i < s->listener_count; i++) {
        must(s->listeners[i].bind_port > 0);
        must(s->listeners[i].loopback || !s->listeners[i].optional);
    }
    must(s->node.id >= 0 && s->node.data_dir[0] != '\0');
    must(s->defaults.partitions >= 1);
    must(s->limits.frame_bytes >= 16 << 10 && s->limits.connections > 0);
    must(s->coordinator.session_ms_min <= s->coordinator.session_ms_max);
    for (size_t i = 0; i < s->topic_count; i++) {
        must(s->topics[i].partitions == -1 || s->topics[i].partitions >= 1);
        must(i == 0 || strcmp(s->topics[i - 1].name, s->topics[i].name) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static int fd = -1;
    const uint8_t *nul = memchr(data, '\0', bytes);
    size_t file_bytes = nul == NULL ? bytes : (size_t)(nul - data);
    char *tail = mem_dup(data + file_bytes, bytes - file_bytes);
    const char *sets[16];
    struct settings_input input = {
        .config_path = path, .sets = sets, .machine_bytes = UINT64_C(1) << 30};
    struct settings *settings;
    char *report;
    char *rest = tail + (nul == NULL ? 0 : 1);
    enum err err;

    if (fd < 0) {
        fd = begin();
        atexit(forget);
    }
    must(ftruncate(fd, 0) == 0);
    must(pwrite(fd, data, file_bytes, 0) == (ssize_t)file_bytes);
    while (nul != NULL && input.set_count < 16) {
        char *line = strsep(&rest, "\n");

        if (line == NULL) {
            break;
        }
        sets[input.set_count++] = line;
    }
    err = settings_load(&input, &settings, &report);
    must((err == ERR_NONE) == (report[0] == '\0'));
    must((err == ERR_NONE) == (settings != NULL));
    if (!err) {
        check(settings);
    }
    settings_free(settings);
    mem_free(report);
    mem_free(tail);
    return 0;
}
