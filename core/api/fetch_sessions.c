/* fetch_sessions.c - draws the ids. */
#include "api/fetch_sessions.h"

#include "base/mem.h"

struct fetch_sessions *fetch_sessions_open(struct env *env, uint32_t limit,
                                           uint32_t partitions_limit)
{
    struct fetch_sessions *sessions = MEM_NEW(struct fetch_sessions);

    sessions->env = env;
    fetch_session_cache_init(&sessions->cache, limit, partitions_limit);
    return sessions;
}

void fetch_sessions_close(struct fetch_sessions *sessions)
{
    fetch_session_cache_fini(&sessions->cache);
    mem_free(sessions);
}

struct fetch_session *fetch_sessions_create(struct fetch_sessions *sessions,
                                            uint32_t partitions, bool by_id)
{
    uint32_t random;
    int32_t id;

    if (!fetch_session_fits(&sessions->cache, partitions)) {
        return NULL;
    }
    env_random(sessions->env, &random, sizeof(random));
    id = (int32_t)(random >> 1);
    return fetch_session_create(&sessions->cache, id == 0 ? 1 : id, by_id,
                                env_now_ms(sessions->env));
}
