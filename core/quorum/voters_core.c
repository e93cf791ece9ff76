/* voters_core.c - see voters_core.h. */
#include "quorum/voters_core.h"

enum {
    VOTERS_FORMAT = 1,
    VOTERS_HEAD_BYTES = 9,
};

static uint64_t voters_u64(const uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v)); /* little-endian, as the machine is (bytes.h) */
    return v;
}

/* One server; gives the bytes it took, 0 when it cannot be read. */
static size_t voters_parse_server(const uint8_t *at, size_t left,
                                  struct voters_server *out)
{
    const uint8_t *nul;
    size_t address;

    if (left < sizeof(uint64_t)) {
        return 0;
    }
    out->id = voters_u64(at);
    nul = memchr(at + 8, 0, left - 8);
    if (nul == NULL || out->id == 0 || out->id > INT64_MAX) {
        return 0;
    }
    address = (size_t)(nul - (at + 8));
    if (address > VOTERS_ADDRESS_BYTES_MAX || left - 8 - address < 2 ||
        nul[1] > VOTERS_SPARE) {
        return 0;
    }
    out->address = (const char *)at + 8;
    out->role = (enum voters_role)nul[1];
    return 8 + address + 2;
}

/* The library takes neither an id nor an address twice. */
static bool voters_has(const struct voters *voters,
                       const struct voters_server *server)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->servers[i].id == server->id ||
            strcmp(voters->servers[i].address, server->address) == 0) {
            return true;
        }
    }
    return false;
}

enum err voters_parse(struct str bytes, struct voters *out)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    size_t left = bytes.len;
    uint64_t count;

    out->count = 0;
    if (left < VOTERS_HEAD_BYTES || left % 8 != 0 || at[0] != VOTERS_FORMAT) {
        return ERR_MALFORMED;
    }
    count = voters_u64(at + 1);
    at += VOTERS_HEAD_BYTES;
    left -= VOTERS_HEAD_BYTES;
    if (count == 0 || count > VOTERS_MAX) {
        return ERR_MALFORMED;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct voters_server server;
        size_t took = voters_parse_server(at, left, &server);

        if (took == 0 || voters_has(out, &server)) {
            return ERR_MALFORMED;
        }
        out->servers[out->count++] = server;
        at += took;
        left -= took;
    }
    if (left >= 8) {
        return ERR_MALFORMED;
    }
    for (; left > 0; at++, left--) {
        if (*at != 0) {
            return ERR_MALFORMED;
        }
    }
    return ERR_NONE;
}

bool voters_is_lone(const struct voters *voters, uint64_t id)
{
    bool own = false;
    uint32_t count = 0;

    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->servers[i].role == VOTERS_VOTER) {
            count++;
            own = own || voters->servers[i].id == id;
        }
    }
    return own && count == 1;
}

const struct voters_server *voters_find(const struct voters *voters,
                                        uint64_t id)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->servers[i].id == id) {
            return &voters->servers[i];
        }
    }
    return NULL;
}
