/* wire_value.c - fills and prints any protocol message, by its table. */
#include "lib/wire_value.h"

#include "lib/fixture.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_in(struct wire_range range, int version)
{
    return version >= range.first && version <= range.last;
}

const struct wire_message *wire_value_find(struct str name)
{
    for (int i = 0; i < wire_messages_count; i++) {
        if (str_eq(name, str_of(wire_messages[i].name))) {
            return &wire_messages[i];
        }
    }
    return NULL;
}

/* -- filling ------------------------------------------------------------- */

struct filling {
    int version;
    uint64_t *seed;
    struct arena *arena;
};

static void fill_struct(struct filling *f, const struct wire_struct *s,
                        uint8_t *at);

static uint64_t draw(struct filling *f, uint64_t below)
{
    return fixture_random(f->seed) % below;
}

/* Mostly short, now and then long enough for two bytes of length. */
static struct str draw_bytes(struct filling *f, bool is_text)
{
    size_t bytes = draw(f, 8) == 0 ? draw(f, 300) : draw(f, 12);
    uint8_t *ptr = arena_alloc(f->arena, bytes);

    for (size_t i = 0; i < bytes; i++) {
        ptr[i] = (uint8_t)(is_text ? 'a' + draw(f, 26) : draw(f, 256));
    }
    return str_sub(ptr, bytes);
}

static void fill_number(struct filling *f, enum wire_type type, uint8_t *at)
{
    uint64_t v = fixture_random(f->seed);
    double d = (double)(int32_t)v / 4;
    bool b = (v & 1) != 0;

    switch (type) {
    case WIRE_BOOL:
        memcpy(at, &b, sizeof(b));
        break;
    case WIRE_INT8:
        memcpy(at, &v, 1);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        memcpy(at, &v, 2);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        memcpy(at, &v, 4);
        break;
    case WIRE_FLOAT64:
        memcpy(at, &d, 8);
        break;
    default:
        memcpy(at, &v, 8);
        break;
    }
}

static void fill_value(struct filling *f, const struct wire_field *field,
                       bool nullable, uint8_t *at)
{
    bool is_null = nullable && draw(f, 4) == 0;
    struct str s;
    struct wire_records records;
    void *nested;

    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        s = is_null ? STR_NULL : draw_bytes(f, field->type == WIRE_STRING);
        memcpy(at, &s, sizeof(s));
        break;
    case WIRE_RECORDS:
        s = draw_bytes(f, false);
        records =
            (struct wire_records){(const uint8_t *)s.ptr, (int32_t)s.len, NULL};
        if (is_null) {
            records = (struct wire_records){.bytes = -1};
        }
        memcpy(at, &records, sizeof(records));
        break;
    case WIRE_UUID:
        for (int i = 0; i < 16; i++) {
            at[i] = (uint8_t)draw(f, 256);
        }
        break;
    case WIRE_STRUCT:
        if (field->null_versions.first > field->null_versions.last ||
            field->is_array) {
            fill_struct(f, field->of, at);
            break;
        }
        nested = is_null ? NULL : arena_alloc(f->arena, field->of->size);
        if (nested != NULL) {
            fill_struct(f, field->of, nested);
        }
        memcpy(at, &nested, sizeof(nested));
        break;
    default:
        fill_number(f, field->type, at);
        break;
    }
}

static void fill_array(struct filling *f, const struct wire_field *field,
                       uint8_t *base)
{
    bool nullable = is_in(field->null_versions, f->version);
    int32_t count = (int32_t)draw(f, 4);
    uint8_t *elements = arena_array(f->arena, (size_t)count, field->size);

    if (nullable && draw(f, 4) == 0) {
        count = -1;
    }
    for (int32_t i = 0; i < count; i++) {
        fill_value(f, field, false, elements + (size_t)i * field->size);
    }
    memcpy(base + field->at, &elements, sizeof(void *));
    memcpy(base + field->count_at, &count, sizeof(count));
}

static void fill_struct(struct filling *f, const struct wire_struct *s,
                        uint8_t *at)
{
    for (int i = 0; i < s->count; i++) {
        const struct wire_field *field = &s->fields[i];

        if (!is_in(field->versions, f->version)) {
            continue;
        }
        if (field->is_array) {
            fill_array(f, field, at);
        } else {
            fill_value(f, field, is_in(field->null_versions, f->version),
                       at + field->at);
        }
    }
}

void *wire_value_fill(const struct wire_message *message, int version,
                      uint64_t *seed, struct arena *arena)
{
    struct filling f = {version, seed, arena};
    void *value = arena_alloc(arena, message->top->size);

    message->init(value);
    fill_struct(&f, message->top, value);
    return value;
}

/* -- printing ------------------------------------------------------------ */

static void dump_struct(struct writer *w, const struct wire_struct *s,
                        int version, const uint8_t *at);

static void put(struct writer *w, const char *text)
{
    writer_raw(w, text, strlen(text));
}

static void dump_string(struct writer *w, struct str s)
{
    put(w, "\"");
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\') {
            put(w, "\\");
        }
        writer_u8(w, (uint8_t)s.ptr[i]);
    }
    put(w, "\"");
}

static void dump_base64(struct writer *w, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                 "stuvwxyz0123456789+/";
    const uint8_t *in = (const uint8_t *)s.ptr;

    put(w, "\"");
    for (size_t i = 0; i < s.len; i += 3) {
        size_t left = MIN(s.len - i, (size_t)3);
        uint32_t v = (uint32_t)in[i] << 16;

        v |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)in[i + 2] : 0;
        writer_u8(w, (uint8_t)digits[v >> 18]);
        writer_u8(w, (uint8_t)digits[v >> 12 & 63]);
        writer_u8(w, left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=');
        writer_u8(w, left > 2 ? (uint8_t)digits[v & 63] : '=');
    }
    put(w, "\"");
}

