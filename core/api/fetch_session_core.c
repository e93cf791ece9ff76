/* fetch_session_core.c - sessions in a cache, partitions in a session. */
#include "api/fetch_session_core.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"

#include <string.h>

/* A session that was not used for so long may be thrown out for a new one. */
enum { SESSION_STALE_MS = 120000 };

/* The key of a session in the cache: its id as bytes. */
static struct str fetch_session_id_key(const int32_t *id)
{
    return str_sub(id, sizeof(*id));
}

void fetch_session_cache_init(struct fetch_session_cache *cache, uint32_t limit,
                              uint32_t partitions_limit)
{
    *cache = (struct fetch_session_cache){.limit = limit,
                                          .partitions_limit = partitions_limit};
    list_init(&cache->oldest);
}

bool fetch_session_fits(const struct fetch_session_cache *cache,
                        uint32_t partitions)
{
    return partitions <= cache->partitions_limit - cache->partitions;
}

static void
fetch_session_free_partition(struct fetch_session_partition *partition)
{
    list_remove(&partition->node);
    mem_free(partition);
}

static void fetch_session_free(struct fetch_session *session)
{
    while (!list_is_empty(&session->partitions)) {
        fetch_session_free_partition(container_of(
            session->partitions.next, struct fetch_session_partition, node));
    }
    session->cache->partitions -= session->count;
    map_fini(&session->by_key);
    mem_free(session);
}

/* Takes it out of the cache; frees it unless a request works with it. */
static void fetch_session_drop(struct fetch_session_cache *cache,
                               struct fetch_session *session)
{
    map_remove(&cache->by_id, fetch_session_id_key(&session->id));
    list_remove(&session->node);
    cache->count--;
    if (session->busy) {
        session->doomed = true;
    } else {
        fetch_session_free(session);
    }
}

void fetch_session_release(struct fetch_session_cache *cache,
                           struct fetch_session *session)
{
    must(session->busy);
    session->busy = false;
    if (session->doomed) {
        fetch_session_free(session);
    } else if (session->count == 0) {
        fetch_session_drop(cache, session);
    }
}

void fetch_session_cache_fini(struct fetch_session_cache *cache)
{
    while (!list_is_empty(&cache->oldest)) {
        fetch_session_drop(cache, container_of(cache->oldest.next,
                                               struct fetch_session, node));
    }
    map_fini(&cache->by_id);
}

/* Makes room for one more, if somebody has gone stale. */
static bool fetch_session_make_room(struct fetch_session_cache *cache,
                                    int64_t now_ms)
{
    struct fetch_session *oldest;

    if (cache->count < cache->limit) {
        return true;
    }
    if (list_is_empty(&cache->oldest)) {
        return false; /* there are no sessions at all */
    }
    oldest = container_of(cache->oldest.next, struct fetch_session, node);
    if (oldest->busy || now_ms - oldest->used_ms < SESSION_STALE_MS) {
        return false;
    }
    fetch_session_drop(cache, oldest);
    return true;
}

struct fetch_session *fetch_session_create(struct fetch_session_cache *cache,
                                           int32_t id, bool by_id,
                                           int64_t now_ms)
{
    struct fetch_session *session;

    must(id > 0);
    if (map_find(&cache->by_id, fetch_session_id_key(&id)) != NULL ||
        !fetch_session_make_room(cache, now_ms)) {
        return NULL;
    }
    session = MEM_NEW(struct fetch_session);
    session->cache = cache;
    session->id = id;
    session->epoch = 1;
    session->by_id = by_id;
    session->busy = true;
    session->used_ms = now_ms;
    list_init(&session->partitions);
    list_push(&cache->oldest, &session->node);
    map_put(&cache->by_id, fetch_session_id_key(&id), session);
    cache->count++;
    return session;
}

enum err fetch_session_continue(struct fetch_session_cache *cache, int32_t id,
                                int32_t epoch, bool by_id, int64_t now_ms,
                                struct fetch_session **out)
{
    struct fetch_session *session =
        map_find(&cache->by_id, fetch_session_id_key(&id));

    if (session == NULL) {
        return ERR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->epoch != epoch || session->busy) {
        return ERR_INVALID_FETCH_SESSION_EPOCH;
    }
    if (session->by_id != by_id) {
        return ERR_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    session->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
    session->busy = true;
    session->used_ms = now_ms;
    list_remove(&session->node);
    list_push(&cache->oldest, &session->node);
    *out = session;
    return ERR_NONE;
}

void fetch_session_close(struct fetch_session_cache *cache, int32_t id)
{
    struct fetch_session *session =
        map_find(&cache->by_id, fetch_session_id_key(&id));

    if (session != NULL) {
        fetch_session_drop(cache, session);
    }
}

/* Topic and partition as one run of bytes; the arena is the caller's. */
static struct str fetch_session_key(struct arena *arena, struct uuid topic_id,
                                    struct str topic, int32_t partition)
{
    size_t bytes = sizeof(topic_id.bytes) + 4 + topic.len;
    uint8_t *key = arena_raw(arena, bytes);

    memcpy(key, topic_id.bytes, sizeof(topic_id.bytes));
    bytes_put_i32(key + sizeof(topic_id.bytes), partition);
    if (topic.len > 0) {
        memcpy(key + sizeof(topic_id.bytes) + 4, topic.ptr, topic.len);
    }
    return str_sub(key, bytes);
}

static struct fetch_session_partition *
fetch_session_new_partition(const struct fetch_session_wish *wish)
{
    struct fetch_session_partition *partition =
        mem_zalloc(sizeof(*partition) + wish->topic.len);
    char *topic = (char *)(partition + 1);

    partition->topic_id = wish->topic_id;
    partition->partition = wish->partition;
    if (!str_is_null(wish->topic)) {
        memcpy(topic, wish->topic.ptr, wish->topic.len);
        partition->topic = str_sub(topic, wish->topic.len);
    }
    partition->told_high_watermark = -1;
    partition->told_log_start = -1;
    return partition;
}

bool fetch_session_wish(struct fetch_session *session,
                        const struct fetch_session_wish *wish)
{
    struct arena arena = {0};
    struct str key =
        fetch_session_key(&arena, wish->topic_id, wish->topic, wish->partition);
    struct fetch_session_partition *partition = map_find(&session->by_key, key);

    if (partition == NULL && fetch_session_fits(session->cache, 1)) {
        partition = fetch_session_new_partition(wish);
        map_put(&session->by_key, key, partition);
        list_push(&session->partitions, &partition->node);
        session->count++;
        session->cache->partitions++;
    }
    arena_reset(&arena);
    if (partition == NULL) {
        return false;
    }
    partition->current_leader_epoch = wish->current_leader_epoch;
    partition->last_fetched_epoch = wish->last_fetched_epoch;
    partition->max_bytes = wish->max_bytes;
    partition->fetch_offset = wish->fetch_offset;
    return true;
}

void fetch_session_forget(struct fetch_session *session, struct uuid topic_id,
                          struct str topic, int32_t partition)
{
    struct arena arena = {0};
    struct str key = fetch_session_key(&arena, topic_id, topic, partition);
    struct fetch_session_partition *found = map_remove(&session->by_key, key);

    arena_reset(&arena);
    if (found != NULL) {
        fetch_session_free_partition(found);
        session->count--;
        session->cache->partitions--;
    }
}

void fetch_session_served(struct fetch_session *session,
                          struct fetch_session_partition *partition)
{
    list_remove(&partition->node);
    list_push(&session->partitions, &partition->node);
}
