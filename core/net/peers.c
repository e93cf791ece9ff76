/* peers.c - a map from addresses to counts.
 *
 * An address is in the map while it has a connection: a scan of many addresses
 * leaves nothing behind. */
#include "net/peers.h"

#include "base/mem.h"
#include "base/must.h"

#include <netinet/in.h>

struct peer {
    uint32_t count;
};

bool peers_key_of(const struct sockaddr_storage *address, struct peer_key *out)
{
    static const uint8_t v4_in_v6[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t loopback[16] = {[15] = 1};

    *out = (struct peer_key){{0}};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        memcpy(out->bytes, v4_in_v6, sizeof(v4_in_v6));
        memcpy(out->bytes + sizeof(v4_in_v6), &in->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        memcpy(out->bytes, &in6->sin6_addr, sizeof(out->bytes));
    } else {
        return false;
    }
    if (memcmp(out->bytes, v4_in_v6, sizeof(v4_in_v6)) == 0) {
        return out->bytes[12] != 127;
    }
    return memcmp(out->bytes, loopback, sizeof(loopback)) != 0;
}

static struct str peers_bytes(const struct peer_key *key)
{
    return str_sub(key->bytes, sizeof(key->bytes));
}

bool peers_add(struct peers *peers, const struct peer_key *key, uint32_t limit)
{
    struct peer *peer = map_find(&peers->by_key, peers_bytes(key));

    if (peer == NULL) {
        if (limit == 0) {
            return false;
        }
        peer = MEM_NEW(struct peer);
        map_put(&peers->by_key, peers_bytes(key), peer);
    }
    if (peer->count >= limit) {
        return false;
    }
    peer->count++;
    return true;
}

void peers_remove(struct peers *peers, const struct peer_key *key)
{
    struct peer *peer = map_find(&peers->by_key, peers_bytes(key));

    must(peer != NULL && peer->count > 0);
    if (--peer->count == 0) {
        map_remove(&peers->by_key, peers_bytes(key));
        mem_free(peer);
    }
}

void peers_fini(struct peers *peers)
{
    must(map_count(&peers->by_key) == 0);
    map_fini(&peers->by_key);
}
