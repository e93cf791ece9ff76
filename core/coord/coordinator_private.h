/* coordinator_private.h - what the files of the shell share. All of it belongs
 * to the control loop. */
#ifndef COORD_COORDINATOR_PRIVATE_H
#define COORD_COORDINATOR_PRIVATE_H

#include "base/heap.h"
#include "base/trace.h"
#include "coord/committed.h"
#include "coord/coordinator.h"
#include "coord/expiry.h"

enum {
    /* What a group may hold in members' texts, and all groups together. */
    HOSTED_BYTES_MAX = 16 << 20,
    COORDINATOR_BYTES_MAX = 256 << 20,
    /* Of the command that stores a group, beside its members: its id, its
     * protocol and the protocol's type, its leader, and some numbers. */
    HOSTED_STORED_HEAD_BYTES = 4 * (2 + INT16_MAX) + 64,
    COORDINATOR_LINES_A_SECOND = 5, /* of each kind that clients can cause */
};

struct coordinator {
    struct coordinator_options options;
    struct env *env;
    struct group_limits limits;
    struct map groups;     /* id -> struct hosted */
    struct heap deadlines; /* of struct hosted */
    struct env_timer timer;
    int64_t timer_due_ms; /* INT64_MAX: it does not run */
    uint64_t bytes;       /* of all groups */
    uint32_t changes;     /* commands under way */
    bool stopping;
    void (*closed)(void *arg);
    void *closed_arg;
    struct committed committed;
    struct expiry expiry;
    struct trace_gate refusals; /* lines about groups there is no place for */
    struct trace_gate failures; /* and about what could not be stored */
};

/* A group in memory, and what the shell has to know of it. */
struct hosted {
    struct coordinator *coordinator;
    struct group *group;
    struct heap_node deadline;
    uint64_t bytes; /* as counted in coordinator->bytes */
    uint32_t saves; /* commands under way */
    bool unsaved;   /* the last save failed: memory knows more */
};

/* Who is answered for a token of group_core.h. The asker's own memory may be
 * wanted back before the group answers (coordinator_gone()): then ask is NULL,
 * and the answer goes nowhere. */
struct coordinator_waiter {
    struct coordinator_ask *ask;
};

/* coordinator.c */
/* ERR_NONE: this node coordinates the group, and takes requests. */
MUST_USE enum err coordinator_admit(const struct coordinator *coordinator,
                                    struct str group_id);
/* The group, from memory or from the stored state; NULL: there is none. */
struct hosted *coordinator_find(struct coordinator *coordinator,
                                struct str group_id);
/* The same; where there is none, a new one. NULL: a limit is reached. */
struct hosted *coordinator_make(struct coordinator *coordinator,
                                struct str group_id);
/* What a client is told of a command that failed.
 * Source: behaviours 1, "Write failures map". */
enum err coordinator_change_err(enum err err);
/* A command of this coordinator is done. */
void coordinator_change_done(struct coordinator *coordinator);
/* The timer is set for the first deadline. */
void coordinator_set_timer(struct coordinator *coordinator);

/* coordinator_ask.c */
void coordinator_ask_start(struct coordinator_ask *ask,
                           void (*run)(struct coordinator_ask *ask));
/* On the control loop: brings the answer home. Nothing of the group may be in
 * use: the next request may come from inside. */
void coordinator_ask_answer(struct coordinator_ask *ask, enum err err);
/* A token for a question that waits. */
struct coordinator_waiter *coordinator_token(struct coordinator_ask *ask);

/* hosted.c */
struct hosted *hosted_open(struct coordinator *coordinator,
                           struct group *group);
void hosted_close(struct hosted *hosted);
/* Carries out what an event of the group came to; afterwards the group may be
 * gone, as it may when an answer lets the next request in. Empties effects. */
void hosted_perform(struct hosted *hosted, struct group_effects *effects);
int64_t hosted_now_ms(const struct hosted *hosted);

/* stored.c */
/* The command that stores the group as it is; texts are copied to arena. */
void stored_from_group(const struct group *group, struct arena *arena,
                       struct command_save_group *out);
/* The group that was stored. */
struct group *stored_to_group(const struct stored_group *stored,
                              const struct group_limits *limits,
                              int64_t now_ms);

#endif
