/* produce.c - the Produce request (api key 0).
 *
 * Happy path: check each partition's batch; append each to its partition's log,
 * on that partition's loop; wait until what acks asks for is reached (on disk
 * with flush = "commit"); answer. Partitions fail one by one: an error of one
 * is a field of the answer. With acks=0 there is no answer, and an error closes
 * the connection: the only way to say so.
 *
 * Source: protocol guide, "Produce"; KIP-98 (idempotence), KIP-467 (record
 *         errors), KIP-516 (topic ids); behaviours 6, record-format 4. */
#include "api/dispatch.h"
#include "api/lookup.h"
#include "cluster/replica.h"
#include "wire/produce.h"
#include "wire/validate.h"

/* What a compressed batch may unpack to, so many times max.message.bytes and
 * at least so much: a bomb is refused, a good codec is not. */
enum {
    UNPACKED_BYTES_MIN = 16 << 20,
    UNPACKED_BYTES_MAX = 256 << 20, /* whatever max.message.bytes says */
    UNPACKED_FACTOR = 64,
};

struct produce;

/* One partition of the request. */
struct produce_part {
    struct produce *produce;
    struct replica_append append;
    struct validate_result checked;
    enum err err;
    int64_t append_time_ms; /* -1: the topic keeps the producer's time */
};

struct produce {
    struct api_request *r;
    struct produce_request body;
    struct produce_part *parts;
    uint32_t part_count;
    uint32_t pending;
};

static enum flow_verdict produce_check(struct flow *flow);
static enum flow_verdict produce_append(struct flow *flow);
static enum flow_verdict produce_respond(struct flow *flow);

static const struct flow_step produce_steps[] = {
    {"check", produce_check, NULL},     /* batch, CRC, records, clock */
    {"append", produce_append, NULL},   /* waits for every log and its disk */
    {"respond", produce_respond, NULL}, /* always runs, exactly once */
};

void handle_produce(struct api_request *r)
{
    struct produce *p = ARENA_NEW(r->arena, struct produce);

    p->r = r;
    produce_request_decode(&r->body, r->arena, r->version, &p->body);
    if (!api_decoded(r)) {
        return;
    }
    r->own = p;
    for (int32_t i = 0; i < p->body.topic_data_count; i++) {
        p->part_count += (uint32_t)p->body.topic_data[i].partition_data_count;
    }
    p->parts = arena_array(r->arena, p->part_count, sizeof(*p->parts));
    flow_start(&r->flow, produce_steps, ARRAY_COUNT(produce_steps));
}

/* The topic's rules for a batch that comes now. */
static struct validate_rules produce_rules(const struct produce *p,
                                           const struct topic_settings *topic)
{
    struct env *env = loop_env(conn_loop(p->r->request->conn));
    int64_t largest = topic->max_message_bytes;
    int level = COMPRESS_LEVEL_DEFAULT;

    if (topic->compression_type == TOPIC_COMPRESSION_GZIP &&
        topic->gzip_level != -1) {
        level = (int)topic->gzip_level;
    } else if (topic->compression_type == TOPIC_COMPRESSION_LZ4) {
        level = (int)topic->lz4_level;
    } else if (topic->compression_type == TOPIC_COMPRESSION_ZSTD) {
        level = (int)topic->zstd_level;
    }
    return (struct validate_rules){
        .produce_version = p->r->version,
        .batch_bytes_max = (int32_t)largest,
        .payload_bytes_max =
            (size_t)MIN(MAX(largest * UNPACKED_FACTOR, UNPACKED_BYTES_MIN),
                        UNPACKED_BYTES_MAX),
        .needs_keys = (topic->cleanup_policy & TOPIC_CLEANUP_COMPACT) != 0,
        .log_append_time = topic->timestamp_type == TOPIC_LOG_APPEND_TIME,
        .now_ms = env_wall_ms(env),
        .before_ms_max = topic->timestamp_before_ms_max,
        .after_ms_max = topic->timestamp_after_ms_max,
        .codec = (int)topic->compression_type,
        .level = level};
}

/* Everything that can be known of a partition's batch without its log. */
static enum err produce_check_part(struct produce *p,
                                   const struct lookup_topic *named,
                                   const struct produce_request_partition *in,
                                   struct produce_part *part)
{
    struct lookup_partition found;
    struct validate_rules rules;
    enum err err;

