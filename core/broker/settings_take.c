/* settings_take.c - from names to slots.
 *
 * Walks what config.lua assigned, then each --set, and puts every value into
 * the slot of its setting: under our name or under Kafka's (node.config, or
 * bare with --set). Says what is unknown, what is for later, and what was given
 * twice in one place; values themselves are checked afterwards. */
#include "broker/settings_private.h"
#include "meta/topic_config_core.h"
#include <inttypes.h>

/* A value on its way, with the name it came under. */
struct taken {
    const struct value *value;
    const char *path; /* for messages: node.config["num.partitions"] */
    enum setting_source source;
};

static const char *take_path(struct settings_work *work, const char *parent,
                             struct str key)
{
    return arena_printf(work->complaints.arena, "%s%s%.*s", parent,
                        parent[0] == '\0' ? "" : ".", STR_ARG(key))
        .ptr;
}

static const char *take_null_if_empty(const char *path)
{
    return path[0] == '\0' ? NULL : path;
}

/* Fills a slot; the same setting twice in one file is an error, a --set after a
 * file or another --set replaces. */
static void take_give(struct settings_work *work, struct setting_given *slot,
                      const struct taken *taken)
{
    if (slot->source == SETTING_FROM_FILE &&
        taken->source == SETTING_FROM_FILE) {
        complaint_add(&work->complaints, taken->value->place, taken->path,
                      "is the same setting as %s: give one of them",
                      slot->path);
        return;
    }
    *slot = (struct setting_given){taken->value, taken->path, taken->source};
}

/* The nearest key of a table of the config, or NULL. */
static const char *take_nearest(const char *parent, struct str key)
{
    const char *names[SETTINGS_SCALARS_MAX + 4];
    size_t bytes = strlen(parent);
    size_t count = 0;

    for (size_t i = 0; i < settings_scalar_count; i++) {
        const char *path = settings_scalars[i].path;

        if (strncmp(path, parent, bytes) == 0 && path[bytes] == '.') {
            names[count++] = path + bytes + 1;
        }
    }
    if (strcmp(parent, "node") == 0 || strcmp(parent, "defaults") == 0) {
        names[count++] = "config";
    }
    return complaint_nearest(key, names, count);
}

/* The setting whose last name is key, wherever it is: who writes partitions at
 * the top meant defaults.partitions. */
static const char *take_elsewhere(struct str key)
{
    for (size_t i = 0; i < settings_scalar_count; i++) {
        const char *dot = strrchr(settings_scalars[i].path, '.');

        if (dot != NULL && str_eq(str_of(dot + 1), key)) {
            return settings_scalars[i].path;
        }
    }
    return NULL;
}

static void take_unknown(struct settings_work *work, const struct taken *taken,
                         const char *parent, struct str key)
{
    const char *nearest =
        parent[0] == '\0'
            ? complaint_nearest(key, settings_roots, settings_root_count)
            : take_nearest(parent, key);
    const char *hint = "";

    if (nearest == NULL) {
        nearest = take_elsewhere(key);
    }
    if (nearest != NULL) {
        complaint_add(
            &work->complaints, taken->value->place, take_null_if_empty(parent),
            "unknown %s \"%.*s\"; did you mean \"%s\"?",
            parent[0] == '\0' ? "setting" : "key", STR_ARG(key), nearest);
        return;
    }
    if (parent[0] == '\0') {
        hint = "; a name of your own needs \"local\" before it";
    }
    complaint_add(&work->complaints, taken->value->place,
                  take_null_if_empty(parent), "unknown %s \"%.*s\"%s",
                  parent[0] == '\0' ? "setting" : "key", STR_ARG(key), hint);
}

/* Whether it is one of those; then it has been said. */
static bool take_is_later(struct settings_work *work, const struct taken *taken,
                          const char *path)
{
    if (!settings_is_later(path)) {
        return false;
    }
    complaint_add(&work->complaints, taken->value->place, taken->path,
                  "is known, not in this version");
    return true;
}

