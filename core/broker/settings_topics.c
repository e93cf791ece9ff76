/* settings_topics.c - the topics that a config declares. */
#include "broker/settings_private.h"
#include "meta/topic_config_core.h"
#include <stdlib.h>

static void topic_check_partitions(struct settings_work *work,
                                   const struct topic_given *given,
                                   struct settings_topic *out)
{
    const struct setting_given *field = &given->fields[TOPIC_PARTITIONS];
    int64_t most = work->out->limits.partitions_per_topic;

    if (out->partitions > most) {
        complaint_add(&work->complaints, field->value->place, field->path,
                      "%d is more than limits.partitions_per_topic allows "
                      "(%lld)",
                      out->partitions, (long long)most);
    }
    field = &given->fields[TOPIC_REPLICATION_FACTOR];
    if (out->replication_factor > 1) {
        complaint_add(&work->complaints, field->value->place, field->path,
                      "%d needs %d brokers, the cluster has 1",
                      out->replication_factor, out->replication_factor);
    }
}

static void topic_check(struct settings_work *work, struct topic_given *given,
                        struct settings_topic *out)
{
    struct str name = str_of(given->name);
    struct why why = {{0}};
    const char *path =
        arena_printf(work->complaints.arena, "topics.%s", given->name).ptr;

    out->name = arena_str(&work->out->arena, name).ptr;
    if (topic_name_check(name, &why)) {
        complaint_add(&work->complaints, given->place, path, "%s", why.text);
    } else if (topic_name_is_reserved(name)) {
        complaint_add(&work->complaints, given->place, path,
                      "the name is reserved for the broker itself");
    }
    settings_store(work, &settings_of_topic[TOPIC_STATE],
                   &given->fields[TOPIC_STATE], given);
    out->absent = given->state == 1;
    settings_store(work, &settings_of_topic[TOPIC_PARTITIONS],
                   &given->fields[TOPIC_PARTITIONS], out);
    settings_store(work, &settings_of_topic[TOPIC_REPLICATION_FACTOR],
                   &given->fields[TOPIC_REPLICATION_FACTOR], out);
    topic_check_partitions(work, given, out);
    settings_store_configs(work, given->configs, &out->configs);
}

static int topic_compare(const void *a, const void *b)
{
    return strcmp(((const struct settings_topic *)a)->name,
                  ((const struct settings_topic *)b)->name);
}

void settings_check_topics(struct settings_work *work)
{
    struct settings *out = work->out;

    struct topic_given **given =
        arena_array(work->complaints.arena, work->topic_count,
                    sizeof(struct topic_given *));
    size_t at = work->topic_count;

    out->topics =
        arena_array(&out->arena, work->topic_count, sizeof(*out->topics));
    for (struct topic_given *t = work->topics; t != NULL; t = t->next) {
        given[--at] = t;
    }
    for (; at < work->topic_count; at++) {
        topic_check(work, given[at], &out->topics[out->topic_count++]);
    }
    if (out->topic_count > 0) {
        qsort(out->topics, out->topic_count, sizeof(*out->topics),
              topic_compare);
    }
}
