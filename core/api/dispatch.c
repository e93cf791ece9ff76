/* dispatch.c - the header of a request, and its handler.
 *
 * A key or version that is not served closes the connection, as Kafka does;
 * ApiVersions alone is answered in any version (api_versions.c). */
#include "api/dispatch.h"

#include "base/bytes.h"
#include "wire/envelope.h"

/* What the arrays of a request may take once they are decoded: a quarter of a
 * million partitions. Small elements swell: a frame of 100 MiB could ask for
 * gigabytes. */
enum { DECODED_BYTES_MAX = 16 << 20 };

/* A request that is added stands here, in dispatch.h, in a file of its own, and
 * nowhere else. */
static const struct dispatch_entry entries[] = {
    {API_PRODUCE, handle_produce},
    {API_FETCH, handle_fetch},
    {API_LIST_OFFSETS, handle_list_offsets},
    {API_METADATA, handle_metadata},
    {API_OFFSET_COMMIT, handle_offset_commit},
    {API_OFFSET_FETCH, handle_offset_fetch},
    {API_FIND_COORDINATOR, handle_find_coordinator},
    {API_JOIN_GROUP, handle_join_group},
    {API_HEARTBEAT, handle_heartbeat},
    {API_LEAVE_GROUP, handle_leave_group},
    {API_SYNC_GROUP, handle_sync_group},
    {API_API_VERSIONS, handle_api_versions},
    {API_CREATE_TOPICS, handle_create_topics},
    {API_DELETE_TOPICS, handle_delete_topics},
    {API_INIT_PRODUCER_ID, handle_init_producer_id},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch},
};

const struct dispatch_entry *dispatch_entries(size_t *count)
{
    *count = ARRAY_COUNT(entries);
    return entries;
}

static const struct dispatch_entry *dispatch_find(int16_t key)
{
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        if (entries[i].key == key) {
            return &entries[i];
        }
    }
    return NULL;
}

static void dispatch_unserved(struct api_request *r, const char *what)
{
    api_tell_closed(r, what);
    api_close(r);
}

void dispatch_request(void *arg, struct request *request)
{
    struct api *api = arg;
    struct api_request *r = ARENA_NEW(&request->arena, struct api_request);
    struct request_header header = {0};
    const struct dispatch_entry *entry;
    const struct api_info *info;
    enum err err;

    request->context = r;
    r->api = api;
    r->request = request;
    r->arena = &request->arena;
    reader_init(&r->body, request->frame, request->bytes);
    err = envelope_read_request(&r->body, &header);
    r->key = header.request_api_key;
    r->version = header.request_api_version;
    r->correlation_id = header.correlation_id;
    r->client_id = header.client_id;
    r->body.arena_bytes_max = DECODED_BYTES_MAX;
    if (api->options.slow_request_ms > 0) {
        flow_measure(&r->flow, ARENA_NEW(r->arena, struct flow_times));
    }
    info = api_find(r->key);
    entry = dispatch_find(r->key);
    if (info == NULL || entry == NULL) {
        dispatch_unserved(r, "is not served here");
        return;
    }
    if (r->key != API_API_VERSIONS &&
        (r->version < info->version_min || r->version > info->version_max)) {
        dispatch_unserved(r, "is not served in this version");
        return;
    }
    if (err != ERR_NONE && r->key != API_API_VERSIONS) {
        api_malformed(r);
        return;
    }
    entry->handle(r);
}

bool dispatch_overlaps(void *arg, const uint8_t *frame, uint32_t bytes)
{
    (void)arg;
    return bytes >= 2 && bytes_get_i16(frame) == API_PRODUCE;
}
