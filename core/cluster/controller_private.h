/* controller_private.h - what the files of the controller share. All of it
 * belongs to the control loop. */
#ifndef CLUSTER_CONTROLLER_PRIVATE_H
#define CLUSTER_CONTROLLER_PRIVATE_H

#include "cluster/controller.h"

struct logs_job;

struct controller {
    struct controller_options options;
    struct env *env;
    char *meta_path;
    char *quorum_folder;
    char *log_folder;
    struct meta *meta;
    struct wall *wall;
    struct quorum *quorum;
    struct quorum_machine machine;
    struct db_checkpoint db_checkpoint;
    struct quorum_checkpoint *quorum_checkpoint; /* the one under way */
    struct logs_job *job;   /* of the command applied last; NULL: none */
    int32_t changes_count;  /* under way, also those that wait for logs */
    int64_t room_until_ms;  /* then the volume is looked at again */
    int64_t promised;       /* partitions of changes that are not applied yet */
    struct list openings;   /* jobs with replicas still to be opened */
    struct list closings;   /* jobs with replicas still to be closed */
    uint32_t opening_count; /* replicas that are being opened */
    struct mail opening_mail; /* to itself: open more */
    bool opening_mailed;
    uint32_t closing_count; /* replicas that are being closed */
    int32_t open_count;     /* replicas that were opened and not closed */
    struct env_timer retry; /* of partitions that could not be opened */
    bool retries;           /* it is set */
    struct map jobs;        /* by topic name: the newest one, see logs_job */
    bool opened;            /* logs follow the state from here on */
    bool closing;           /* changes are refused */
    bool closing_logs;

    struct controller_report report;
    void (*ready)(void *arg, const struct controller_report *report);
    struct controller_change boot; /* the commands of the start, in turn */
    struct uuid incarnation;       /* of this start */
    struct arena opening;          /* the command that its term begins with */
    uint32_t boot_pending;         /* jobs */

    void (*logs_closed)(struct controller *controller);
    void (*closed)(void *arg);
    void *closed_arg;
};

/* What a job is for. */
enum logs_want {
    LOGS_OPEN,
    LOGS_RETRY,  /* opens what an earlier job could not */
    LOGS_REMOVE, /* and their files */
    LOGS_CLOSE,  /* for a stop */
};

/* Opening, removing or closing the logs of one topic. Jobs of one topic name
 * run one after the other: a topic that is made again waits until the folders
 * of the old one have got out of its way. */
struct logs_job {
    struct controller *controller;
    struct topic *topic;
    enum logs_want want;
    bool done;
    uint32_t pending;
    int32_t count;
    int32_t next_replica; /* to be opened or closed */
    struct list node;
    struct replica **replicas;
    struct list changes; /* that wait for it */
    struct logs_job *next;
    void (*finished)(struct controller *controller); /* may be NULL */
    struct env_fence fence;
};

/* The change is over: the answer travels home. */
void controller_change_finish(struct controller_change *change);

/* controller_boot.c: from leadership to ready. Does the first thing that is
 * missing, and goes on by itself. */
void controller_boot_next(struct controller *controller);
/* This broker's registration, for the entry that its term begins with; null
 * when it is to come later, or is there. */
struct str controller_boot_opening(struct controller *controller);

/* controller_logs.c. The job lives until its changes are finished. */
void controller_logs_init(struct controller *controller);
struct logs_job *controller_logs_open(struct controller *controller,
                                      struct topic *topic);
struct logs_job *controller_logs_remove(struct controller *controller,
                                        struct topic *topic);
/* Closes everything that is open, for a stop. */
void controller_logs_close_all(struct controller *controller,
                               void (*finished)(struct controller *));
/* controller_strays.c. Removes what was being deleted, and sets folders aside
 * that belong to no topic. */
MUST_USE enum err controller_strays_set_aside(struct controller *controller,
                                              struct why *why);

#endif
