/* coordinator.h - the groups that this node coordinates.
 *
 * All group state lives on the control loop. The rules are in group_core.h,
 * pure; here are the map of groups, the one timer, the answers that are due and
 * the commands that make a completed rebalance and a commit durable. The
 * handlers of api/ come from any loop and are answered there.
 *
 * Source: KIP-62, KIP-134 (initial delay), KIP-345 (static members), KIP-394
 *         (member ids), KIP-429 (cooperative); behaviours 2, 4. */
#ifndef COORD_COORDINATOR_H
#define COORD_COORDINATOR_H

#include "cluster/controller.h"

struct coordinator;

struct coordinator_options {
    struct controller *controller;
    int64_t initial_delay_ms; /* group.initial.rebalance.delay.ms */
    int64_t session_ms_min;   /* group.min.session.timeout.ms */
    int64_t session_ms_max;   /* group.max.session.timeout.ms */
    uint32_t group_members;   /* of one group */
    uint32_t groups;
    uint32_t offset_metadata_bytes; /* offset.metadata.max.bytes */
};

/* Control loop, once the controller is ready: takes the stored groups from the
 * state. Members have a fresh session; nobody has to rebalance. */
struct coordinator *coordinator_open(const struct coordinator_options *options);
/* Control loop. Parked requests are answered with ERR_COORDINATOR_NOT_AVAILABLE,
 * commands under way are waited for. No request may come any more. */
void coordinator_close(struct coordinator *coordinator, void (*done)(void *arg),
                       void *arg);

#endif
