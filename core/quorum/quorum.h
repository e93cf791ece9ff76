/* quorum.h - what all nodes agree on: one ordered list of commands.
 *
 * A command is proposed, stored by a majority of the voters, and then handed to
 * the machine on every node, in the same order, once. The library behind it
 * (libraft, stepped by step.c) is known in this folder only; entries are kept
 * in a log/ log (README.md has the files and their bytes).
 *
 * Threads: one loop owns a quorum: the one of env. All calls and all callbacks
 * happen there. No callback runs inside the call that asked for it.
 *
 * Ids: of nodes, above 0, at most INT64_MAX; a node that lost its disk never
 * comes back under its id. Index: of entries, from 1; not every index is a
 * command. Term: the leader's, above 0.
 *
 * A disk that fails, or a state that must not be (two leaders in one term),
 * ends the node through options.failed: nothing is said or done after that. */
#ifndef QUORUM_QUORUM_H
#define QUORUM_QUORUM_H

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "run/env.h"

struct quorum;

/* A request to make everything applied so far durable. The quorum's memory,
 * one at a time. */
struct quorum_checkpoint {
    uint64_t index; /* the last one that was applied */
    /* Call it once, later: ERR_NONE when what the machine holds is on disk up
     * to index at least; else nothing is cut, and it is asked for again when
     * the log has grown as much again. ERR_BUSY: not just now, and whoever
     * calls has said why. */
    void (*done)(struct quorum_checkpoint *checkpoint, enum err err);
};

/* What the commands change. An interface; borrowed until close. */
struct quorum_machine {
    /* The next committed command. command: borrowed for the call. Must not
     * fail: what is refused is refused as a result, the same on every node. */
    void (*apply)(struct quorum_machine *machine, uint64_t index, int32_t term,
                  struct str command);
    /* At open: the index of the last command that the machine holds. Apply
     * starts behind it. 0: none. */
    uint64_t (*applied)(struct quorum_machine *machine);
    void (*checkpoint)(struct quorum_machine *machine,
                       struct quorum_checkpoint *checkpoint);
};

/* A voter of the first start. */
struct quorum_voter {
    uint64_t id;
    const char *address; /* at most 255 bytes */
};

/* Bounds and times; zero takes the default, which is in brackets. */
struct quorum_limits {
    uint32_t command_bytes;      /* of one command [524288] */
    uint64_t uncommitted_bytes;  /* proposed and not applied [67108864] */
    uint32_t uncommitted;        /* the same, as a count [65536] */
    uint64_t checkpoint_bytes;   /* of entries between two of them [8388608] */
    uint32_t trailing;           /* entries kept below a checkpoint [10000]; */
    uint64_t trailing_bytes;     /* at most about so much [67108864] */
    bool no_trailing;            /* nothing is kept: for tests */
    uint64_t cache_bytes;        /* of entries for followers [4194304] */
    uint64_t disk_reserve_bytes; /* free space below which a proposal that is
                                    not vital is refused [67108864] */
    uint64_t disk_floor_bytes;   /* and every one; at most the reserve
                                    [262144] */
    int64_t segment_bytes;       /* of the entries' log [16777216] */
    uint32_t election_ms;        /* once to twice that [1000] */
    uint32_t heartbeat_ms;       /* [100] */
};

struct quorum_options {
    const char *folder; /* copied; made when absent */
    uint64_t id;
    /* For the first start alone: all first voters, the same list on each of
     * them; copied. None: a new node waits to be added. */
    const struct quorum_voter *voters;
    uint32_t voter_count;
    /* The run whose stop was clean, as quorum_starts() gave it then; 0: none.
     * When it was the last one, nothing is looked for. */
    uint64_t clean_start;
    struct quorum_limits limits;
    struct quorum_machine *machine;
    /* Sends a frame to a node, or drops it when the way there is full. frame:
     * borrowed for the call. NULL: there are no others. */
    void (*send)(void *arg, uint64_t to, struct str frame);
    /* This node leads in term, and an entry of that term is applied: the
     * machine holds everything that was ever acknowledged. NULL: not told. */
    void (*on_lead)(void *arg, int32_t term);
    /* The command that a new term of this node begins with: it shares the write
     * that a start waits for. Nothing may be asked of the quorum here. Null: an
     * entry of the quorum's own. Applied before on_lead; borrowed until
     * quorum_close(). NULL: never one. */
    struct str (*opening)(void *arg);
    /* It does not, or no longer; leader: who does, 0: not known. NULL: not
     * told. */
    void (*on_follow)(void *arg, uint64_t leader);
    /* An entry finds no space on the disk. It is tried again, and nothing is
     * answered until there is some: whoever holds space ready gives it back.
     * NULL: not told. */
    void (*lacks_room)(void *arg);
    /* The node cannot go on. */
    void (*failed)(void *arg, const struct why *why);
    void *arg; /* of the six */
};

