/* ask.h - what handlers of groups share: a question to the coordinator. */
#ifndef API_ASK_H
#define API_ASK_H

#include "api/api.h"
#include "coord/coordinator.h"

/* A question about a group, as a request asks it; its answer's texts go to the
 * request's arena. */
struct coordinator_ask ask_make(const struct api_request *r,
                                struct str group_id,
                                void (*done)(struct coordinator_ask *ask));
/* The answer may be long in coming: a connection that goes away meanwhile does
 * not wait for it. Before the question is put; ask: in the request's arena. */
void ask_may_park(struct api_request *r, struct coordinator_ask *ask);

#endif
