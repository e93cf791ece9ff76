/* fetch_session_core.h - incremental fetch sessions: what a consumer asked for
 * last time, so that it need not say it again.
 *
 *   full request, epoch 0     -> a new session; the answer lists everything
 *   incremental, epoch n      -> what changed in the request is merged; the
 *                                answer lists what changed in the partitions
 *   full request, epoch -1    -> no session (and the named one is closed)
 *
 * A cache belongs to one loop: a client that comes back over another
 * connection, on another loop, is unknown there and starts anew. Pure: the
 * caller gives time and random numbers.
 * Source: KIP-227; protocol/api-versions 6. */
#ifndef API_FETCH_SESSION_CORE_H
#define API_FETCH_SESSION_CORE_H

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"

/* A partition of a session. The first part is the client's wish, the second
 * what it was told last. */
struct fetch_session_partition {
    struct uuid topic_id; /* zero where the client speaks of names */
    struct str topic;     /* null where it speaks of ids; in this struct */
    int32_t partition;
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    int64_t fetch_offset;

    int64_t told_high_watermark; /* -1: never, or an error was told */
    int64_t told_log_start;

    struct list node; /* in the session, in the order of serving */
};

struct fetch_session {
    struct fetch_session_cache *cache;
    int32_t id;
    int32_t epoch; /* that of the next incremental request */
    bool by_id;    /* made by a client that speaks of topic ids */
    bool busy;     /* a request works with it: it stays, unchanged by others */
    bool doomed;   /* closed meanwhile: it goes when the request is done */
    uint32_t count;
    struct list partitions;
    struct map by_key; /* private from here on */
    struct list node;
    int64_t used_ms;
};

struct fetch_session_cache {
    struct map by_id;   /* private */
    struct list oldest; /* the least recently used first */
    uint32_t count;
    uint32_t limit;
    uint32_t partitions; /* of all sessions */
    uint32_t partitions_limit;
};

/* A partition as a request names it. */
struct fetch_session_wish {
    struct uuid topic_id;
    struct str topic;
    int32_t partition;
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    int64_t fetch_offset;
};

/* limit: of sessions; partitions_limit: of all of them together. */
void fetch_session_cache_init(struct fetch_session_cache *cache, uint32_t limit,
                              uint32_t partitions_limit);
/* All requests must be done. */
void fetch_session_cache_fini(struct fetch_session_cache *cache);

/* Whether so many more partitions would not be too many. */
bool fetch_session_fits(const struct fetch_session_cache *cache,
                        uint32_t partitions);
/* A new session, if there is room or one that was not used for two minutes;
 * else NULL: the client goes on without. id: a fresh random number > 0. The
 * caller works with it until fetch_session_release(). */
struct fetch_session *fetch_session_create(struct fetch_session_cache *cache,
                                           int32_t id, bool by_id,
                                           int64_t now_ms);
/* The session of an incremental request, its epoch moved on. The caller works
 * with it until fetch_session_release().
 * Errors: ERR_FETCH_SESSION_ID_NOT_FOUND, ERR_INVALID_FETCH_SESSION_EPOCH (also
 *         while another request works with it), ERR_FETCH_SESSION_TOPIC_ID_
 *         ERROR. */
MUST_USE enum err fetch_session_continue(struct fetch_session_cache *cache,
                                         int32_t id, int32_t epoch, bool by_id,
                                         int64_t now_ms,
                                         struct fetch_session **out);
/* The request is done; the session may be gone afterwards. */
void fetch_session_release(struct fetch_session_cache *cache,
                           struct fetch_session *session);
/* An id that is not there is accepted. */
void fetch_session_close(struct fetch_session_cache *cache, int32_t id);

/* Adds a partition, or changes what is wished of it; false, and nothing done,
 * when it would be one too many. */
MUST_USE bool fetch_session_wish(struct fetch_session *session,
                                 const struct fetch_session_wish *wish);
/* One that is not there is accepted. */
void fetch_session_forget(struct fetch_session *session, struct uuid topic_id,
                          struct str topic, int32_t partition);
/* Others are served before this one next time: it has had its share. */
void fetch_session_served(struct fetch_session *session,
                          struct fetch_session_partition *partition);

#endif
