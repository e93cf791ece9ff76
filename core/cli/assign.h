/* assign.h - the strategy "range", for a group's leader. */
#ifndef CLI_ASSIGN_H
#define CLI_ASSIGN_H

#include "cli/client.h"
#include "wire/sync_group.h"

struct assign_member {
    struct str id;
    struct str metadata; /* its subscription, as it sent it */
};

/* Gives each topic's partitions to the members that subscribe to it: sorted by
 * id, each a stretch, the first ones one more where it does not divide.
 *
 * out: one for each member, in their order; the assignment is filled in.
 * Errors: ERR_MALFORMED (a subscription cannot be read), and those of
 *         client_metadata(). */
MUST_USE enum err assign_range(struct client *client,
                               const struct assign_member *members,
                               int32_t count, struct arena *arena,
                               struct sync_group_request_assignment *out,
                               struct why *why);

/* The stretch of a member: from *first on so many of partition_count, when it
 * is the place-th of member_count. Pure. */
void assign_stretch(int32_t partition_count, int32_t member_count,
                    int32_t place, int32_t *first, int32_t *count);

#endif