static struct setting_given *take_scalar_slot(struct settings_work *work,
                                              struct str path)
{
    for (size_t i = 0; i < settings_scalar_count; i++) {
        if (str_eq(path, str_of(settings_scalars[i].path))) {
            return &work->scalars[i];
        }
    }
    return NULL;
}

/* A topic config into a list of them. */
static void take_config(struct settings_work *work,
                        struct setting_config_given **list, struct str name,
                        const struct taken *taken)
{
    struct arena *arena = work->complaints.arena;
    struct setting_config_given *config = *list;

    while (config != NULL && !str_eq(name, str_of(config->name))) {
        config = config->next;
    }
    if (config == NULL) {
        config = ARENA_NEW(arena, struct setting_config_given);
        config->name = arena_str(arena, name).ptr;
        config->next = *list;
        *list = config;
    }
    take_give(work, &config->given, taken);
}

/* The topic config that a broker config of Kafka's is the default of. */
static const char *take_topic_config_of(struct str kafka)
{
    for (size_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config *config = topic_config_at(i);

        if (config->broker_name != NULL &&
            str_eq(kafka, str_of(config->broker_name))) {
            return config->name;
        }
    }
    return NULL;
}

static void take_default_config(struct settings_work *work, struct str name,
                                const struct taken *taken)
{
    /* storage.segment and its kin are slots of their own. */
    for (size_t i = 0; i < settings_scalar_count; i++) {
        if (settings_scalars[i].type == SETTING_CONFIG &&
            str_eq(name, str_of(settings_scalars[i].config))) {
            take_give(work, &work->scalars[i], taken);
            return;
        }
    }
    take_config(work, &work->configs, name, taken);
}

/* log.retention.hours = 24 becomes retention.ms = 86400000. */
static void take_alias(struct settings_work *work,
                       const struct setting_alias *alias,
                       const struct taken *taken)
{
    struct arena *arena = work->complaints.arena;
    struct value *scaled = ARENA_NEW(arena, struct value);
    struct taken renamed = *taken;
    struct str path = str_of(alias->path);
    struct str prefix = STR_LIT("defaults.config.");
    bool number = true;

    *scaled = *taken->value;
    if (alias->factor != 1) {
        if (scaled->kind == VALUE_TEXT) {
            number = str_to_i64(scaled->text, &scaled->integer);
            scaled->kind = VALUE_INT;
        }
        if (!number || scaled->kind != VALUE_INT || scaled->integer < -1) {
            complaint_add(&work->complaints, taken->value->place, taken->path,
                          "expected a whole number, got %s",
                          value_show(arena, taken->value).ptr);
            return;
        }
        if (scaled->integer > 0 &&
            __builtin_mul_overflow(scaled->integer, alias->factor,
                                   &scaled->integer)) {
            scaled->integer = INT64_MAX;
        }
    }
    renamed.value = scaled;
    if (path.len > prefix.len &&
        memcmp(path.ptr, prefix.ptr, prefix.len) == 0) {
        take_default_config(
            work, str_sub(path.ptr + prefix.len, path.len - prefix.len),
            &renamed);
    } else {
        take_give(work, take_scalar_slot(work, path), &renamed);
    }
}

/* A setting under Kafka's name. False: it is no name of Kafka's. */
static bool take_kafka(struct settings_work *work, struct str name,
                       const struct taken *taken)
{
    const struct setting_alias *alias = settings_alias_find(name);
    const char *config = take_topic_config_of(name);
    const char *hint = settings_kafka_hint(name);

    if (alias != NULL) {
        take_alias(work, alias, taken);
        return true;
    }
    for (size_t i = 0; i < settings_scalar_count; i++) {
        if (settings_scalars[i].kafka != NULL &&
            str_eq(name, str_of(settings_scalars[i].kafka))) {
            take_give(work, &work->scalars[i], taken);
            return true;
        }
    }
    if (config != NULL) {
        take_default_config(work, str_of(config), taken);
        return true;
    }
    if (hint != NULL) {
        complaint_add(&work->complaints, taken->value->place, taken->path,
                      "is not known here by Kafka's name: use %s", hint);
        return true;
    }
    if (settings_is_kafka_name(name)) {
        complaint_add(&work->complaints, taken->value->place, taken->path,
                      "is a setting of Kafka's that does nothing here: "
                      "remove it");
        return true;
    }
    return false;
}

