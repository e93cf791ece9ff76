/* state_core.h - the metadata in memory, and how a command changes it.
 *
 * The same commands in the same order make the same state and the same rows on
 * every node: nothing here reads a clock, draws a number or knows a setting.
 * What a command may not do is refused as its result, at the moment it is
 * applied, alike everywhere; bounds that nodes may set differently (limits.*)
 * are for whoever proposes, who has the counts for it here.
 *
 * Reading needs no command: the parts (topics, offsets, groups) have their own
 * headers; everything they give is borrowed until the next state_apply().
 * Pure; belongs to the control loop. Other loops read an image (image.h). */
#ifndef META_STATE_CORE_H
#define META_STATE_CORE_H

#include "meta/brokers_core.h"
#include "meta/groups_core.h"
#include "meta/offsets_core.h"
#include "meta/topics_core.h"

enum {
    STATE_SCHEMA_VERSION = 1, /* the newest that this program knows */
    COORDINATOR_SLOTS = 64,
    CLUSTER_ID_BYTES = 22,
};

struct state_coordinator {
    int32_t broker_id; /* -1: nobody yet */
    int32_t epoch;
};

struct state {
    uint64_t index; /* of the last command that was applied; 0: none */
    int32_t term;
    int32_t schema_version;                /* 0: before the first migrate */
    char cluster_id[CLUSTER_ID_BYTES + 1]; /* "" : before init_cluster */
    int64_t cluster_created_at_ms;
    struct brokers *brokers; /* NULL: none yet */
    struct topics topics;
    struct offsets offsets;
    struct groups groups;
    int64_t producer_id_next;
    struct state_coordinator coordinators[COORDINATOR_SLOTS];
    struct arena arena; /* private: of the command that is being applied */
};

/* One offset of a commit_offsets that was not taken. entry counts all offsets
 * of the command, in its order, from 0. */
struct state_refusal {
    uint32_t entry;
    enum err err;
};

/* What became of a command. Zero is a valid empty one. */
struct state_result {
    uint64_t index;
    enum command_type type;
    enum err err; /* refused: why, and nothing has changed */
    struct why why;
    int64_t first_producer_id; /* allocate_producer_ids */
    int32_t producer_id_count;
    const struct state_refusal *refusals; /* commit_offsets: what was not */
    uint32_t refusals_count;              /* taken; the rest was */
    /* What others will want to know of; borrowed until the result ends. */
    struct topic *topic_before; /* deleted (or changed) */
    struct topic *topic_after;  /* created (or changed) */
    bool brokers_changed;
    bool coordinators_changed;
    struct arena arena; /* private */
};

/* defaults: of topics; copied. */
void state_init(struct state *state, const struct topic_settings *defaults);
void state_fini(struct state *state);

/* A command and its place in the order of all. */
struct state_entry {
    uint64_t index;
    int32_t term;
    struct str command; /* borrowed */
};

/* Applies a command; indexes only grow. The result is emptied first; what it
 * holds afterwards is the caller's, with state_result_fini().
 *
 * rows: what the tables will have to say is added here.
 * Errors: ERR_UNSUPPORTED (a type, version or schema that this program does
 *         not know), ERR_MALFORMED. Nothing has changed, and the node must
 *         stop: it cannot follow any more. A refusal is not an error: it is
 *         result->err. */
MUST_USE enum err state_apply(struct state *state,
                              const struct state_entry *entry,
                              struct rows *rows, struct state_result *result,
                              struct why *why);
void state_result_fini(struct state_result *result);

/* Of groups: which of the COORDINATOR_SLOTS. Never to be changed. */
int32_t coordinator_slot(struct str group_id);
const struct state_coordinator *
state_find_coordinator(const struct state *state, struct str group_id);

/* A group's offset in a topic that lives under this name; NULL: none. */
const struct offset *state_find_offset(const struct state *state,
                                       struct str group_id, struct str topic,
                                       int32_t partition);

#endif