    part->produce = p;
    part->append_time_ms = -1;
    if (p->body.acks < -1 || p->body.acks > 1) {
        return ERR_INVALID_REQUIRED_ACKS;
    }
    if (!named->by_id && topic_name_is_reserved(named->name)) {
        return ERR_INVALID_TOPIC_EXCEPTION;
    }
    err = lookup_partition(p->r, named, in->index, &found);
    if (err != ERR_NONE) {
        return err;
    }
    if (p->body.acks == -1 && found.partition->isr_count <
                                  found.topic->settings.min_insync_replicas) {
        return ERR_NOT_ENOUGH_REPLICAS;
    }
    rules = produce_rules(p, &found.topic->settings);
    err = validate_batch((uint8_t *)(uintptr_t)in->records.ptr,
                         (size_t)MAX(in->records.bytes, 0), &rules, p->r->arena,
                         &part->checked);
    if (err != ERR_NONE) {
        return err;
    }
    if ((part->checked.header.attributes & BATCH_TRANSACTIONAL) != 0) {
        return ERR_INVALID_TXN_STATE; /* no transaction can be open */
    }
    if (rules.log_append_time) {
        part->append_time_ms = rules.now_ms;
    }
    part->append.replica = found.replica;
    part->append.batch = part->checked.batch;
    part->append.bytes = (uint32_t)part->checked.header.bytes;
    part->append.acks = p->body.acks;
    part->append.timeout_ms = p->body.timeout_ms;
    return ERR_NONE;
}

static enum flow_verdict produce_check(struct flow *flow)
{
    struct produce *p = api_own(flow);
    struct produce_part *part = p->parts;

    for (int32_t i = 0; i < p->body.topic_data_count; i++) {
        const struct produce_request_topic *topic = &p->body.topic_data[i];
        struct lookup_topic named = {.name = topic->name,
                                     .id = topic->topic_id,
                                     .by_id = p->r->version >= 13};

        for (int32_t j = 0; j < topic->partition_data_count; j++, part++) {
            part->err =
                produce_check_part(p, &named, &topic->partition_data[j], part);
        }
    }
    return FLOW_NEXT;
}

static void produce_append_done(struct replica_append *append)
{
    struct produce_part *part =
        container_of(append, struct produce_part, append);
    struct produce *p = part->produce;

    part->err = append->err;
    if (--p->pending == 0) {
        flow_resume(&p->r->flow, ERR_NONE);
    }
}

static enum flow_verdict produce_append(struct flow *flow)
{
    struct produce *p = api_own(flow);

    p->pending = 1; /* this step's own, so that no answer resumes too early */
    for (uint32_t i = 0; i < p->part_count; i++) {
        struct produce_part *part = &p->parts[i];

        if (part->err == ERR_NONE) {
            p->pending++;
            part->append.done = produce_append_done;
            replica_append(&part->append);
        }
    }
    return --p->pending == 0 ? FLOW_NEXT : FLOW_WAIT;
}

static void produce_answer_part(struct produce *p,
                                const struct produce_part *part, int32_t index,
                                struct produce_response_partition *out)
{
    produce_response_partition_init(out);
    out->index = index;
    out->error_code = err_wire(part->err);
    out->base_offset = -1;
    out->log_append_time_ms = -1;
    if (part->err == ERR_NONE) {
        out->base_offset = part->append.base_offset;
        out->log_append_time_ms = part->append_time_ms;
        out->log_start_offset = part->append.log_start_offset;
        return;
    }
    out->error_message = str_of(
        part->checked.text != NULL ? part->checked.text : err_text(part->err));
    out->record_errors_count = part->checked.errors_count;
    out->record_errors =
        arena_array(p->r->arena, (size_t)part->checked.errors_count,
                    sizeof(*out->record_errors));
    for (int32_t i = 0; i < part->checked.errors_count; i++) {
        out->record_errors[i] = (struct produce_response_record_error){
            .batch_index = part->checked.errors[i].index,
            .batch_index_error_message = str_of(part->checked.errors[i].text)};
    }
}

static void produce_answer(struct produce *p)
{
    struct api_request *r = p->r;
    const struct produce_part *part = p->parts;
    struct produce_response response;

    produce_response_init(&response);
    response.responses_count = p->body.topic_data_count;
    response.responses = arena_array(r->arena, (size_t)response.responses_count,
                                     sizeof(*response.responses));
    for (int32_t i = 0; i < p->body.topic_data_count; i++) {
        const struct produce_request_topic *in = &p->body.topic_data[i];
        struct produce_response_topic *out = &response.responses[i];

        out->name = in->name;
        out->topic_id = in->topic_id;
        out->partition_responses_count = in->partition_data_count;
        out->partition_responses =
            arena_array(r->arena, (size_t)in->partition_data_count,
                        sizeof(*out->partition_responses));
        for (int32_t j = 0; j < in->partition_data_count; j++, part++) {
            produce_answer_part(p, part, in->partition_data[j].index,
                                &out->partition_responses[j]);
        }
    }
    produce_response_encode(
        api_answer_begin(r, 64 + 64 * (size_t)p->part_count), r->version,
        &response);
    api_answer_end(r);
}

static enum flow_verdict produce_respond(struct flow *flow)
{
    struct produce *p = api_own(flow);
    bool failed = false;

    if (p->body.acks != 0) {
        produce_answer(p);
        return FLOW_NEXT;
    }
    for (uint32_t i = 0; i < p->part_count; i++) {
        failed = failed || p->parts[i].err != ERR_NONE;
    }
    if (failed) {
        api_close(p->r);
    } else {
        api_answer_nothing(p->r);
    }
    return FLOW_NEXT;
}
