/* peers.h - how many connections each address has, for
 * limits.connections_per_ip.
 *
 * Loopback is not counted: everybody on a machine shares it. Belongs to loop 0,
 * which accepts. Zero is valid. */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include "base/map.h"
#include <sys/socket.h>

/* An address without its port; IPv4 and IPv4 in IPv6 are one. */
struct peer_key {
    uint8_t bytes[16];
};

struct peers {
    struct map by_key; /* private: of struct peer */
};

/* False: a loopback address, or none of the internet: not counted. */
MUST_USE bool peers_key_of(const struct sockaddr_storage *address,
                           struct peer_key *out);
/* One more of key; false, and nothing counted, when limit are there. */
MUST_USE bool peers_add(struct peers *peers, const struct peer_key *key,
                        uint32_t limit);
/* One less; it was added. */
void peers_remove(struct peers *peers, const struct peer_key *key);
/* All must have been removed. */
void peers_fini(struct peers *peers);

#endif
