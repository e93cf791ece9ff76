/* controller_strays.c - folders of partitions that belong to nobody.
 *
 * A folder is at home where the topic of the id that it holds lives under its
 * name. Others are left from another cluster, or from a meta.db that was put
 * back to an older one: nothing here deletes what it does not know, so they are
 * renamed, and somebody can look at them. Once, at start, before any log is
 * opened. */
#include "cluster/controller_private.h"

#include "base/mem.h"
#include "base/trace.h"
#include "log/names.h"

/* What is left of a stray's name: a folder's name has 255 bytes. */
enum { STRAY_NAME_BYTES = 210 };

/* The folder's topic id, as its partition.metadata says; false: none. */
static bool controller_strays_read_id(struct controller *controller,
                                      const char *folder, struct uuid *id)
{
    char *path =
        mem_printf("%s/%s/%s", controller->log_folder, folder, NAMES_METADATA);
    char *text = NULL;
    size_t bytes;
    bool found = false;

    if (disk_read_all(controller->env->disk, path, 4096, &text, &bytes, NULL) ==
        ERR_NONE) {
        const char *at = strstr(text, "topic_id: ");

        found = at != NULL && strlen(at) >= 10 + UUID_TEXT_BYTES - 1 &&
                uuid_parse(str_sub(at + 10, UUID_TEXT_BYTES - 1), id);
    }
    mem_free(text);
    mem_free(path);
    return found;
}

struct controller_strays {
    struct controller *controller;
    enum err err;
    struct why *why;
};

/* "orders-3.1700000000000.0-stray", the name cut to what a folder's may have.
 */
static char *controller_strays_name(const struct controller *controller,
                                    const char *name)
{
    return mem_printf("%s/%.*s.%lld.%d-stray", controller->log_folder,
                      (int)STRAY_NAME_BYTES, name,
                      (long long)env_wall_ms(controller->env),
                      controller->report.strays);
}

/* A folder is at home where its topic lives under its name; one that was being
 * deleted is finished by the log floor; anything else is kept, aside. */
static void controller_strays_look_at(void *arg, const char *name,
                                      bool is_folder)
{
    struct controller_strays *strays = arg;
    struct controller *controller = strays->controller;
    const struct topics *topics = &meta_state(controller->meta)->topics;
    const char *dash = strrchr(name, '-');
    struct uuid id;
    struct topic *topic;
    char *from;
    char *to;

    if (!is_folder || dash == NULL || strays->err != ERR_NONE ||
        names_ends_with(name, "-delete") || names_ends_with(name, "-stray")) {
        return;
    }
    /* A folder that cannot tell whose it is belongs to its name. */
    topic = controller_strays_read_id(controller, name, &id)
                ? topics_find_id(topics, id)
                : topics_find(topics, str_sub(name, (size_t)(dash - name)));
    if (topic != NULL &&
        str_eq(topic->name, str_sub(name, (size_t)(dash - name)))) {
        return;
    }
    from = mem_printf("%s/%s", controller->log_folder, name);
    to = controller_strays_name(controller, name);
    strays->err = disk_rename(controller->env->disk, from, to, strays->why);
    if (strays->err == ERR_NONE) {
        trace(TRACE_WARN,
              "%s belongs to no topic of this cluster: set aside as %s; remove "
              "it if you do not need it",
              from, to);
        controller->report.strays++;
    }
    mem_free(from);
    mem_free(to);
}

enum err controller_strays_set_aside(struct controller *controller,
                                     struct why *why)
{
    struct controller_strays strays = {.controller = controller, .why = why};
    struct disk *disk = controller->env->disk;
    enum err err = log_sweep(disk, controller->log_folder, why);

    if (err == ERR_NONE) {
        err = disk_list(disk, controller->log_folder, controller_strays_look_at,
                        &strays, why);
    }
    if (err == ERR_NONE && strays.err == ERR_NONE &&
        controller->report.strays > 0) {
        err = disk_sync_folder(disk, controller->log_folder, why);
    }
    return err != ERR_NONE ? err : strays.err;
}
