/* Every request that is served, in every version and beyond, whole and broken:
 * it is answered or its connection is closed, and the broker goes on. */
#include "unit/api/api_world.h"

#include "lib/wire_value.h"

static struct api_world world;

static int open_world(void **state)
{
    world_open(&world, 2);
    return 0;
}

static int close_world(void **state)
{
    world_close(&world);
    return 0;
}

static const struct wire_message *request_of(int16_t key)
{
    for (int i = 0; i < wire_messages_count; i++) {
        if (wire_messages[i].key == key &&
            strcmp(wire_messages[i].kind, "request") == 0) {
            return &wire_messages[i];
        }
    }
    fail_msg("no request has key %d", key);
    return NULL;
}

/* A probe behind the frame: its answer shows that the frame is done with. */
static void send_probe(struct client *client, int32_t correlation_id)
{
    uint8_t probe[4 + 10];

    bytes_put_u32(probe, 10);
    bytes_put_i16(probe + 4, API_API_VERSIONS);
    bytes_put_i16(probe + 6, 0);
    bytes_put_i32(probe + 8, correlation_id);
    bytes_put_i16(probe + 12, -1);
    (void)fixture_send(client->fd, probe, sizeof(probe));
}

/* Sends the frame, and waits until it was answered or the connection closed. */
static void try_frame(struct client *client, const void *bytes, size_t count)
{
    static int32_t probes = 1 << 30;
    uint8_t head[4];
    int32_t wanted = probes++;

    if (client->fd < 0) {
        *client = client_open(&world);
    }
    arena_reset(&client->arena);
    bytes_put_u32(head, (uint32_t)count);
    (void)fixture_send(client->fd, head, 4);
    (void)fixture_send(client->fd, bytes, count);
    send_probe(client, wanted);
    for (;;) {
        struct str frame = client_frame(client);

        if (str_is_null(frame)) {
            client_close(client);
            client->fd = -1;
            return;
        }
        must(frame.len >= 4);
        if (bytes_get_i32(frame.ptr) == wanted) {
            return;
        }
    }
}

/* Requests that wait shall not wait long: the test has many of them. */
static void hurry(int16_t key, void *request)
{
    if (key == API_FETCH) {
        ((struct fetch_request *)request)->max_wait_ms = 1;
    }
}

/* A whole request with its header, its body at random. */
static struct str random_frame(int16_t key, int16_t version, uint64_t *seed,
                               struct arena *arena)
{
    const struct wire_message *message = request_of(key);
    const struct api_info *info = api_find(key);
    int16_t known = MIN(MAX(version, info->version_min), info->version_max);
    struct request_header header = {.request_api_key = key,
                                    .request_api_version = version,
                                    .correlation_id = 7,
                                    .client_id = STR_LIT("random")};
    void *body = wire_value_fill(message, known, seed, arena);
    struct writer w;

    hurry(key, body);
    writer_init(&w, arena, 1024);
    envelope_write_request(&w, &header);
    message->encode(&w, known, body);
    must(!w.failed);
    return writer_output(&w);
}

static void assert_serves(void)
{
    struct client client = client_open(&world);
    struct api_versions_request in = {.client_software_name = STR_LIT("test"),
                                      .client_software_version = STR_LIT("1")};
    struct api_versions_response out;

    assert_true(
        client_ask(&client, API_API_VERSIONS, 3, api_versions, &in, &out));
    assert_int_equal(out.error_code, 0);
    client_close(&client);
}

static void each_request(void (*each)(int16_t key, int16_t version,
                                      struct client *client))
{
    size_t count;
    const struct dispatch_entry *entries = dispatch_entries(&count);

    for (size_t i = 0; i < count; i++) {
        const struct api_info *info = api_find(entries[i].key);
        struct client client = {.fd = -1};

        for (int16_t v = info->advertised_min; v <= info->version_max; v++) {
            each(info->key, v, &client);
        }
        if (client.fd >= 0) {
            client_close(&client);
        }
        assert_serves();
    }
}

static void send_random(int16_t key, int16_t version, struct client *client)
{
    uint64_t seed = (uint64_t)key * 1000 + (uint64_t)version + 1;
    struct arena arena = {0};

    for (int i = 0; i < 20; i++) {
        struct str frame = random_frame(key, version, &seed, &arena);

        try_frame(client, frame.ptr, frame.len);
        arena_reset(&arena);
    }
}

static void every_request_at_random_is_answered_or_closed(void **state)
{
    each_request(send_random);
}

static void send_cut(int16_t key, int16_t version, struct client *client)
{
    uint64_t seed = (uint64_t)key * 1000 + (uint64_t)version + 77;
    struct arena arena = {0};
    struct str frame = random_frame(key, version, &seed, &arena);

    for (size_t i = 0; i < frame.len; i += 1 + i / 16) {
        if (i > 0) {
            try_frame(client, frame.ptr, i);
        }
    }
    arena_reset(&arena);
}

static void every_request_that_is_cut_short_is_answered_or_closed(void **state)
{
    each_request(send_cut);
}

