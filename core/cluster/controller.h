/* controller.h - the metadata of the cluster on this node: who changes it, and
 * what follows from a change.
 *
 * A change goes: prepare (on the control loop, against the state) -> a command
 * -> the quorum -> applied to the state in memory, on every node -> rows for
 * SQLite, a new image for the loops, logs opened or removed here -> the answer.
 * So when a change is answered, every loop of this node sees it.
 *
 * The state belongs to the control loop (loop 0); other loops read the image.
 */
#ifndef CLUSTER_CONTROLLER_H
#define CLUSTER_CONTROLLER_H

#include "cluster/replicas.h"
#include "meta/meta.h"
#include "quorum/quorum.h"
#include "run/call.h"

struct controller;

enum {
    /* The longest command: a group of 5,000 members, each with some 1,600
     * bytes of texts, is one. */
    CONTROLLER_COMMAND_BYTES = 8 << 20,
};

struct controller_options {
    struct loops *loops;
    struct replicas *replicas;
    const char *data_folder; /* borrowed while it runs */
    int32_t node_id;
    struct str rack; /* null: none */
    const struct broker_listener *listeners;
    int32_t listeners_count;
    struct topic_settings topic_defaults;
    int64_t retention_check_ms;
    int64_t partitions_max; /* of all topics together */
    uint32_t disk_threads;  /* that there are, or fewer */
    uint32_t producers_max; /* that a partition remembers; 0: any number */
    uint64_t reserve_bytes; /* of the disk: what grows is refused below it */
    uint64_t clean_start;   /* the run that ended cleanly; 0: none */
    /* The volume is full but for a little, and something wants to be written
     * that is needed, or that makes room: gives back what is held ready for it.
     * NULL: nothing is. */
    void (*make_room)(void *arg);
    /* The node cannot go on (a disk failed, the state is not ours). */
    void (*failed)(void *arg, const struct why *why);
    void *arg; /* of both */
};

/* What start found, for the line that the broker prints. */
struct controller_report {
    int32_t topics;
    int32_t partitions;
    int32_t strays;  /* folders of no topic, set aside */
    int32_t cuts;    /* partitions with a torn tail */
    int32_t damaged; /* partitions with damage below the flushed point */
};

/* Loads the state and joins the quorum. Control loop. ready: once, later, when
 * this node serves: it leads, is registered, and its logs are open.
 * Errors: those of meta_open(), quorum_open(). */
MUST_USE enum err
controller_open(const struct controller_options *options,
                void (*ready)(void *arg, const struct controller_report *),
                struct controller **out, struct why *why);
/* Closes all logs, then the quorum and the database: everything is on disk.
 * Changes under way end first, others are refused with ERR_STOPPING. Control
 * loop, the last call. */
void controller_close(struct controller *controller, void (*done)(void *arg),
                      void *arg);
/* Of the partitions of this node, how many are still open. Control loop. */
int32_t controller_unsealed(const struct controller *controller);

/* A change of the metadata. Caller's memory, in use until done;
 * controller_change_end() then gives back what the result holds. */
struct controller_change {
    struct controller *controller;
    /* On the control loop: makes change->command, for which change->arena is
     * there, or refuses. NULL: the command is there already. */
    enum err (*prepare)(struct controller_change *change,
                        const struct state *state, struct why *why);
    bool check_only; /* prepare() and nothing else */
    void (*done)(struct controller_change *change); /* on the asking loop */
    struct command command;
    struct arena arena;
    /* Out. err: of prepare(), of the quorum, or the command's own. */
    enum err err;
    struct why why;
    uint64_t index;
    struct topic *topic; /* created or deleted; a reference; NULL: none */
    int64_t first_producer_id;
    int32_t producer_id_count;
    struct state_refusal *refusals; /* of commit_offsets; in the arena */
    uint32_t refusals_count;

    struct call call; /* private from here on */
    struct quorum_proposal proposal;
    struct list node;
    int32_t promised; /* partitions */
};

/* Any loop. Answers by mail.
 * Errors: those of prepare() and quorum_propose(), and what state_apply()
 * refuses, as it stands in the result. */
void controller_change(struct controller_change *change);
void controller_change_end(struct controller_change *change);
/* In prepare(), control loop: whether so many partitions more may be made,
 * those of changes under way counted. This change has them promised then.
 * Errors: ERR_POLICY_VIOLATION (options.partitions_max), ERR_FULL. */
MUST_USE enum err controller_promise(struct controller_change *change,
                                     const struct state *state,
                                     int32_t partitions, struct why *why);

/* Any loop, within a turn; image_ref() what is needed longer. */
const struct image *controller_image(const struct controller *controller);
/* Control loop only. */
const struct state *controller_state(const struct controller *controller);
struct loop *controller_loop(const struct controller *controller);
/* Control loop, from ready on: the number of this run, for the next one's
 * options.clean_start. */
uint64_t controller_starts(const struct controller *controller);
int32_t controller_node_id(const struct controller *controller);

#endif
