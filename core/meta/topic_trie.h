/* topic_trie.h - a set of topics, of which a changed copy is cheap.
 *
 * A tree over the bits of a hash, its nodes counted and never changed: putting
 * a topic copies the handful of nodes above it and shares the rest, so ten
 * thousand topics can each be created by itself and every image stays whole.
 * Counted atomically: the last reader may be on any loop. A root is a pointer
 * to a node, NULL for the empty set. */
#ifndef META_TOPIC_TRIE_H
#define META_TOPIC_TRIE_H

#include "meta/topic_core.h"

struct topic_trie;

/* The set with topic (shared) under hash; root is borrowed, the result given.
 * The same topic must not be in it. */
struct topic_trie *topic_trie_put(const struct topic_trie *root, uint64_t hash,
                                  struct topic *topic);
/* The set without topic, which must be in it under hash. */
struct topic_trie *topic_trie_remove(const struct topic_trie *root,
                                     uint64_t hash, const struct topic *topic);
/* The first topic under hash for which match says yes; NULL: none. */
struct topic *topic_trie_find(const struct topic_trie *root, uint64_t hash,
                              bool (*match)(const struct topic *topic,
                                            const void *arg),
                              const void *arg);
/* Calls each for all, in the order of the hashes. */
void topic_trie_each(const struct topic_trie *root,
                     void (*each)(struct topic *topic, void *arg), void *arg);
/* root: NULL is accepted. */
struct topic_trie *topic_trie_ref(struct topic_trie *root);
void topic_trie_unref(struct topic_trie *root);

#endif