static void take_node_config(struct settings_work *work,
                             const struct value *table)
{
    struct arena *arena = work->complaints.arena;

    for (size_t i = 0; i < table->table.count; i++) {
        struct str key = table->table.keys[i];
        struct taken taken = {
            &table->table.items[i],
            arena_printf(arena, "node.config[\"%.*s\"]", STR_ARG(key)).ptr,
            SETTING_FROM_FILE,
        };
        const char *nearest;

        if (take_kafka(work, key, &taken)) {
            continue;
        }
        nearest = settings_kafka_nearest(key);
        complaint_add(&work->complaints, taken.value->place, "node.config",
                      nearest == NULL ? "unknown key \"%.*s\"%s"
                                      : "unknown key \"%.*s\"; did you mean "
                                        "\"%s\"?",
                      STR_ARG(key), nearest == NULL ? "" : nearest);
    }
}

/* Whether value is a map (or an empty table); a complaint when it is not. */
static bool take_is_map(struct settings_work *work, const struct value *value,
                        const char *path, const char *example)
{
    if (value->kind == VALUE_MAP) {
        return true;
    }
    if (value->kind != VALUE_MISSING) {
        complaint_add(&work->complaints, value->place, path,
                      "expected a table such as %s, got %s", example,
                      value_show(work->complaints.arena, value).ptr);
    }
    return false;
}

static void take_configs(struct settings_work *work, const struct value *table,
                         const char *path, struct setting_config_given **list)
{
    if (!take_is_map(work, table, path, "{ [\"retention.ms\"] = \"7d\" }")) {
        return;
    }
    for (size_t i = 0; i < table->table.count; i++) {
        struct taken taken = {&table->table.items[i], path, SETTING_FROM_FILE};

        if (list == &work->configs) {
            taken.path = take_path(work, path, table->table.keys[i]);
            take_default_config(work, table->table.keys[i], &taken);
        } else {
            take_config(work, list, table->table.keys[i], &taken);
        }
    }
}

/* node, storage, defaults, limits, coordinator. */
static void take_section(struct settings_work *work, const struct value *table,
                         struct str name)
{
    const char *section = take_path(work, "", name);

    if (!take_is_map(work, table, section, "{ key = value }")) {
        return;
    }
    for (size_t i = 0; i < table->table.count; i++) {
        struct str key = table->table.keys[i];
        const char *path = take_path(work, section, key);
        struct taken taken = {&table->table.items[i], path, SETTING_FROM_FILE};
        struct setting_given *slot = take_scalar_slot(work, str_of(path));

        if (slot != NULL) {
            take_give(work, slot, &taken);
        } else if (strcmp(path, "defaults.config") == 0) {
            take_configs(work, taken.value, path, &work->configs);
        } else if (strcmp(path, "node.config") == 0) {
            if (take_is_map(work, taken.value, path,
                            "{ [\"num.partitions\"] = 3 }")) {
                take_node_config(work, taken.value);
            }
        } else if (!take_is_later(work, &taken, path)) {
            take_unknown(work, &taken, section, key);
        }
    }
}

/* The slot of a field of a listener or topic; NULL when it has none. */
static struct setting_given *take_field(const struct setting *fields,
                                        size_t count,
                                        struct setting_given *slots,
                                        struct str key)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(key, str_of(fields[i].path))) {
            return &slots[i];
        }
    }
    return NULL;
}

