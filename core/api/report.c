/* report.c - what is it doing?
 *
 * Nothing is gathered for these lines while requests run: net/ has the list of
 * what is not answered, and a request knows its name, its client and its step.
 * Only the microseconds of steps cost two reads of a clock, and are taken when
 * limits.slow_request is set (dispatch.c).
 *
 * Both kinds of lines are bounded: a client that asks for slow requests, or has
 * thousands of them, may not keep loops busy with writing to a terminal. */
#include "api/report.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLOW_LINES_A_SECOND = 20, /* of one loop */
    RUNNING_LINES_MAX = 100,  /* of one loop */
    STEPS_BYTES = 256,
    NAME_BYTES = 160,
};

/* "Fetch version 11 of \"ada\" at 127.0.0.1:53422"; a client's name is cut. */
static void report_name(const struct api_request *r, char *text, size_t bytes)
{
    const struct api_info *info = api_find(r->key);

    snprintf(text, bytes, "%s version %d of \"%.*s\" at %s",
             info == NULL ? "a request" : info->name, r->version,
             (int)MIN(r->client_id.len, (size_t)64), r->client_id.ptr,
             conn_peer(r->request->conn));
}

/* ": check 12 us, append 1203 us"; nothing for a request without steps. */
static void report_steps(const struct flow *flow, char *text, size_t bytes)
{
    size_t at = 0;

    text[0] = '\0';
    for (uint8_t i = 0; i < flow->count && at < bytes; i++) {
        at += (size_t)snprintf(text + at, bytes - at, "%s %s %llu us",
                               i == 0 ? ":" : ",", flow->steps[i].name,
                               (unsigned long long)flow->times->us[i]);
    }
}

void report_answered(void *arg, struct request *request)
{
    struct api *api = arg;
    struct api_request *r = request->context;
    int64_t us = flow_book_until_now(&r->flow);
    struct loop *loop = conn_loop(request->conn);
    char name[NAME_BYTES];
    char steps[STEPS_BYTES];

    if (us < api->options.slow_request_ms * 1000) {
        return;
    }
    report_name(r, name, sizeof(name));
    report_steps(&r->flow, steps, sizeof(steps));
    trace_gated(&api->gates[loop_index(loop)].slow, env_now_ms(loop_env(loop)),
                SLOW_LINES_A_SECOND, "slow: %s took %lld us%s", name,
                (long long)us, steps);
}

static int report_by_age(const void *a, const void *b)
{
    const struct request *left = *(struct request *const *)a;
    const struct request *right = *(struct request *const *)b;

    return (left->begun_ms > right->begun_ms) -
           (left->begun_ms < right->begun_ms);
}

static void report_one(const struct request *request, int64_t now_ms)
{
    const struct api_request *r = request->context;
    const char *step = flow_step_name(&r->flow);
    char name[NAME_BYTES];

    report_name(r, name, sizeof(name));
    trace(TRACE_INFO, "runs: %s: %s%s since %lld ms", name,
          step == NULL ? "waits" : "in step ", step == NULL ? "" : step,
          (long long)(now_ms - request->begun_ms));
}

static void report_visit(void *arg, struct request **running, size_t count)
{
    struct loop *loop = loop_current();

    (void)arg;
    qsort(running, count, sizeof(*running), report_by_age);
    trace(TRACE_INFO, "runs: %zu requests on loop %u%s", count,
          loop_index(loop), count > RUNNING_LINES_MAX ? ", the oldest:" : "");
    for (size_t i = 0; i < MIN(count, (size_t)RUNNING_LINES_MAX); i++) {
        report_one(running[i], env_now_ms(loop_env(loop)));
    }
}

void report_running(struct api *api, struct net *net)
{
    trace(TRACE_INFO, "runs: %u connections on %u loops", net_connections(net),
          loops_count(api->options.loops));
    net_visit(net, report_visit, api);
}
