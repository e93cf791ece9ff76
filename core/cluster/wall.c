/* wall.c - wall_core behind a lock, and its file. */
#include "cluster/wall.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/trace.h"
#include "cluster/wall_core.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum { WALL_KEEP_MS = 60000, WALL_FILE_BYTES_MAX = 64 };

struct wall {
    pthread_mutex_t lock; /* never held over a system call */
    struct wall_core core;
    struct env *env; /* of the loop whose disk thread keeps it now */
    struct work work;
    char *path;
    int64_t kept_ms;
    bool keeping;
    bool closed;
};

static int64_t wall_read(struct env *env, const char *path)
{
    char *text = NULL;
    size_t bytes;
    int64_t kept_ms = 0;

    if (disk_read_all(env->disk, path, WALL_FILE_BYTES_MAX, &text, &bytes,
                      NULL) == ERR_NONE &&
        (!str_to_i64(str_sub(text, bytes), &kept_ms) || kept_ms < 0)) {
        kept_ms = 0;
    }
    mem_free(text);
    return kept_ms;
}

struct wall *wall_open(struct env *env, const char *data_folder)
{
    struct wall *wall = MEM_NEW(struct wall);

    must(pthread_mutex_init(&wall->lock, NULL) == 0);
    wall->path = mem_printf("%s/wall-clock", data_folder);
    wall->kept_ms = wall_read(env, wall->path);
    wall_core_init(&wall->core, wall->kept_ms, env_wall_ms(env),
                   env_now_ms(env));
    return wall;
}

static void wall_free(struct wall *wall)
{
    pthread_mutex_destroy(&wall->lock);
    mem_free(wall->path);
    mem_free(wall);
}

void wall_close(struct wall *wall)
{
    bool keeping;

    pthread_mutex_lock(&wall->lock);
    wall->closed = true;
    keeping = wall->keeping;
    pthread_mutex_unlock(&wall->lock);
    if (!keeping) {
        wall_free(wall);
    }
}

/* On a disk thread. A file that cannot be written costs a delay after the next
 * start, no more. */
static void wall_keep(struct work *work)
{
    struct wall *wall = container_of(work, struct wall, work);
    char text[WALL_FILE_BYTES_MAX];
    struct why why = {""};
    int bytes = snprintf(text, sizeof(text), "%" PRId64, wall->kept_ms);

    if (disk_replace(wall->env->disk, wall->path, text, (size_t)bytes, &why) !=
        ERR_NONE) {
        trace(TRACE_WARN, "%s", why.text);
    }
}

static void wall_kept(struct work *work)
{
    struct wall *wall = container_of(work, struct wall, work);
    bool closed;

    pthread_mutex_lock(&wall->lock);
    wall->keeping = false;
    closed = wall->closed;
    pthread_mutex_unlock(&wall->lock);
    if (closed) {
        wall_free(wall);
    }
}

int64_t wall_look(struct wall *wall, struct env *env)
{
    int64_t wall_ms;
    bool keep;

    pthread_mutex_lock(&wall->lock);
    wall_ms = wall_core_look(&wall->core, env_wall_ms(env), env_now_ms(env));
    keep = !wall->keeping &&
           (wall->core.trusted_ms < wall->kept_ms ||
            wall->core.trusted_ms - wall->kept_ms >= WALL_KEEP_MS);
    if (keep) {
        wall->keeping = true;
        wall->env = env;
        wall->kept_ms = wall->core.trusted_ms;
    }
    pthread_mutex_unlock(&wall->lock);
    if (keep) {
        wall->work = (struct work){.run = wall_keep,
                                   .done = wall_kept,
                                   .key = (uint64_t)(uintptr_t)wall};
        env_work(env, &wall->work);
    }
    return wall_ms;
}
