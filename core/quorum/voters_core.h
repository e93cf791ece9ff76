/* voters_core.h - the bytes of a membership entry, read with bounds.
 *
 * The library's own decoder believes what it is told; nothing gets near it that
 * was not read by this one before. The bytes are the library's:
 *
 *   0  1 format = 1
 *   1  8 count, little-endian
 *      then each: 8 id, little-endian; the address and a NUL; 1 role
 *      zeros up to a multiple of 8
 *
 * Pure; nothing is owned. */
#ifndef QUORUM_VOTERS_CORE_H
#define QUORUM_VOTERS_CORE_H

#include "base/err.h"
#include "base/str.h"

enum {
    VOTERS_MAX = 64,
    VOTERS_ADDRESS_BYTES_MAX = 255,
};

enum voters_role {
    VOTERS_STANDBY = 0, /* gets the log, does not vote */
    VOTERS_VOTER = 1,
    VOTERS_SPARE = 2, /* gets nothing */
};

struct voters_server {
    uint64_t id;
    const char *address; /* NUL-terminated, in the bytes that were read */
    enum voters_role role;
};

struct voters {
    uint32_t count;
    struct voters_server servers[VOTERS_MAX];
};

/* Reads a membership. bytes: borrowed by out.
 * Errors: ERR_MALFORMED (anything that the layout above does not say, no
 *         server, more than VOTERS_MAX, an id 0 or over INT64_MAX, an id or
 *         an address twice, an address too long, an unknown role). */
MUST_USE enum err voters_parse(struct str bytes, struct voters *out);

/* Whether id is the only one that votes. */
bool voters_is_lone(const struct voters *voters, uint64_t id);
/* NULL when it is not among them. */
const struct voters_server *voters_find(const struct voters *voters,
                                        uint64_t id);

#endif