/* Loads what is on disk. Blocks; on the owner loop or before it runs. The rest
 * of a start is done by the loop: on_lead or on_follow tell.
 * Errors: ERR_DISK, ERR_FULL; ERR_DAMAGED (entries, term or checkpoint cannot
 * be read, or the log ends below what was known to be on disk or is in the
 * machine: this node must not vote); ERR_INVALID (the folder is another node's,
 * the voters are no list). */
MUST_USE enum err quorum_open(struct env *env,
                              const struct quorum_options *options,
                              struct quorum **out, struct why *why);

/* The last call, also after failed().
 * Answers what is open with ERR_STOPPING or ERR_UNKNOWN_OUTCOME, lets the disk
 * come to rest and frees the quorum; then done. Callbacks of options do not run
 * any more; a checkpoint that is under way is waited for. */
void quorum_close(struct quorum *quorum, void (*done)(void *arg), void *arg);

/* Caller's memory, in use until done. */
struct quorum_proposal {
    struct str command; /* borrowed until done */
    /* Taken below the reserve of the disk, too: it makes room, or the node does
     * not serve without it. */
    bool vital;
    /* Once, later. ERR_NONE: applied here, just before this call, at index.
     * Else index is 0. */
    void (*done)(struct quorum_proposal *proposal, enum err err,
                 uint64_t index);
    struct list node; /* private from here on */
    uint64_t index;
    enum err err;
    bool barrier;
};

/* Proposes a command. What comes while a write is out goes with the next one.
 * Errors (in done): ERR_NOT_CONTROLLER (another node leads, or nobody: ask
 * there), ERR_UNKNOWN_OUTCOME (leadership was lost: it may happen yet),
 * ERR_BUSY (a bound of limits: try again), ERR_TOO_LARGE (the command),
 * ERR_FULL (the disk is at its reserve, or at its floor), ERR_STOPPING. */
void quorum_propose(struct quorum *quorum, struct quorum_proposal *proposal);

/* Ends when the machine has everything that was acknowledged anywhere before
 * this call: for reads that must not be stale. The command is not looked at.
 * Errors (in done): as quorum_propose(). */
void quorum_read(struct quorum *quorum, struct quorum_proposal *proposal);

/* A frame that another node's options.send gave out. from: who the connection
 * proved to be. What is malformed, forged or late is dropped. */
void quorum_receive(struct quorum *quorum, uint64_t from, struct str frame);

/* True from on_lead to on_follow. */
bool quorum_is_leader(const struct quorum *quorum);
/* Who leads, 0 when that is not known. */
uint64_t quorum_leader(const struct quorum *quorum);
int32_t quorum_term(const struct quorum *quorum);
/* The number of this run of the node, once it leads or follows: a run raises it
 * on disk before it changes anything there. */
uint64_t quorum_starts(const struct quorum *quorum);
/* From open on: the last run was the one of options.clean_start. */
bool quorum_was_clean(const struct quorum *quorum);
/* The last index that was applied, and the log's last. */
uint64_t quorum_applied(const struct quorum *quorum);
uint64_t quorum_last(const struct quorum *quorum);

/* Takes a checkpoint now, if there is anything new to it and none is under way;
 * the quorum does so by itself each limits.checkpoint_bytes. For a clean stop:
 * the next start then reads next to nothing. done: NULL, or called when it, or
 * the one that is under way, is over; one call at a time.
 * Errors (in done): what the machine gave, ERR_FULL (the log stays long),
 * ERR_STOPPING. */
void quorum_checkpoint(struct quorum *quorum,
                       void (*done)(void *arg, enum err err), void *arg);

#endif
