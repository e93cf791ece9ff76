/* storage.h - what a node of the quorum keeps: entries, term and vote, the last
 * checkpoint.
 *
 * Entries are appended and cut in memory at once (tail.h) and on disk in the
 * same order, later; options.persisted tells how far the disk has come. Term
 * and vote are on disk when the call returns: nothing is said before.
 *
 * Belongs to the loop of env. A failed write or sync is told once, through
 * options.failed; the storage does nothing after that. */
#ifndef QUORUM_STORAGE_H
#define QUORUM_STORAGE_H

#include "quorum/tail.h"
#include "run/env.h"

struct storage;

struct storage_options {
    const char *folder;   /* copied */
    uint64_t id;          /* of the node; the folder is refused to another */
    uint64_t clean_start; /* as in struct quorum_options */
    int64_t segment_bytes;
    /* The last command that the machine holds: what lies above is loaded. */
    uint64_t machine_applied;
    /* Entries up to index are on disk. Never inside a call of this module. */
    void (*persisted)(void *arg, uint64_t index);
    void (*failed)(void *arg, const struct why *why);
    /* An entry finds no space on the disk; it is tried again. */
    void (*lacks_room)(void *arg);
    void *arg;
};

/* Loads. Blocks.
 * Errors: ERR_DISK, ERR_FULL, ERR_DAMAGED, ERR_INVALID as quorum_open(). */
MUST_USE enum err storage_open(struct env *env,
                               const struct storage_options *options,
                               struct storage **out, struct why *why);
/* Lets the disk come to rest, keeps the mark, frees; then done. */
void storage_close(struct storage *storage, void (*done)(void *arg), void *arg);

/* The entries; borrowed, to be read. */
const struct tail *storage_tail(const struct storage *storage);
/* index 0: none was taken. */
const struct stable_checkpoint *storage_checkpoint(const struct storage *s);
int32_t storage_term(const struct storage *storage);
uint64_t storage_vote(const struct storage *storage);
/* How often this node started; this time counts from the first
 * storage_keep_term() on. */
uint64_t storage_starts(const struct storage *storage);
/* The run before this one was the one of options.clean_start. */
bool storage_was_clean(const struct storage *storage);
/* Nothing was ever kept here. */
bool storage_is_new(const struct storage *storage);
/* At open: up to here the machine has applied, barriers and all. */
uint64_t storage_applied(const struct storage *storage);
/* At open: the last command at or below that. */
uint64_t storage_last_command(const struct storage *storage);
/* The term of an entry of the log, or of the checkpoint; 0: not known. */
int32_t storage_term_of(const struct storage *storage, uint64_t index);
/* Nothing is being written. */
bool storage_is_quiet(const struct storage *storage);
enum storage_room {
    STORAGE_ROOM_NONE,   /* below the floor: nothing may be written */
    STORAGE_ROOM_LITTLE, /* below the reserve */
    STORAGE_ROOM_ENOUGH,
};

/* What is left on the volume; says so when that changes. Asks the system at
 * most once a second, what was appended since is counted; below the floor each
 * time, for somebody may just have made room. */
enum storage_room storage_room(struct storage *storage, uint64_t reserve_bytes,
                               uint64_t floor_bytes);
/* Of all entries on disk, and what is around them. */
uint64_t storage_log_bytes(const struct storage *storage);

/* Durable on return. Errors: ERR_DISK, ERR_FULL: the node ends. */
MUST_USE enum err storage_keep_term(struct storage *storage, int32_t term,
                                    uint64_t vote, struct why *why);

/* Entries from first on; what the log has from there is cut. Payloads are
 * copied. apart: each may be cut later on, in front of the next one. */
void storage_append(struct storage *storage, uint64_t first,
                    const struct entry *entries, uint32_t count, bool apart);

/* Entries that somebody wants: from first on, up to count, of at most about
 * bytes_max payload bytes, at least one. */
struct storage_want {
    uint64_t first;
    uint32_t count;
    size_t bytes_max;
};

/* From memory, or read from the disk into the arena. out: room for want.count.
 * *got: how many.
 * Errors: ERR_NOT_FOUND (cut at the head, or not in the log), ERR_DISK,
 *         ERR_DAMAGED. */
MUST_USE enum err storage_read(struct storage *storage,
                               struct storage_want want, struct arena *arena,
                               struct entry *out, uint32_t *got,
                               struct why *why);
/* The payloads up to index may go from memory, beyond keep_bytes. */
void storage_forget(struct storage *storage, uint64_t index,
                    uint64_t keep_bytes);

/* A checkpoint to keep, at an index that was applied and is durable here.
 * Caller's memory, in use until done. */
struct storage_save {
    uint64_t index;
    uint64_t command_index;
    uint64_t voters_index; /* of the voters in force at index: */
    struct str voters;     /* borrowed for the call of storage_save() */
    uint64_t first;        /* the log may begin here then; 0: as it does */
    /* Later, in a turn of its own: it is on disk, and the storage's.
     * Errors: ERR_DISK, ERR_FULL: then it is not. */
    void (*done)(struct storage_save *save, enum err err);
    struct why why; /* of the error */

    struct storage *storage; /* private from here on */
    struct work work;
    struct stable_checkpoint next;
    struct arena arena;
    enum err err;
};

/* Keeps it, on a disk thread; one at a time, and not while it closes. */
void storage_save(struct storage *storage, struct storage_save *save);
/* The log begins at save->first from now on, which is on disk: what lies below
 * is deleted. Errors: ERR_DISK, ERR_FULL. */
MUST_USE enum err storage_cut_head(struct storage *storage, uint64_t first,
                                   struct why *why);

#endif
