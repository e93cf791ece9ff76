/* place.h - places in a topic, as people say them, to offsets. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "cli/client.h"

/* ListOffsets' special timestamps. */
enum { PLACE_FIRST = -2, PLACE_END = -1 };

/* Asks the leaders for the offset of a time (milliseconds since 1970, or one of
 * the above) in each partition of the topic, into out, in its order. A time
 * after the last record gives the end. */
MUST_USE enum err place_find(struct client *client,
                             const struct metadata_response_topic *topic,
                             int64_t timestamp_ms, int64_t *out,
                             struct arena *arena, struct why *why);

/* "first", "end", "123", "10m" (ago), "2026-11-25T10:00:00Z", "2026-11-25". */
struct place {
    bool is_offset;
    int64_t number; /* an offset, or a timestamp for place_find() */
};

/* now_ms: since 1970.
 * Errors: ERR_INVALID, why says what is accepted. */
MUST_USE enum err place_parse(const char *text, int64_t now_ms,
                              struct place *out, struct why *why);

#endif
