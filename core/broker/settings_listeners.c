/* settings_listeners.c - where to listen, and whether that is safe.
 *
 * Without any listener: loopback, IPv4 and, where the machine has it, IPv6. A
 * listener beyond loopback has no authentication in this version, so somebody
 * must say that this is meant. */
#include "broker/settings_private.h"
#include <arpa/inet.h>
#include <netinet/in.h>

enum { LISTENER_PORT_DEFAULT = 9092 };

/* Whether text is an IP address; *loopback: one that only this machine
 * reaches; *any: one that means all of the machine's. */
static bool listener_is_address(const char *text, bool *loopback, bool *any)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        *loopback = (ntohl(v4.s_addr) >> 24) == 127;
        *any = v4.s_addr == htonl(INADDR_ANY);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6) == 1) {
        *loopback = IN6_IS_ADDR_LOOPBACK(&v6);
        *any = IN6_IS_ADDR_UNSPECIFIED(&v6);
        return true;
    }
    return false;
}

static const char *listener_path(struct settings_work *work, size_t index,
                                 const char *field)
{
    return arena_printf(work->complaints.arena, "listeners.%zu%s%s", index + 1,
                        field[0] == '\0' ? "" : ".", field)
        .ptr;
}

static void listener_check_bind(struct settings_work *work, size_t index,
                                struct settings_listener *out)
{
    struct listener_given *given = &work->listeners[index];
    const struct setting_given *bind = &given->fields[LISTENER_BIND];
    struct str text = str_of(given->bind);
    bool takes_free =
        text.len > 2 &&
        str_eq(str_sub(text.ptr + text.len - 2, 2), STR_LIT(":0"));
    bool any = false;

    text.len -= takes_free ? 2 : 0;
    if (!settings_address(&work->out->arena, text, &out->bind_host,
                          &out->bind_port) ||
        (out->bind_port == 0) != takes_free) {
        out->bind_host = NULL;
    } else if (strcmp(out->bind_host, "localhost") == 0) {
        out->bind_host = "127.0.0.1";
    }
    if (out->bind_host == NULL ||
        !listener_is_address(out->bind_host, &out->loopback, &any)) {
        out->bind_host = NULL;
        complaint_add(&work->complaints, bind->value->place, bind->path,
                      "expected an address and port such as "
                      "\"127.0.0.1:9092\" or \"[::1]:9092\", got \"%s\"",
                      given->bind);
        return;
    }
    if (!out->loopback && !given->allow_insecure &&
        !work->out->allow_insecure) {
        complaint_add(&work->complaints, bind->value->place, bind->path,
                      "listener %s has no authentication; whoever reaches it "
                      "can read and write everything. Bind 127.0.0.1:%u, or "
                      "say allow_insecure = true in this listener if that is "
                      "meant",
                      given->bind, out->bind_port);
    }
}

static void listener_check_advertise(struct settings_work *work, size_t index,
                                     struct settings_listener *out)
{
    struct listener_given *given = &work->listeners[index];
    const struct setting_given *field = &given->fields[LISTENER_ADVERTISE];
    bool loopback;
    bool any = false;

    if (given->advertise[0] == '\0') {
        return;
    }
    if (!settings_address(&work->out->arena, str_of(given->advertise),
                          &out->advertise_host, &out->advertise_port)) {
        complaint_add(&work->complaints, field->value->place, field->path,
                      "expected a name and port such as "
                      "\"broker1.example:9092\", got \"%s\"",
                      given->advertise);
        return;
    }
    if (out->advertise_port == 0) {
        out->advertise_port = out->bind_port;
    }
    if (listener_is_address(out->advertise_host, &loopback, &any) && any) {
        complaint_add(&work->complaints, field->value->place, field->path,
                      "no client can connect to %s: give the address that "
                      "they reach this machine by",
                      out->advertise_host);
    }
}

static void listener_check_name(struct settings_work *work, size_t index)
{
    struct listener_given *given = &work->listeners[index];
    const struct setting_given *field = &given->fields[LISTENER_NAME];

    if (field->source == SETTING_NOT_GIVEN) {
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (work->listeners[i].name != NULL &&
            strcmp(work->listeners[i].name, given->name) == 0) {
            complaint_add(&work->complaints, field->value->place, field->path,
                          "listeners %zu and %zu are both called \"%s\"", i + 1,
                          index + 1, given->name);
        }
    }
}

static void listener_check(struct settings_work *work, size_t index,
                           struct settings_listener *out)
{
    struct listener_given *given = &work->listeners[index];
    bool good = true;

    for (size_t i = 0; i < LISTENER_FIELDS; i++) {
        if (i != LISTENER_BIND) {
            good = settings_store(work, &settings_of_listener[i],
                                  &given->fields[i], given) &&
                   good;
        }
    }
    if (given->fields[LISTENER_BIND].source == SETTING_NOT_GIVEN) {
        complaint_add_missing(
            &work->complaints, given->place, listener_path(work, index, "bind"),
            "is missing; it could be \"127.0.0.1:%d\"", LISTENER_PORT_DEFAULT);
        return;
    }
    if (!settings_store(work, &settings_of_listener[LISTENER_BIND],
                        &given->fields[LISTENER_BIND], given) ||
        !good) {
        return;
    }
    out->name = given->name;
    listener_check_name(work, index);
    listener_check_bind(work, index, out);
    listener_check_advertise(work, index, out);
}

static void listener_check_twice(struct settings_work *work)
{
    struct settings *out = work->out;

    for (size_t i = 0; i < out->listener_count; i++) {
        for (size_t j = 0; j < i; j++) {
            struct settings_listener *a = &out->listeners[i];
            struct settings_listener *b = &out->listeners[j];

            if (a->bind_host == NULL || b->bind_host == NULL ||
                a->bind_port != b->bind_port || a->bind_port == 0 ||
                strcmp(a->bind_host, b->bind_host) != 0) {
                continue;
            }
            complaint_add(&work->complaints,
                          work->listeners[i].fields[LISTENER_BIND].value->place,
                          work->listeners[i].fields[LISTENER_BIND].path,
                          "listener %zu binds %s as well", j + 1,
                          work->listeners[j].bind);
        }
    }
}

static void listener_defaults(struct settings *out)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    out->listener_count = ARRAY_COUNT(hosts);
    out->listeners =
        arena_array(&out->arena, out->listener_count, sizeof(*out->listeners));
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        out->listeners[i] = (struct settings_listener){
            .name = settings_of_listener[LISTENER_NAME].initial,
            .bind_host = hosts[i],
            .bind_port = LISTENER_PORT_DEFAULT,
            .loopback = true,
            .optional = i > 0,
        };
    }
}

void settings_check_listeners(struct settings_work *work)
{
    struct settings *out = work->out;

    if (work->listener_count == 0) {
        listener_defaults(out);
        return;
    }
    out->listener_count = work->listener_count;
    out->listeners =
        arena_array(&out->arena, out->listener_count, sizeof(*out->listeners));
    for (size_t i = 0; i < out->listener_count; i++) {
        listener_check(work, i, &out->listeners[i]);
    }
    listener_check_twice(work);
}
