/* check_core.h - what a message from another node must be before the library
 * sees it.
 *
 * The packaged library has its assertions compiled out: what breaks one of its
 * preconditions makes it go on with garbage. So each is checked here. Pure.
 *
 * check_message() knows what can be said from the message and from who we are;
 * what needs the state of the library (late answers, old terms) is in
 * transport.c. */
#ifndef QUORUM_CHECK_CORE_H
#define QUORUM_CHECK_CORE_H

#include "base/err.h"
#include <raft.h>

/* Who looks at it. */
struct check_self {
    uint64_t id;
    uint64_t term;
    bool leads; /* in term */
};

/* message: server_id is the sender; entries of an AppendEntries are in.
 * Errors: ERR_MALFORMED (no node that follows the protocol sends this),
 *         ERR_INVALID (two leaders in one term: forged, or a bug: tell). */
MUST_USE enum err check_message(const struct check_self *self,
                                const struct raft_message *message);

#endif
