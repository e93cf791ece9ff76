/* topic_create.c - checks and defaults for a new topic, on the control loop.
 *
 * topic_create_prepare() looks, in this order, at the name; the partitions and
 * who holds them (topic_create_assign() where the caller says it, else
 * topic_create_place()); the configs; whether there is such a topic;
 * last, whether so many partitions more may be. What it comes to is a command
 * that says everything: a node that applies it knows no default. */
#include "cluster/topic_create.h"

#include "base/bytes.h"
#include "base/must.h"
#include "meta/placement_core.h"

static enum err topic_create_bound(const struct topic_create *create,
                                   int32_t partitions, struct why *why)
{
    return partitions <= create->defaults.partitions_max
               ? ERR_NONE
               : why_set(why, ERR_POLICY_VIOLATION,
                         "%d partitions are more than one topic may have here, "
                         "%d (limits.partitions_per_topic)",
                         partitions, create->defaults.partitions_max);
}

static enum err topic_create_counts(const struct topic_create *create,
                                    int32_t brokers, int32_t *partitions,
                                    int16_t *replicas, struct why *why)
{
    const struct topic_create_spec *spec = create->spec;
    enum err err;

    *partitions =
        spec->partitions == -1 ? create->defaults.partitions : spec->partitions;
    *replicas = spec->replication_factor;
    if (*replicas == -1) {
        *replicas = create->defaults.replication_factor;
    }
    if (*replicas == -1) {
        *replicas = placement_default_replicas(brokers);
    }
    if (*partitions < 1) {
        return why_set(why, ERR_INVALID_PARTITIONS,
                       "the number of partitions is %d; it must be at least 1, "
                       "or -1 for the default",
                       *partitions);
    }
    err = topic_create_bound(create, *partitions, why);
    if (err == ERR_NONE && (*replicas < 1 || *replicas > brokers)) {
        err = why_set(why, ERR_INVALID_REPLICATION_FACTOR,
                      "the replication factor is %d; it must be from 1 to the "
                      "number of brokers, %d, or -1 for the default",
                      *replicas, brokers);
    }
    return err;
}

/* One partition whose brokers the caller has chosen. */
static enum err
topic_create_assign_one(const struct topic_create_assignment *in,
                        const struct brokers *brokers, int32_t count,
                        struct command_create_topic_partition *partitions,
                        struct why *why)
{
    struct command_create_topic_partition *out;

    if (in->partition < 0 || in->partition >= count ||
        partitions[in->partition].replicas_count > 0) {
        return why_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                       "partitions must be numbered from 0 without gaps; %d is "
                       "out of line",
                       in->partition);
    }
    if (in->brokers_count < 1) {
        return why_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                       "partition %d is assigned to no broker", in->partition);
    }
    for (int32_t i = 0; i < in->brokers_count; i++) {
        if (brokers_find(brokers, in->brokers[i]) == NULL) {
            return why_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                           "there is no broker %d", in->brokers[i]);
        }
        for (int32_t j = 0; j < i; j++) {
            if (in->brokers[i] == in->brokers[j]) {
                return why_set(why, ERR_INVALID_REPLICA_ASSIGNMENT,
                               "partition %d names broker %d twice",
                               in->partition, in->brokers[i]);
            }
        }
    }
    out = &partitions[in->partition];
    out->replicas = (int32_t *)(uintptr_t)in->brokers;
    out->replicas_count = in->brokers_count;
    return ERR_NONE;
}

/* The brokers that the caller chose. */
static enum err topic_create_assign(struct topic_create *create,
                                    const struct brokers *brokers,
                                    struct command_create_topic *command,
                                    struct why *why)
{
    const struct topic_create_spec *spec = create->spec;
    int32_t count = spec->assignments_count;
    enum err err;

    if (spec->partitions != -1 || spec->replication_factor != -1) {
        return why_set(why, ERR_INVALID_REQUEST,
                       "a topic has either an assignment or a number of "
                       "partitions and replicas, not both");
    }
    err = topic_create_bound(create, count, why);
    if (err != ERR_NONE) {
        return err;
    }
    command->partitions_count = count;
    command->partitions = arena_array(&create->change.arena, (size_t)count,
                                      sizeof(*command->partitions));
    for (int32_t i = 0; i < count && err == ERR_NONE; i++) {
        err = topic_create_assign_one(&spec->assignments[i], brokers, count,
                                      command->partitions, why);
    }
    return err;
}

/* Brokers that we choose: Kafka's striped, rack-aware order. */
static enum err topic_create_place(struct topic_create *create,
                                   const struct brokers *brokers,
                                   struct command_create_topic *command,
                                   struct why *why)
{
    struct arena *arena = &create->change.arena;
    int32_t count;
    int16_t replicas;
    int32_t *placed;
    enum err err =
        topic_create_counts(create, brokers->count, &count, &replicas, why);

