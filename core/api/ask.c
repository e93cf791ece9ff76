/* ask.c - see ask.h. */
#include "api/ask.h"

struct coordinator_ask ask_make(const struct api_request *r,
                                struct str group_id,
                                void (*done)(struct coordinator_ask *ask))
{
    return (struct coordinator_ask){.coordinator = r->api->options.coordinator,
                                    .arena = r->arena,
                                    .group_id = group_id,
                                    .done = done};
}

static void ask_gone(struct request *request)
{
    struct api_request *r = request->context;

    coordinator_gone(r->own);
}

void ask_may_park(struct api_request *r, struct coordinator_ask *ask)
{
    r->own = ask;
    r->request->gone = ask_gone;
}
