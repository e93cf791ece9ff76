/* golden.c - our decoders and encoders against bytes of Kafka's own classes.
 *
 *   golden DIR
 *
 * reads DIR/<Message>.txt (see tests/golden/java/Golden.java). Each line must
 * decode to the end, print as the same JSON, and encode to the same bytes; the
 * lines of a request must cover every version that we serve. batches.txt holds
 * record batches, which must read as told; the uncompressed ones must come out
 * of our builder byte for byte. */
#include "lib/wire_value.h"
#include "wire/apis.h"
#include "wire/batch.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_BYTES_MAX = 1 << 20, PAYLOAD_BYTES_MAX = 1 << 20 };

struct tally {
    int passed;
    int failed;
};

static struct arena arena;
static char line[LINE_BYTES_MAX];

static void judge(struct tally *tally, bool good, const char *file,
                  const char *what)
{
    if (good) {
        tally->passed++;
    } else {
        tally->failed++;
        printf("%s: %s\n", file, what);
    }
}

/* Cuts the line at the next tab. */
static char *column(char **rest)
{
    char *start = *rest, *tab;

    if (start == NULL) {
        return line + strlen(line);
    }
    tab = strchr(start, '\t');
    *rest = tab == NULL ? NULL : tab + 1;
    if (tab != NULL) {
        *tab = 0;
    }
    return start;
}

static struct str unhex(const char *text)
{
    size_t bytes = strlen(text) / 2;
    uint8_t *out = arena_alloc(&arena, bytes);

    for (size_t i = 0; i < bytes; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return str_sub(out, bytes);
}

static bool message_matches(const struct wire_message *m, int version,
                            struct str bytes, struct str json)
{
    void *value = arena_alloc(&arena, m->top->size);
    struct reader r;
    struct writer w;
    struct str dump;

    reader_init(&r, bytes.ptr, bytes.len);
    m->decode(&r, &arena, (int16_t)version, value);
    dump = wire_value_dump(m, version, value, &arena);
    writer_init(&w, &arena, 0);
    m->encode(&w, (int16_t)version, value);
    if (reader_finish(&r) == ERR_NONE && str_eq(dump, json) &&
        str_eq(writer_output(&w), bytes)) {
        return true;
    }
    printf("theirs %.*s\nours   %.*s%s%s\n", STR_ARG(json), STR_ARG(dump),
           reader_finish(&r) == ERR_NONE ? "" : "\ndoes not decode",
           str_eq(writer_output(&w), bytes) ? "" : "\nencodes differently");
    return false;
}

static void check_message(const char *name, FILE *file, struct tally *tally)
{
    const struct wire_message *m = wire_value_find(str_of(name));
    const struct api_info *api;
    int first = INT16_MAX, last = -1;

    if (m == NULL) {
        judge(tally, false, name, "no such message");
        return;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *rest = line, *version, *test, *hex;
        char what[256];

        if (line[0] == '#') {
            continue;
        }
        line[strcspn(line, "\n")] = 0;
        version = column(&rest);
        test = column(&rest);
        hex = column(&rest);
        snprintf(what, sizeof(what), "version %s, %s", version, test);
        judge(tally,
              message_matches(m, atoi(version), unhex(hex), str_of(rest)), name,
              what);
        first = MIN(first, atoi(version));
        last = MAX(last, atoi(version));
        arena_reset(&arena);
    }
    api = m->key < 0 ? NULL : api_find((int16_t)m->key);
    judge(tally,
          api == NULL ||
              (first <= api->version_min && last >= api->version_max),
          name, "golden bytes of every served version");
}

static void put_slice(struct writer *w, const char *lead, struct str s)
{
    char text[8];

    writer_raw(w, lead, strlen(lead));
    if (s.ptr == NULL) {
        writer_raw(w, "null", 4);
        return;
    }
    writer_raw(w, "x", 1);
    for (size_t i = 0; i < s.len; i++) {
        snprintf(text, sizeof(text), "%02x", (uint8_t)s.ptr[i]);
        writer_raw(w, text, 2);
    }
}

static void put_record(struct writer *w, const struct batch_header *h,
                       const struct record *record)
{
    struct record_header header;
    struct reader r;
    char text[64];
    int got = snprintf(text, sizeof(text), "|%" PRId64 " %" PRId64,
                       h->base_offset + record->offset_delta,
                       record_timestamp(h, record));

    writer_raw(w, text, (size_t)got);
    put_slice(w, " ", record->key);
    put_slice(w, " ", record->value);
    reader_init(&r, record->headers.ptr, record->headers.len);
    for (int32_t i = 0; i < record->headers_count; i++) {
        if (record_header_next(&r, &header)) {
            writer_raw(w, " ", 1);
            writer_raw(w, header.key.ptr, header.key.len);
            put_slice(w, "=", header.value);
        }
    }
}

/* The batch as the Java program describes it. */
static struct str describe(const struct batch_header *h, struct str payload)
{
    struct writer w;
    struct record_iter iter;
    struct record record;
    char text[256];
    int got = snprintf(
        text, sizeof(text),
        "%" PRId64 " %" PRId64 " %d %" PRId64 " %" PRId64 " %d %d %d %d",
        h->base_offset, batch_last_offset(h), h->leader_epoch, h->max_timestamp,
        h->producer_id, h->producer_epoch, h->base_sequence,
        batch_last_sequence(h), h->attributes & BATCH_CODEC_MASK);