static int64_t number_of(enum wire_type type, const uint8_t *at)
{
    int8_t i8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;

    switch (type) {
    case WIRE_BOOL:
    case WIRE_INT8:
        memcpy(&i8, at, 1);
        return i8;
    case WIRE_INT16:
        memcpy(&i16, at, 2);
        return i16;
    case WIRE_UINT16:
        memcpy(&u16, at, 2);
        return u16;
    case WIRE_INT32:
        memcpy(&i32, at, 4);
        return i32;
    case WIRE_UINT32:
        memcpy(&u32, at, 4);
        return u32;
    default:
        memcpy(&i64, at, 8);
        return i64;
    }
}

static void dump_number(struct writer *w, enum wire_type type,
                        const uint8_t *at)
{
    char text[64];
    double d;

    if (type == WIRE_BOOL) {
        put(w, *at != 0 ? "true" : "false");
        return;
    }
    if (type == WIRE_FLOAT64) {
        memcpy(&d, at, sizeof(d));
        snprintf(text, sizeof(text), "%.17g", d);
        put(w, text);
        return;
    }
    snprintf(text, sizeof(text), "%" PRId64, number_of(type, at));
    put(w, text);
}

static void dump_value(struct writer *w, const struct wire_field *field,
                       int version, const uint8_t *at)
{
    struct str s;
    struct wire_records records;
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];
    const uint8_t *nested = at;

    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        memcpy(&s, at, sizeof(s));
        if (s.ptr == NULL) {
            put(w, "null");
        } else if (field->type == WIRE_STRING) {
            dump_string(w, s);
        } else {
            dump_base64(w, s);
        }
        break;
    case WIRE_RECORDS:
        memcpy(&records, at, sizeof(records));
        snprintf(text, sizeof(text), "%" PRId32, records.bytes);
        put(w, records.bytes < 0 ? "null" : text);
        break;
    case WIRE_UUID:
        memcpy(&uuid, at, sizeof(uuid));
        uuid_text(uuid, text);
        dump_string(w, str_of(text));
        break;
    case WIRE_STRUCT:
        if (!field->is_array &&
            field->null_versions.first <= field->null_versions.last) {
            memcpy(&nested, at, sizeof(nested));
        }
        if (nested == NULL) {
            put(w, "null");
        } else {
            dump_struct(w, field->of, version, nested);
        }
        break;
    default:
        dump_number(w, field->type, at);
        break;
    }
}

static void dump_array(struct writer *w, const struct wire_field *field,
                       int version, const uint8_t *base)
{
    const uint8_t *elements;
    int32_t count;

    memcpy(&elements, base + field->at, sizeof(elements));
    memcpy(&count, base + field->count_at, sizeof(count));
    if (count < 0) {
        put(w, "null");
        return;
    }
    put(w, "[");
    for (int32_t i = 0; i < count; i++) {
        put(w, i > 0 ? "," : "");
        dump_value(w, field, version, elements + (size_t)i * field->size);
    }
    put(w, "]");
}

static bool is_default(const struct wire_field *field, const uint8_t *base);

static bool struct_is_default(const struct wire_struct *s, const uint8_t *at)
{
    for (int i = 0; i < s->count; i++) {
        if (!is_default(&s->fields[i], at)) {
            return false;
        }
    }
    return true;
}

static bool is_default(const struct wire_field *field, const uint8_t *base)
{
    const uint8_t *at = base + field->at;
    static const uint8_t zero[16];
    int32_t count;
    struct str s;
    void *ptr;

    if (field->is_array) {
        memcpy(&count, base + field->count_at, sizeof(count));
        return count == (field->default_is_null ? -1 : 0);
    }
    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        memcpy(&s, at, sizeof(s));
        return s.len == 0 && (s.ptr == NULL || !field->default_is_null);
    case WIRE_UUID:
        return memcmp(at, zero, 16) == 0;
    case WIRE_STRUCT:
        if (field->null_versions.first <= field->null_versions.last) {
            memcpy(&ptr, at, sizeof(ptr));
            return ptr == NULL;
        }
        return struct_is_default(field->of, at);
    default:
        return number_of(field->type, at) == field->default_number;
    }
}

static void dump_struct(struct writer *w, const struct wire_struct *s,
                        int version, const uint8_t *at)
{
    const char *separator = "";

    put(w, "{");
    for (int i = 0; i < s->count; i++) {
        const struct wire_field *field = &s->fields[i];
        const uint8_t *null = at + field->at;
        int32_t bytes = 0;

        if (!is_in(field->versions, version) ||
            (field->tag >= 0 && is_default(field, at))) {
            continue;
        }
        if (field->type == WIRE_RECORDS) {
            memcpy(&bytes, null + offsetof(struct wire_records, bytes), 4);
        }
        put(w, separator);
        put(w, "\"");
        put(w, field->name);
        put(w, field->type == WIRE_RECORDS && bytes >= 0 ? "SizeInBytes\":"
                                                         : "\":");
        if (field->is_array) {
            dump_array(w, field, version, at);
        } else {
            dump_value(w, field, version, at + field->at);
        }
        separator = ",";
    }
    put(w, "}");
}

struct str wire_value_dump(const struct wire_message *message, int version,
                           const void *value, struct arena *arena)
{
    struct writer w;

    writer_init(&w, arena, 256);
    dump_struct(&w, message->top, version, value);
    return writer_output(&w);
}