    if (err != ERR_NONE) {
        return err;
    }
    placed = arena_array(arena, (size_t)count,
                         (size_t)MAX(replicas, 1) * sizeof(*placed));
    err = placement_make(brokers, count, replicas,
                         bytes_get_u64(create->topic_id.bytes), placed, why);
    if (err != ERR_NONE) {
        return err;
    }
    command->partitions_count = count;
    command->partitions =
        arena_array(arena, (size_t)count, sizeof(*command->partitions));
    for (int32_t i = 0; i < count; i++) {
        command->partitions[i].replicas = &placed[i * replicas];
        command->partitions[i].replicas_count = replicas;
    }
    return ERR_NONE;
}

/* The command's config of that name, set anew or added. */
static void topic_create_put_config(struct command_create_topic *command,
                                    struct str name, struct str value)
{
    int32_t at = 0;

    while (at < command->configs_count &&
           !str_eq(command->configs[at].name, name)) {
        at++;
    }
    command->configs_count += at == command->configs_count ? 1 : 0;
    command->configs[at] =
        (struct command_create_topic_config){.name = name, .value = value};
}

/* Checks the configs, and fixes min.insync.replicas where nobody said it. */
static enum err topic_create_configs(struct topic_create *create,
                                     struct command_create_topic *command,
                                     struct why *why)
{
    const struct topic_create_spec *spec = create->spec;
    struct arena *arena = &create->change.arena;
    struct str min_insync = STR_LIT("min.insync.replicas");
    bool has_min_insync = false;

    command->configs = arena_array(arena, (size_t)spec->configs_count + 1,
                                   sizeof(*command->configs));
    if (spec->configs_count > TOPIC_OVERRIDES_MAX) {
        return why_set(why, ERR_INVALID_CONFIG, "%d configs are too many",
                       spec->configs_count);
    }
    for (int32_t i = 0; i < spec->configs_count; i++) {
        const struct topic_override *config = &spec->configs[i];
        enum err err = topic_config_set(NULL, config->name, config->value, why);

        if (err != ERR_NONE) {
            return err;
        }
        has_min_insync = has_min_insync || str_eq(config->name, min_insync);
        topic_create_put_config(command, config->name, config->value);
    }
    if (!has_min_insync) {
        int16_t replicas = (int16_t)command->partitions[0].replicas_count;

        topic_create_put_config(
            command, min_insync,
            arena_printf(arena, "%d", placement_default_min_insync(replicas)));
    }
    return ERR_NONE;
}

/* What the defaults and the configs come to. */
static void topic_create_settle(struct topic_create *create,
                                const struct state *state,
                                const struct command_create_topic *command)
{
    create->settings = state->topics.defaults;
    for (int32_t i = 0; i < command->configs_count; i++) {
        must(topic_config_set(&create->settings, command->configs[i].name,
                              command->configs[i].value, NULL) == ERR_NONE);
    }
}

/* On the control loop. */
static enum err topic_create_prepare(struct controller_change *change,
                                     const struct state *state, struct why *why)
{
    struct topic_create *create =
        container_of(change, struct topic_create, change);
    const struct topic_create_spec *spec = create->spec;
    struct command_create_topic *command = &change->command.create_topic;
    enum err err = topic_name_check(spec->name, why);

    change->command.type = COMMAND_CREATE_TOPIC;
    if (err == ERR_NONE && topic_name_is_reserved(spec->name)) {
        err = why_set(why, ERR_INVALID_TOPIC_EXCEPTION,
                      "the name \"%.*s\" is reserved", STR_ARG(spec->name));
    }
    if (err == ERR_NONE) {
        err = spec->assignments_count > 0
                  ? topic_create_assign(create, state->brokers, command, why)
                  : topic_create_place(create, state->brokers, command, why);
    }
    if (err == ERR_NONE) {
        err = topic_create_configs(create, command, why);
    }
    if (err != ERR_NONE) {
        return err;
    }
    for (int32_t i = 0; i < command->partitions_count; i++) {
        struct command_create_topic_partition *p = &command->partitions[i];

        p->leader = p->replicas[0];
        p->isr = p->replicas;
        p->isr_count = p->replicas_count;
    }
    command->name = spec->name;
    command->topic_id = create->topic_id;
    command->source = str_of(spec->source);
    command->at_ms = create->at_ms;
    topic_create_settle(create, state, command);
    err = topics_check(&state->topics, command, why);
    return err != ERR_NONE ? err
                           : controller_promise(change, state,
                                                command->partitions_count, why);
}

void topic_create_start(struct topic_create *create, struct env *env)
{
    uint8_t random[16];

    do {
        env_random(env, random, sizeof(random));
        create->topic_id = uuid_v4(random);
    } while (!uuid_is_usable(create->topic_id));
    create->at_ms = env_wall_ms(env);
    create->change.prepare = topic_create_prepare;
    controller_change(&create->change);
}