static void take_unknown_field(struct settings_work *work,
                               const struct taken *taken, const char *parent,
                               struct str key, const struct setting *fields,
                               size_t count, const char *more)
{
    const char *names[LISTENER_FIELDS + TOPIC_FIELDS + 1];
    size_t n = 0;
    const char *nearest;

    for (size_t i = 0; i < count; i++) {
        names[n++] = fields[i].path;
    }
    if (more != NULL) {
        names[n++] = more;
    }
    nearest = complaint_nearest(key, names, n);
    complaint_add(&work->complaints, taken->value->place, parent,
                  nearest == NULL ? "unknown key \"%.*s\"%s"
                                  : "unknown key \"%.*s\"; did you mean "
                                    "\"%s\"?",
                  STR_ARG(key), nearest == NULL ? "" : nearest);
}

static void take_listener(struct settings_work *work, const struct value *table,
                          size_t index)
{
    struct listener_given *listener = &work->listeners[index];
    const char *parent =
        arena_printf(work->complaints.arena, "listeners.%zu", index + 1).ptr;

    listener->place = table->place;
    if (!take_is_map(work, table, parent, "{ bind = \"127.0.0.1:9092\" }")) {
        return;
    }
    for (size_t i = 0; i < table->table.count; i++) {
        struct str key = table->table.keys[i];
        const char *path = take_path(work, parent, key);
        struct taken taken = {&table->table.items[i], path, SETTING_FROM_FILE};
        struct setting_given *slot = take_field(
            settings_of_listener, LISTENER_FIELDS, listener->fields, key);

        if (slot != NULL) {
            take_give(work, slot, &taken);
        } else if (!take_is_later(work, &taken, path)) {
            take_unknown_field(work, &taken, parent, key, settings_of_listener,
                               LISTENER_FIELDS, NULL);
        }
    }
}

static void take_listeners(struct settings_work *work,
                           const struct value *value)
{
    size_t count = value_is_table(value) ? value->table.count : 0;

    if (value->kind == VALUE_MISSING) {
        return;
    }
    if (value->kind != VALUE_LIST || count > SETTINGS_LISTENERS_MAX) {
        complaint_add(&work->complaints, value->place, "listeners",
                      "expected a list of 1 to %d tables such as "
                      "{ { bind = \"127.0.0.1:9092\" } }",
                      SETTINGS_LISTENERS_MAX);
        return;
    }
    work->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        take_listener(work, &value->table.items[i], i);
    }
}

static struct topic_given *take_topic_slot(struct settings_work *work,
                                           struct str name,
                                           struct value_place place)
{
    struct arena *arena = work->complaints.arena;
    struct topic_given *topic = work->topics;

    while (topic != NULL && !str_eq(name, str_of(topic->name))) {
        topic = topic->next;
    }
    if (topic == NULL) {
        topic = ARENA_NEW(arena, struct topic_given);
        topic->name = arena_str(arena, name).ptr;
        topic->place = place;
        topic->next = work->topics;
        work->topics = topic;
        work->topic_count++;
    }
    return topic;
}

static void take_topic(struct settings_work *work, struct topic_given *topic,
                       const struct value *table)
{
    const char *parent = take_path(work, "topics", str_of(topic->name));

    if (!take_is_map(work, table, parent, "{ partitions = 3 }")) {
        return;
    }
    for (size_t i = 0; i < table->table.count; i++) {
        struct str key = table->table.keys[i];
        const char *path = take_path(work, parent, key);
        struct taken taken = {&table->table.items[i], path, SETTING_FROM_FILE};
        struct setting_given *slot =
            take_field(settings_of_topic, TOPIC_FIELDS, topic->fields, key);

        if (slot != NULL) {
            take_give(work, slot, &taken);
        } else if (str_eq(key, STR_LIT("config"))) {
            take_configs(work, taken.value, path, &topic->configs);
        } else if (!take_is_later(work, &taken, path)) {
            take_unknown_field(work, &taken, parent, key, settings_of_topic,
                               TOPIC_FIELDS, "config");
        }
    }
}

