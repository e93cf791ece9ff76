/* uuid.c - ids of topics, clusters and folders.
 *
 * Source: RFC 9562 (version 4), RFC 4648 section 5 (URL-safe base64); Kafka's
 *         reserved ids are 0 and 1. */
#include "base/uuid.h"

static const char uuid_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct uuid uuid_v4(const uint8_t random[16])
{
    struct uuid uuid;

    memcpy(uuid.bytes, random, sizeof(uuid.bytes));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

bool uuid_is_usable(struct uuid uuid)
{
    uint8_t high = 0;

    for (size_t i = 0; i < sizeof(uuid.bytes) - 1; i++) {
        high |= uuid.bytes[i];
    }
    return (high != 0 || uuid.bytes[15] > 1) &&
           uuid_alphabet[uuid.bytes[0] >> 2] != '-';
}

bool uuid_is_zero(struct uuid uuid)
{
    return uuid_eq(uuid, (struct uuid){{0}});
}

bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

/* Character i shows bits 6i to 6i + 5; behind the 128th come four zeros. */
void uuid_text(struct uuid uuid, char text[UUID_TEXT_BYTES])
{
    for (size_t i = 0; i < UUID_TEXT_BYTES - 1; i++) {
        size_t byte = i * 6 / 8;
        unsigned pair = (unsigned)uuid.bytes[byte] << 8;

        if (byte + 1 < sizeof(uuid.bytes)) {
            pair |= uuid.bytes[byte + 1];
        }
        text[i] = uuid_alphabet[pair >> (10 - i * 6 % 8) & 63];
    }
    text[UUID_TEXT_BYTES - 1] = '\0';
}

bool uuid_parse(struct str text, struct uuid *out)
{
    struct uuid uuid = {{0}};
    unsigned bits = 0;
    unsigned bit_count = 0;
    size_t byte = 0;

    if (text.len != UUID_TEXT_BYTES - 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *at =
            memchr(uuid_alphabet, text.ptr[i], sizeof(uuid_alphabet) - 1);

        if (at == NULL) {
            return false;
        }
        bits = (bits << 6 | (unsigned)(at - uuid_alphabet)) & 0x3fff;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            uuid.bytes[byte++] = (uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & 15) != 0) {
        return false;
    }
    *out = uuid;
    return true;
}
