/* dispatch.h - from a frame to its handler. */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/api.h"

/* The handler for net/: arg is a struct api. */
void dispatch_request(void *arg, struct request *request);
bool dispatch_overlaps(void *arg, const uint8_t *frame, uint32_t bytes);

/* A request that this broker answers. */
struct dispatch_entry {
    int16_t key;
    void (*handle)(struct api_request *r);
};

/* All of them, by key; for ApiVersions and for tests. */
const struct dispatch_entry *dispatch_entries(size_t *count);

/* The handlers, one file each. */
void handle_produce(struct api_request *r);
void handle_fetch(struct api_request *r);
void handle_list_offsets(struct api_request *r);
void handle_metadata(struct api_request *r);
void handle_offset_commit(struct api_request *r);
void handle_offset_fetch(struct api_request *r);
void handle_find_coordinator(struct api_request *r);
void handle_join_group(struct api_request *r);
void handle_heartbeat(struct api_request *r);
void handle_leave_group(struct api_request *r);
void handle_sync_group(struct api_request *r);
void handle_api_versions(struct api_request *r);
void handle_create_topics(struct api_request *r);
void handle_delete_topics(struct api_request *r);
void handle_init_producer_id(struct api_request *r);
void handle_offset_for_leader_epoch(struct api_request *r);

#endif
