/* reserve.c - makes, removes and makes again data/.reserve; see reserve.h.
 *
 * Invariants: (1) the file is there and whole, or it is not there: a part that
 * a crash, or a smaller reserve, has left is removed before all else; (2) the
 * timer is set only while it is not there: a broker with its reserve does not
 * wake up for it, one on a volume that stays full once a minute; (3) it is
 * never synced: one that a crash loses is made at the next start. */
#include "broker/reserve.h"

#include "base/mem.h"
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RESERVE_FILE_BYTES_MAX = 8 << 20,
    RESERVE_LOOK_MS = 5000, /* twice as long each time, up to */
    RESERVE_LOOK_MS_MAX = 60000,
    RESERVE_STAT_BLOCK = 512, /* of st_blocks, on every file system */
};

struct reserve {
    struct disk *disk;
    char *folder;
    char *path;
    uint64_t bytes;      /* of the file */
    uint64_t keep_bytes; /* that must be left beside it */
    bool held;
    bool made;        /* by the job on the disk thread */
    bool is_possible; /* the file system can hold space ready */
    struct env *env;  /* NULL: not watched yet */
    struct env_timer timer;
    int64_t pause_ms; /* until the volume is looked at again */
    struct work work;
};

uint64_t reserve_file_bytes(uint64_t reserve_bytes)
{
    return MIN(reserve_bytes / 2, (uint64_t)RESERVE_FILE_BYTES_MAX);
}

static uint64_t reserve_left(const struct reserve *reserve)
{
    return disk_free_bytes(reserve->disk, reserve->folder);
}

static bool reserve_is_whole(const struct reserve *reserve)
{
    struct stat info;

    return stat(reserve->path, &info) == 0 &&
           (uint64_t)info.st_blocks * RESERVE_STAT_BLOCK >= reserve->bytes;
}

/* Any thread, while the file is not held. Gives whether it is there now. */
static bool reserve_make(struct reserve *reserve)
{
    bool made;
    int fd;

    if (!reserve->is_possible || reserve->bytes == 0 ||
        reserve_left(reserve) < reserve->keep_bytes + reserve->bytes) {
        return false;
    }
    fd = open(reserve->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return false;
    }
    made = fallocate(fd, 0, 0, (off_t)reserve->bytes) == 0;
    if (!made) {
        reserve->is_possible = errno != EOPNOTSUPP && errno != ENOSYS;
        (void)unlink(reserve->path);
    }
    close(fd);
    return made;
}

static void reserve_remove(struct reserve *reserve)
{
    uint64_t left = reserve_left(reserve);

    if (unlink(reserve->path) == 0) {
        trace(
            TRACE_WARN,
            "the volume of \"%s\" is full, %llu KiB are left: the %llu KiB of "
            "\"%s\" are given back, to serve reads and to delete topics with; "
            "free some space",
            reserve->folder, (unsigned long long)(left >> 10),
            (unsigned long long)(reserve->bytes >> 10), reserve->path);
    }
    reserve->held = false;
}

struct reserve *reserve_open(struct disk *disk, const char *folder,
                             uint64_t reserve_bytes)
{
    struct reserve *reserve = MEM_NEW(struct reserve);

    reserve->disk = disk;
    reserve->pause_ms = RESERVE_LOOK_MS;
    reserve->folder = mem_dupz(folder);
    reserve->path = mem_printf("%s/.reserve", folder);
    reserve->bytes = reserve_file_bytes(reserve_bytes);
    reserve->keep_bytes = reserve_bytes;
    reserve->is_possible = true;
    reserve->held = reserve_is_whole(reserve);
    if (!reserve->held) {
        (void)unlink(reserve->path); /* a part: invariant 1 */
    }
    if (reserve_left(reserve) < reserve->bytes) {
        reserve_remove(reserve);
    } else if (!reserve->held) {
        reserve->held = reserve_make(reserve);
    }
    return reserve;
}

bool reserve_is_held(const struct reserve *reserve)
{
    return reserve->held;
}

static void reserve_look_later(struct reserve *reserve)
{
    if (!reserve->held && reserve->is_possible && reserve->bytes > 0) {
        env_timer_set(reserve->env, &reserve->timer, reserve->pause_ms);
        reserve->pause_ms = MIN(2 * reserve->pause_ms, RESERVE_LOOK_MS_MAX);
    }
}

static void reserve_look(struct work *work)
{
    struct reserve *reserve = container_of(work, struct reserve, work);

    reserve->made = reserve_make(reserve);
}

static void reserve_looked(struct work *work)
{
    struct reserve *reserve = container_of(work, struct reserve, work);

    reserve->held = reserve->made;
    if (reserve->held) {
        reserve->pause_ms = RESERVE_LOOK_MS;
        trace(TRACE_INFO,
              "the volume of \"%s\" has space again: \"%s\" is back",
              reserve->folder, reserve->path);
    }
    reserve_look_later(reserve);
}

static void reserve_fire(struct env_timer *timer)
{
    struct reserve *reserve = container_of(timer, struct reserve, timer);

    env_work(reserve->env, &reserve->work);
}

void reserve_watch(struct reserve *reserve, struct env *env)
{
    reserve->env = env;
    reserve->timer.fire = reserve_fire;
    reserve->work.run = reserve_look;
    reserve->work.done = reserve_looked;
    reserve->work.key = (uint64_t)(uintptr_t)reserve;
    reserve_look_later(reserve);
}

void reserve_give(struct reserve *reserve)
{
    if (reserve->held) { /* so no job is at work on it */
        reserve_remove(reserve);
        reserve_look_later(reserve);
    }
}

void reserve_close(struct reserve *reserve)
{
    mem_free(reserve->folder);
    mem_free(reserve->path);
    mem_free(reserve);
}
