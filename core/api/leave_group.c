/* leave_group.c - the LeaveGroup request (api key 13).
 *
 * One member until version 2, many from version 3 on; those fail one by one. An
 * operator takes a static member out by its instance id alone.
 *
 * Source: KIP-345, KIP-800; behaviours 2. */
#include "api/ask.h"
#include "api/dispatch.h"
#include "wire/leave_group.h"

struct leave_group {
    struct api_request *r;
    struct coordinator_leave leave;
};

static void leave_group_done(struct coordinator_ask *ask)
{
    struct coordinator_leave *leave =
        container_of(ask, struct coordinator_leave, ask);
    struct api_request *r = container_of(leave, struct leave_group, leave)->r;
    struct leave_group_response response;
    enum err err = ask->err;

    leave_group_response_init(&response);
    if (err == ERR_NONE && r->version < 3) {
        err = leave->members[0].err;
    }
    response.error_code = err_wire(err);
    if (err == ERR_NONE && r->version >= 3) {
        response.members_count = leave->members_count;
    }
    response.members = arena_array(r->arena, (size_t)response.members_count,
                                   sizeof(*response.members));
    for (int32_t i = 0; i < response.members_count; i++) {
        response.members[i] = (struct leave_group_response_member){
            .member_id = leave->members[i].member_id,
            .group_instance_id = leave->members[i].instance_id,
            .error_code = err_wire(leave->members[i].err)};
    }
    leave_group_response_encode(api_answer_begin(r, 64), r->version, &response);
    api_answer_end(r);
}

static void leave_group_fill(const struct api_request *r,
                             const struct leave_group_request *body,
                             struct coordinator_leave *leave)
{
    leave->members_count = r->version < 3 ? 1 : MAX(body->members_count, 0);
    leave->members = arena_array(r->arena, (size_t)leave->members_count,
                                 sizeof(*leave->members));
    if (r->version < 3) {
        leave->members[0].member_id = body->member_id;
        leave->members[0].instance_id = STR_NULL;
        return;
    }
    for (int32_t i = 0; i < leave->members_count; i++) {
        leave->members[i].member_id = body->members[i].member_id;
        leave->members[i].instance_id = body->members[i].group_instance_id;
    }
}

void handle_leave_group(struct api_request *r)
{
    struct leave_group *l = ARENA_NEW(r->arena, struct leave_group);
    struct leave_group_request body;

    leave_group_request_init(&body);
    leave_group_request_decode(&r->body, r->arena, r->version, &body);
    if (!api_decoded(r)) {
        return;
    }
    l->r = r;
    l->leave.ask = ask_make(r, body.group_id, leave_group_done);
    leave_group_fill(r, &body, &l->leave);
    coordinator_leave(&l->leave);
}
