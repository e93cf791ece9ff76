/* transport_core.h - the frames that nodes send each other, byte by byte.
 *
 *   0  1 version = 1    4  4 CRC-32C of bytes 0-3 and of all from 8 on
 *   1  1 type           8    the message
 *   2  1 the library's version of that message
 *   3  1 zero
 *
 *   1 append entries        8 term, 8 previous index, 8 previous term,
 *                           8 commit index, 4 count, then each entry:
 *                           8 term, 1 type, 4 length, its bytes
 *   2 append entries result 8 term, 8 rejected, 8 last index, 2 features,
 *                           2 capacity
 *   3 request vote          8 term, 8 candidate, 8 last index, 8 last term,
 *                           1 flags (1: disrupt a leader, 2: pre-vote)
 *   4 request vote result   8 term, 1 flags (1: granted, 2: pre-vote),
 *                           2 features, 2 capacity
 *   6 time out now          8 term, 8 last index, 8 last term
 *
 * Big-endian. The length of a frame is the connection's business; it is at most
 * TRANSPORT_FRAME_BYTES_MAX. Who sent it is known from the connection: it is
 * not in the frame. Pure. */
#ifndef QUORUM_TRANSPORT_CORE_H
#define QUORUM_TRANSPORT_CORE_H

#include "base/arena.h"
#include "base/err.h"
#include <raft.h>

enum {
    TRANSPORT_FRAME_BYTES_MAX = 8 * 1048576 + 65536,
    TRANSPORT_APPEND_BYTES = 44, /* of a frame with no entry */
    TRANSPORT_ENTRY_BYTES = 13,  /* of an entry without its bytes */
};

/* Writes a message, entries included; the frame is the arena's.
 * Errors: ERR_UNSUPPORTED (a type that has no frame), ERR_TOO_LARGE. */
MUST_USE enum err transport_encode(const struct raft_message *message,
                                   struct arena *arena, struct str *frame);

/* Reads one. Payloads lie in the frame, the array of entries in the arena;
 * server_id and server_address are left to the caller.
 * Errors: ERR_TOO_LARGE, ERR_UNSUPPORTED (version, type: drop it),
 *         ERR_CORRUPT (CRC), ERR_MALFORMED. */
MUST_USE enum err transport_decode(struct str frame, struct arena *arena,
                                   struct raft_message *message);

#endif
