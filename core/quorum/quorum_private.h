/* quorum_private.h - the insides of a quorum, for the files of this folder.
 *
 * quorum.c             proposals, life and end
 * quorum_checkpoint.c  when the log may be cut
 * step.c               one event into the library, and what it wants done
 * transport.c          frames in and out, and the guards before the library
 *
 * Invariants: (1) raft_step() is called from step.c alone and never from
 * inside itself: callbacks of the owner run between steps, and what they ask
 * for is put off to the end of the turn; (2) the machine is never ahead of what
 * is on disk here; (3) `submitted` is not empty only while this node leads, in
 * one term, and its indexes do not fall. */
#ifndef QUORUM_QUORUM_PRIVATE_H
#define QUORUM_QUORUM_PRIVATE_H

#include "quorum/quorum.h"
#include "quorum/storage.h"
#include <raft.h>

/* 0.15 loses committed entries, and what is read of struct raft may move. */
#if !defined(RAFT_VERSION_NUMBER) || RAFT_VERSION_NUMBER < 2201 ||             \
    RAFT_VERSION_NUMBER >= 2300
#error "libraft >= 0.22.1 and < 0.23 is needed (scripts/libraft brings it)"
#endif

struct quorum {
    struct env *env;
    struct quorum_options options; /* limits: with the defaults filled in */
    struct storage *storage;
    struct raft raft;
    bool start_due; /* at the end of the turn */
    bool started;   /* raft is open */
    bool stepping;  /* inside of step_run() */
    bool broken;
    bool closing;
    struct env_timer timer; /* raft's */
    struct env_task turn;   /* refusals, submits, checkpoints, the end */
    uint64_t applied;       /* the machine has it, or it is no command */
    uint64_t last_command;
    uint64_t confirmed; /* memberships up to here were confirmed to raft */
    int32_t lead_term;  /* the term in which raft leads; 0: it does not */
    bool leads;         /* an entry of that term is applied */
    uint64_t leader;    /* as it was told to the owner */
    struct list queued; /* proposals that no entry was made of yet */
    struct list submitted;
    struct list answered; /* done is to be called, with their err */
    uint32_t open_count;  /* of queued and submitted */
    uint64_t open_bytes;
    struct quorum_checkpoint checkpoint;
    struct storage_save save; /* the same, on its way to the disk */
    uint64_t checkpoint_command;
    unsigned checkpoint_trailing; /* entries kept below it */
    bool checkpoint_due;
    bool checkpointing;   /* the machine is at it, or the disk */
    uint64_t grown_bytes; /* applied since the last one was asked for */
    void (*checkpoint_done)(void *arg, enum err err);
    void *checkpoint_arg;
    bool checkpoint_over; /* tell checkpoint_done */
    enum err checkpoint_err;
    bool storage_closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* quorum.c */

/* The node cannot go on: tells the owner, once. */
void quorum_fail(struct quorum *quorum, const struct why *why);
void quorum_fail_text(struct quorum *quorum, enum err err, const char *format,
                      ...) PRINTF_LIKE(3, 4);
/* Answers the proposals that are done with index. */
void quorum_applied_to(struct quorum *quorum, uint64_t index);
/* raft leads no more: what is open is answered at the end of the turn. */
void quorum_lost_lead(struct quorum *quorum);

/* quorum_checkpoint.c */

/* None is due, none under way. */
void quorum_checkpoint_init(struct quorum *quorum);
/* At the end of a turn: asks the machine, when that is due. */
void quorum_checkpoint_begin(struct quorum *quorum);
/* At the end of a turn: tells whoever asked that it is over. */
void quorum_checkpoint_answer(struct quorum *quorum);

/* step.c */

/* Opens raft with what the storage has; a node that is the only voter gets a
 * term of its own first. */
void step_start(struct quorum *quorum);
/* One event, and everything that follows from it. Gives what raft_step() gave:
 * only a submit may be refused, anything else has failed the quorum. */
int step_run(struct quorum *quorum, struct raft_event *event);
/* Entries up to index are on disk. */
void step_persisted(void *arg, uint64_t index);
void step_timer_fire(struct env_timer *timer);
/* This node leads, and there is nobody else. */
bool step_is_alone(const struct quorum *quorum);
/* It follows, and is the only one who votes (consensus guard G2). */
bool step_is_lone_follower(struct quorum *quorum);
/* Confirms a membership that another node knows to be committed. */
void step_confirm_early(struct quorum *quorum,
                        const struct tail_change *change);

/* transport.c */

/* Serialises and hands out, now: the message lives until the next step. */
void transport_send(struct quorum *quorum, const struct raft_message *message);

#endif
