/* storage_private.h - struct storage, for the files that share the work on it:
 *
 * storage.c       the queue of what the disk has to do; term, checkpoints, end
 * storage_load.c  from files to a storage, and whether it may vote
 * storage_read.c  entries for followers, from memory or from the disk */
#ifndef QUORUM_STORAGE_PRIVATE_H
#define QUORUM_STORAGE_PRIVATE_H

#include "log/log.h"
#include "quorum/storage.h"

enum {
    STORAGE_READ_BYTES = 1048576, /* of a log in one go */
};

struct storage {
    struct env *env;
    struct storage_options options;
    char *folder;
    struct log *log;
    struct stable_slots slots; /* where it is kept: */
    struct stable_term kept;
    bool is_new;
    bool clean; /* the run before this one ended cleanly */
    bool begun; /* this run is counted in kept.starts */
    struct arena checkpoint_arena;
    struct stable_checkpoint checkpoint;
    struct tail tail;
    uint64_t applied;
    uint64_t last_command;
    uint64_t durable;  /* on disk, and not cut */
    struct list queue; /* of struct storage_job: first those under way */
    uint32_t under_way;
    struct env_task pump;
    uint64_t left_bytes;   /* on the volume, as far as is known */
    int64_t left_until_ms; /* then it is asked again */
    bool is_full;          /* as it was said last */
    bool stalled;          /* an entry found no space: nothing is begun */
    bool lacked_room;      /* as it was said last */
    struct env_timer retry;
    bool saving; /* a checkpoint, on a disk thread */
    bool broken;
    bool abandoned; /* the log is being closed, or was never open */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Tells the owner, once; nothing is done after that. */
void storage_fail(struct storage *storage, const struct why *why);

/* Fills in what a start needs: small files, log, entries; storage has its
 * options. Errors: as storage_open(). */
MUST_USE enum err storage_load(struct storage *storage, struct why *why);

#endif
