/* uuid.h - 16 bytes; printed like Kafka does: URL-safe base64, no padding. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/str.h"

struct uuid {
    uint8_t bytes[16];
};

enum { UUID_TEXT_BYTES = 23 }; /* 22 characters and a NUL */

/* A version 4 uuid of 16 random bytes, which the caller draws. Its text never
 * begins with '-': the caller draws again while uuid_is_usable() says no. */
struct uuid uuid_v4(const uint8_t random[16]);
bool uuid_is_usable(struct uuid uuid);
bool uuid_is_zero(struct uuid uuid);
bool uuid_eq(struct uuid a, struct uuid b);
void uuid_text(struct uuid uuid, char text[UUID_TEXT_BYTES]);
MUST_USE bool uuid_parse(struct str text, struct uuid *out);

#endif