    writer_init(&w, &arena, 256);
    writer_raw(&w, text, (size_t)got);
    record_iter_init(&iter, h, payload);
    while (record_iter_next(&iter, &record)) {
        put_record(&w, h, &record);
    }
    return record_iter_finish(&iter) ? STR_NULL : writer_output(&w);
}

static bool batch_is_rebuilt(struct str batch, const struct batch_header *h,
                             struct str payload)
{
    struct batch_options options = {
        .base_offset = h->base_offset,
        .leader_epoch = h->leader_epoch,
        .attributes = (int16_t)(h->attributes & BATCH_TRANSACTIONAL),
        .producer_id = h->producer_id,
        .producer_epoch = h->producer_epoch,
        .base_sequence = h->base_sequence,
        .level = COMPRESS_LEVEL_DEFAULT,
    };
    struct batch_builder b;
    struct record_iter iter;
    struct record record;
    struct str out;

    batch_builder_init(&b, &arena, &options, 0);
    record_iter_init(&iter, h, payload);
    while (record_iter_next(&iter, &record)) {
        batch_builder_add(&b, &(struct batch_record){
                                  .timestamp = h->base_timestamp +
                                               record.timestamp_delta,
                                  .key = record.key,
                                  .value = record.value,
                                  .headers_count = record.headers_count,
                                  .headers_encoded = record.headers,
                              });
    }
    if (batch_builder_finish(&b, &out) != ERR_NONE) {
        return false;
    }
    batch_set_timestamps((uint8_t *)out.ptr,
                         (h->attributes & BATCH_LOG_APPEND_TIME) != 0,
                         h->max_timestamp);
    return str_eq(out, batch);
}

static bool marker_is_rebuilt(struct str batch, const struct batch_header *h,
                              struct str payload)
{
    struct batch_options options = {
        .base_offset = h->base_offset,
        .leader_epoch = h->leader_epoch,
        .producer_id = h->producer_id,
        .producer_epoch = h->producer_epoch,
        .base_sequence = h->base_sequence,
    };
    struct control_marker marker = {.timestamp = h->max_timestamp};
    struct record_iter iter;
    struct record record;

    record_iter_init(&iter, h, payload);
    if (!record_iter_next(&iter, &record) || record.key.len != 4 ||
        record.value.len != 6) {
        return false;
    }
    marker.type = (enum control_type)bytes_get_i16(record.key.ptr + 2);
    marker.coordinator_epoch = bytes_get_i32(record.value.ptr + 2);
    return str_eq(batch_control(&arena, &options, &marker), batch);
}

static bool batch_matches(struct str batch, struct str text)
{
    struct batch_header h;
    struct str payload, ours;

    if (batch_parse(batch.ptr, batch.len, &h) != ERR_NONE ||
        batch_payload(batch.ptr, &h, PAYLOAD_BYTES_MAX, &arena, &payload)) {
        return false;
    }
    ours = describe(&h, payload);
    if (!str_eq(ours, text)) {
        printf("theirs %.*s\nours   %.*s\n", STR_ARG(text), STR_ARG(ours));
        return false;
    }
    if ((h.attributes & BATCH_CONTROL) != 0) {
        return marker_is_rebuilt(batch, &h, payload);
    }
    return (h.attributes & BATCH_CODEC_MASK) != CODEC_NONE ||
           batch_is_rebuilt(batch, &h, payload);
}

static void check_batches(FILE *file, struct tally *tally)
{
    while (fgets(line, sizeof(line), file) != NULL) {
        char *rest = line, *name, *hex;

        if (line[0] == '#') {
            continue;
        }
        line[strcspn(line, "\n")] = 0;
        name = column(&rest);
        hex = column(&rest);
        judge(tally, batch_matches(unhex(hex), str_of(rest)), "batches", name);
        arena_reset(&arena);
    }
}

static void check_file(const char *dir, const char *file, struct tally *tally)
{
    char path[512], name[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "."), file);
    f = fopen(path, "r");
    if (f == NULL) {
        judge(tally, false, file, "cannot be opened");
        return;
    }
    if (strcmp(name, "batches") == 0) {
        check_batches(f, tally);
    } else {
        check_message(name, f, tally);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    struct dirent *entry;
    DIR *dir = opendir(argc > 1 ? argv[1] : "tests/golden/data");

    if (dir == NULL) {
        puts("no golden bytes\n0 passed, 1 failed");
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".txt") != NULL) {
            check_file(argc > 1 ? argv[1] : "tests/golden/data", entry->d_name,
                       &tally);
        }
    }
    closedir(dir);
    if (tally.passed == 0) {
        tally.failed++;
    }
    printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed != 0;
}
