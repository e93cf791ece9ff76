/* fetch_sessions.h - the fetch sessions of one loop, with its clock and its
 * random numbers (the rules are in fetch_session_core.h). */
#ifndef API_FETCH_SESSIONS_H
#define API_FETCH_SESSIONS_H

#include "api/fetch_session_core.h"
#include "run/env.h"

/* Partitions of all sessions of the process. */
enum { FETCH_SESSION_PARTITIONS_MAX = 500000 };

struct fetch_sessions {
    struct env *env;
    struct fetch_session_cache cache;
};

/* env: of the loop; the limits are those of fetch_session_cache_init(). */
struct fetch_sessions *fetch_sessions_open(struct env *env, uint32_t limit,
                                           uint32_t partitions_limit);
/* All requests must be done. */
void fetch_sessions_close(struct fetch_sessions *sessions);
/* For so many partitions. NULL: no room; the client goes on without a session.
 */
struct fetch_session *fetch_sessions_create(struct fetch_sessions *sessions,
                                            uint32_t partitions, bool by_id);

#endif