static void take_topics(struct settings_work *work, const struct value *value)
{
    if (!take_is_map(work, value, "topics",
                     "{ orders = { partitions = 3 } }")) {
        return;
    }
    /* The keys of a table differ: no need to look whether one is there. */
    for (size_t i = 0; i < value->table.count; i++) {
        struct topic_given *topic =
            ARENA_NEW(work->complaints.arena, struct topic_given);

        topic->name = value->table.keys[i].ptr;
        topic->place = value->table.items[i].place;
        topic->next = work->topics;
        work->topics = topic;
        work->topic_count++;
        take_topic(work, topic, &value->table.items[i]);
    }
}

void settings_take_file(struct settings_work *work, const struct value *root)
{
    static const char *const sections[] = {"node", "storage", "defaults",
                                           "limits", "coordinator"};

    for (size_t i = 0; i < root->table.count; i++) {
        struct str key = root->table.keys[i];
        const char *path = take_path(work, "", key);
        struct taken taken = {&root->table.items[i], path, SETTING_FROM_FILE};
        struct setting_given *slot = take_scalar_slot(work, key);
        bool section = false;

        for (size_t j = 0; j < ARRAY_COUNT(sections); j++) {
            section = section || strcmp(path, sections[j]) == 0;
        }
        if (slot != NULL) {
            take_give(work, slot, &taken);
        } else if (section) {
            take_section(work, taken.value, key);
        } else if (strcmp(path, "listeners") == 0) {
            take_listeners(work, taken.value);
        } else if (strcmp(path, "topics") == 0) {
            take_topics(work, taken.value);
        } else if (!take_is_later(work, &taken, path)) {
            take_unknown(work, &taken, "", key);
        }
    }
}

/* "listeners.2.bind": true when it is one of those, also a wrong one. */
static bool take_set_listener(struct settings_work *work, struct str path,
                              const struct taken *taken)
{
    struct str prefix = STR_LIT("listeners.");
    struct setting_given *slot;
    struct str key;
    const char *dot;
    int64_t number;

    if (path.len <= prefix.len ||
        memcmp(path.ptr, prefix.ptr, prefix.len) != 0) {
        return false;
    }
    path = str_sub(path.ptr + prefix.len, path.len - prefix.len);
    dot = memchr(path.ptr, '.', path.len);
    if (dot == NULL ||
        !str_to_i64(str_sub(path.ptr, (size_t)(dot - path.ptr)), &number) ||
        number < 1 || number > SETTINGS_LISTENERS_MAX ||
        (size_t)number > work->listener_count + 1) {
        complaint_add(
            &work->complaints, taken->value->place, taken->path,
            "expected listeners.N.bind, with N from 1 to %zu",
            MIN(work->listener_count + 1, (size_t)SETTINGS_LISTENERS_MAX));
        return true;
    }
    key = str_sub(dot + 1, path.len - (size_t)(dot - path.ptr) - 1);
    slot = take_field(settings_of_listener, LISTENER_FIELDS,
                      work->listeners[number - 1].fields, key);
    if (slot == NULL) {
        if (!take_is_later(work, taken, taken->path)) {
            take_unknown_field(work, taken, "listeners", key,
                               settings_of_listener, LISTENER_FIELDS, NULL);
        }
        return true;
    }
    if ((size_t)number > work->listener_count) {
        work->listener_count = (size_t)number;
        work->listeners[number - 1].place = taken->value->place;
    }
    take_give(work, slot, taken);
    return true;
}

/* "topics.NAME.partitions" or "topics.NAME.config.X", where NAME may hold
 * dots: the end of the path decides. */
