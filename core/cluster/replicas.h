/* replicas.h - the replicas of this node, by topic id and partition.
 *
 * Any loop finds a replica within a turn without asking anybody. What is taken
 * out goes once every loop has been through a turn (env_fence()). A pointer
 * from replicas_find() holds for that turn, or as long as something of the
 * caller's is registered with the replica (an append, a waiter).
 *
 * The control loop alone changes it. */
#ifndef CLUSTER_REPLICAS_H
#define CLUSTER_REPLICAS_H

#include "cluster/replica.h"

struct replicas;

/* control_env: of the control loop, on which this is called. */
struct replicas *replicas_open(struct env *control_env);
/* Nothing may be in it, and no loop may look any more. done: later, when all
 * that was taken out is gone. */
void replicas_close(struct replicas *replicas, void (*done)(void *arg),
                    void *arg);

/* Control loop. all: count replicas, by partition; NULL where this node has
 * none, or could not open it; copied. A topic that is there gets these in place
 * of those it had, with no moment without. */
void replicas_publish(struct replicas *replicas, struct uuid topic_id,
                      struct replica *const *all, int32_t count);
/* Control loop. Takes a topic out; its replicas are the caller's to close, once
 * nobody can find them any more. Gives how many all had; NULL in *all: none.
 * *all: the caller's, with mem_free(). */
int32_t replicas_withdraw(struct replicas *replicas, struct uuid topic_id,
                          struct replica ***all);

/* Any loop, within a turn. NULL: not here. */
struct replica *replicas_find(const struct replicas *replicas,
                              struct uuid topic_id, int32_t partition);
/* Any loop: the topic was published and is not withdrawn. A partition of it
 * that is not found could not be opened. */
bool replicas_has(const struct replicas *replicas, struct uuid topic_id);

#endif
