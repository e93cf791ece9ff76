/* expiry.h - what is removed although nobody asked for it.
 *
 * Offsets of a living topic stay for good (design decision 18), but a client of
 * the versions 2 to 4 may have said for how long. Only when there is such an
 * offset does a timer run, at most once a minute; without, nothing here ever
 * wakes anybody up. A wall clock that jumped ahead is believed at the second
 * look.
 *
 * And when as many groups are stored as the node may have, those that have
 * neither members nor offsets make room: nothing is lost with them.
 *
 * Part of struct coordinator; belongs to the control loop.
 * Source: KIP-211; behaviours 4, "Expiry"; design decisions 18, 22. */
#ifndef COORD_EXPIRY_H
#define COORD_EXPIRY_H

#include "coord/coordinator.h"

struct expiry {
    struct coordinator *coordinator; /* private, all of it */
    struct env_timer timer;
    int64_t due_at_ms;    /* by the wall; INT64_MAX: the timer does not run */
    int64_t looked_at_ms; /* by the wall, then by the monotonic clock */
    int64_t looked_ms;
    bool jumped; /* the last look did not believe the clock */
    bool sweeping;
    bool evicting;
    int64_t evicted_ms; /* when room was last looked for */
    struct controller_change offsets;
    struct controller_change group;
};

/* Looks at what is stored. */
void expiry_init(struct expiry *expiry, struct coordinator *coordinator);
void expiry_stop(struct expiry *expiry);
/* An offset was committed that is void from then on. */
void expiry_note(struct expiry *expiry, int64_t expire_at_ms);
/* As many groups are stored as may be: starts to remove what can go. */
void expiry_make_room(struct expiry *expiry);

#endif