static void send_changed(int16_t key, int16_t version, struct client *client)
{
    uint64_t seed = (uint64_t)key * 1000 + (uint64_t)version + 99;
    struct arena arena = {0};

    for (int i = 0; i < 20; i++) {
        struct str frame = random_frame(key, version, &seed, &arena);
        char *bytes = mem_dup(frame.ptr, frame.len);
        int changes = 1 + (int)(fixture_random(&seed) % 3);

        while (changes-- > 0 && frame.len > 16) {
            static const char odd[] = {'\0', '\1', '\x7f', '\x80', '\xff'};
            size_t at = 16 + fixture_random(&seed) % (frame.len - 16);

            bytes[at] = odd[fixture_random(&seed) % sizeof(odd)];
        }
        try_frame(client, bytes, frame.len);
        mem_free(bytes);
        arena_reset(&arena);
    }
}

static void every_request_with_odd_bytes_is_answered_or_closed(void **state)
{
    each_request(send_changed);
}

/* Counts that promise more than there is, at every place. */
static void send_counts(int16_t key, int16_t version, struct client *client)
{
    uint64_t seed = (uint64_t)key * 1000 + (uint64_t)version + 33;
    struct arena arena = {0};
    struct str frame = random_frame(key, version, &seed, &arena);

    for (size_t at = 16; at + 4 < frame.len; at += 1 + at / 32) {
        char *bytes = mem_dup(frame.ptr, frame.len);

        bytes_put_u32(bytes + at, 0x7fffffff);
        try_frame(client, bytes, frame.len);
        mem_free(bytes);
    }
    arena_reset(&arena);
}

static void every_request_with_huge_counts_is_answered_or_closed(void **state)
{
    each_request(send_counts);
}

static void assert_closes(int16_t key, int16_t version)
{
    struct client client = client_open(&world);
    uint8_t frame[4 + 10];
    uint8_t byte;

    bytes_put_u32(frame, 10);
    bytes_put_i16(frame + 4, key);
    bytes_put_i16(frame + 6, version);
    bytes_put_i32(frame + 8, 1);
    bytes_put_i16(frame + 12, -1);
    assert_true(fixture_send(client.fd, frame, sizeof(frame)));
    if (fixture_receive(client.fd, &byte, 1)) {
        fail_msg("key %d version %d was answered", key, version);
    }
    client_close(&client);
}

static void what_is_not_served_is_closed(void **state)
{
    size_t count;
    const struct dispatch_entry *entries = dispatch_entries(&count);

    assert_closes(-1, 0);
    assert_closes(999, 0);
    assert_closes(API_WRITE_TXN_MARKERS, 1);
    assert_closes(API_PRODUCE, 0); /* advertised, and closed */
    for (size_t i = 0; i < count; i++) {
        const struct api_info *info = api_find(entries[i].key);

        if (info->key != API_API_VERSIONS) {
            assert_closes(info->key, (int16_t)(info->version_max + 1));
            assert_closes(info->key, (int16_t)(info->version_min - 1));
        }
    }
    assert_serves();
}

/* A client that is newer than we are learns how to ask (KIP-511). */
static void a_newer_api_versions_is_answered_in_version_0(void **state)
{
    struct client client = client_open(&world);
    struct api_versions_response out;
    struct writer w;
    struct reader r;

    client_begin(&client, &w, API_API_VERSIONS, 77);
    writer_u32(&w, 0xdeadbeef); /* a body that nobody here can know */
    client_end(&client, &w);
    assert_true(client_answer(&client, &r, API_API_VERSIONS, 0));
    api_versions_response_decode(&r, &client.arena, 0, &out);
    assert_int_equal(reader_finish(&r), ERR_NONE);
    assert_int_equal(out.error_code, ERR_UNSUPPORTED_VERSION);
    assert_int_equal(out.api_keys_count, 1);
    assert_int_equal(out.api_keys[0].api_key, API_API_VERSIONS);
    client_close(&client);
}

static void all_that_is_served_is_listed(void **state)
{
    struct client client = client_open(&world);
    struct api_versions_request in = {.client_software_name = STR_LIT("a-b.c"),
                                      .client_software_version = STR_LIT("1")};
    struct api_versions_response out;
    size_t count;

    dispatch_entries(&count);
    for (int16_t v = 0; v <= 4; v++) {
        assert_true(
            client_ask(&client, API_API_VERSIONS, v, api_versions, &in, &out));
        assert_int_equal(out.error_code, 0);
        assert_int_equal(out.api_keys_count, count);
    }
    in.client_software_name = STR_LIT("-bad-");
    assert_true(
        client_ask(&client, API_API_VERSIONS, 3, api_versions, &in, &out));
    assert_int_equal(out.error_code, ERR_INVALID_REQUEST);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_at_random_is_answered_or_closed),
        cmocka_unit_test(every_request_that_is_cut_short_is_answered_or_closed),
        cmocka_unit_test(every_request_with_odd_bytes_is_answered_or_closed),
        cmocka_unit_test(every_request_with_huge_counts_is_answered_or_closed),
        cmocka_unit_test(what_is_not_served_is_closed),
        cmocka_unit_test(a_newer_api_versions_is_answered_in_version_0),
        cmocka_unit_test(all_that_is_served_is_listed),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
