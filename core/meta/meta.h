/* meta.h - the metadata of this node: state, tables and image, kept together.
 *
 * The door to this folder for whoever applies commands and whoever reads. A
 * command that the quorum has agreed on goes to meta_apply(): the state
 * changes, the image that all loops read is replaced, the tables follow on a
 * disk thread. Reading from the control loop: meta_state(). From any loop:
 * meta_image().
 *
 * Threads: the control loop's, meta_image() apart. */
#ifndef META_META_H
#define META_META_H

#include "meta/db.h"
#include "meta/image.h"

struct meta;

struct meta_options {
    const char *path;                      /* of meta.db; copied */
    const struct topic_settings *defaults; /* of topics; copied */
    /* After a command was applied and its image published; result: borrowed
     * for the call. NULL: not told. */
    void (*on_apply)(void *arg, const struct state_result *result);
    /* The node cannot go on: SQLite failed, or a command is from the future. */
    void (*failed)(void *arg, const struct why *why);
    void *arg; /* of both */
};

/* Opens meta.db and reads it. Blocks.
 * Errors: of db_open() and db_load(). */
MUST_USE enum err meta_open(struct env *env, const struct meta_options *options,
                            struct meta **out, struct why *why);

/* The index of the last command that the tables and so the state had at open,
 * or that was applied since; 0: none. */
uint64_t meta_applied(const struct meta *meta);
/* The next agreed command. What was applied already is skipped. command:
 * borrowed for the call. */
void meta_apply(struct meta *meta, uint64_t index, int32_t term,
                struct str command);
/* What became of the command at index, which must be the last one applied:
 * until the next meta_apply(). */
const struct state_result *meta_result(const struct meta *meta, uint64_t index);

/* Borrowed until the next meta_apply(). */
const struct state *meta_state(const struct meta *meta);
/* Any loop; until the end of the turn. */
const struct image *meta_image(struct meta *meta);
/* Who leads the quorum, for the image; -1: nobody. */
void meta_set_controller(struct meta *meta, int32_t broker_id);
/* What waits to be written to the tables. */
size_t meta_backlog_bytes(const struct meta *meta);
/* db.h says what it promises. */
void meta_checkpoint(struct meta *meta, struct db_checkpoint *checkpoint);

/* Writes what waits and frees all; readers of images must have stopped. */
void meta_close(struct meta *meta, void (*done)(void *arg), void *arg);

#endif