static bool take_set_topic(struct settings_work *work, struct str path,
                           const struct taken *taken)
{
    struct str prefix = STR_LIT("topics.");
    struct str infix = STR_LIT(".config.");
    const char *config;

    if (path.len <= prefix.len ||
        memcmp(path.ptr, prefix.ptr, prefix.len) != 0) {
        return false;
    }
    path = str_sub(path.ptr + prefix.len, path.len - prefix.len);
    for (size_t i = 0; i < TOPIC_FIELDS; i++) {
        struct str key = str_of(settings_of_topic[i].path);

        if (path.len > key.len + 1 && path.ptr[path.len - key.len - 1] == '.' &&
            memcmp(path.ptr + path.len - key.len, key.ptr, key.len) == 0) {
            struct str name = str_sub(path.ptr, path.len - key.len - 1);

            take_give(
                work,
                &take_topic_slot(work, name, taken->value->place)->fields[i],
                taken);
            return true;
        }
    }
    config = memmem(path.ptr, path.len, infix.ptr, infix.len);
    if (config != NULL && config > path.ptr) {
        struct str name = str_sub(path.ptr, (size_t)(config - path.ptr));
        struct str key =
            str_sub(config + infix.len, path.len - name.len - infix.len);

        take_config(work,
                    &take_topic_slot(work, name, taken->value->place)->configs,
                    key, taken);
        return true;
    }
    if (!take_is_later(work, taken, taken->path)) {
        complaint_add(&work->complaints, taken->value->place, taken->path,
                      "expected topics.NAME.partitions, .replication_factor, "
                      ".state or .config.KEY");
    }
    return true;
}

/* A path that is no setting: what it may have meant. */
static void take_set_unknown(struct settings_work *work, struct str path,
                             const struct taken *taken)
{
    const char *names[SETTINGS_SCALARS_MAX];
    const char *nearest;

    for (size_t i = 0; i < settings_scalar_count; i++) {
        names[i] = settings_scalars[i].path;
    }
    nearest = complaint_nearest(path, names, settings_scalar_count);
    if (nearest == NULL) {
        nearest = take_elsewhere(path);
    }
    if (nearest == NULL) {
        nearest = settings_kafka_nearest(path);
    }
    complaint_add(&work->complaints, taken->value->place, NULL,
                  nearest == NULL
                      ? "unknown setting \"%.*s\"%s"
                      : "unknown setting \"%.*s\"; did you mean \"%s\"?",
                  STR_ARG(path), nearest == NULL ? "" : nearest);
}

void settings_take_set(struct settings_work *work, const char *set)
{
    static const struct value_place place = {"--set", 0};
    struct arena *arena = work->complaints.arena;
    struct str defaults = STR_LIT("defaults.config.");
    struct str node = STR_LIT("node.config.");
    const char *equal = strchr(set, '=');
    struct value *value = ARENA_NEW(arena, struct value);
    struct taken taken = {value, NULL, SETTING_FROM_SET};
    struct setting_given *slot;
    struct str path;

    if (equal == NULL || equal == set) {
        complaint_add(&work->complaints, place, NULL,
                      "expected PATH=VALUE, got \"%s\"", set);
        return;
    }
    path = arena_str(arena, str_sub(set, (size_t)(equal - set)));
    *value = (struct value){.kind = VALUE_TEXT,
                            .place = place,
                            .text = arena_str(arena, str_of(equal + 1))};
    taken.path = path.ptr;
    slot = take_scalar_slot(work, path);
    if (slot != NULL) {
        take_give(work, slot, &taken);
    } else if (strncmp(path.ptr, defaults.ptr, defaults.len) == 0) {
        take_default_config(work, str_of(path.ptr + defaults.len), &taken);
    } else if (take_set_listener(work, path, &taken) ||
               take_set_topic(work, path, &taken)) {
        return;
    } else {
        if (strncmp(path.ptr, node.ptr, node.len) == 0) {
            path = str_of(path.ptr + node.len);
        }
        if (!take_kafka(work, path, &taken) &&
            !take_is_later(work, &taken, path.ptr)) {
            take_set_unknown(work, path, &taken);
        }
    }
}
