/* controller_logs.c - the logs of this node follow the state.
 *
 * What has to be done for a topic is a job. Opening:
 *   1. controller_logs_start_open(): the job joins the list of openings;
 *   2. controller_logs_open_some(), once a turn: of the jobs in turn, some
 *      partitions each, on the loops that will own them (chosen by the topic's
 *      id and the partition's number);
 *   3. controller_logs_part_done(): all are published (replicas.h), and the
 *      changes that wait for the job are answered.
 * Removing, or closing for a stop:
 *   1. controller_logs_start_remove(): withdrawn, then a fence, so that nobody
 *      finds them any more;
 *   2. controller_logs_close_more(): closed, and removed where they are not
 *      wanted back, some at one time, on their loops;
 *   3. controller_logs_part_done(): whoever waits goes on.
 *
 * Failures. A partition that cannot be opened for want of space or descriptors
 * ends nothing: it is left out of what is published, which clients hear as a
 * storage error to be tried again, and is opened later. Any other error ends
 * the node.
 *
 * Invariants:
 *   1. jobs of one name run one after the other, in the order in which they
 *      were added: `jobs` has the newest, `next` leads to it;
 *   2. `pending` counts a job's parts under way, and one more while the job is
 *      in a list: it is done when that is zero, once;
 *   3. while there are openings, mail to this loop is out or a part is being
 *      opened: the list never waits for nobody. */
#include "cluster/controller_private.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/trace.h"

/* What is left of a removed topic's name: a folder's name has 255 bytes. */
enum { GONE_NAME_BYTES = 200 };

/* Replicas that a loop opens in a turn, about. To open one makes a folder and
 * files, a millisecond of work: other requests go on between. */
enum { OPENING_PER_LOOP = 2 };

/* Replicas that close at one time: at least so many, and twice as many as there
 * are disk threads. Few enough that a stop that runs out of time has sealed
 * most of what it began, and that a sync of the metadata finds no long line. */
enum { CLOSING_MIN = 16 };

/* Until what could not be opened is tried again. */
enum { RETRY_MS = 2000 };

/* One partition of a job, on its owner's loop. */
struct logs_part {
    struct call call;
    struct logs_job *job;
    int32_t partition;
    struct replica *replica;
    char *folder;
    enum err err;
    struct log_recovery report;
    struct why why;
};

static void controller_logs_run(struct logs_job *job);
static void controller_logs_open_more(struct controller *controller);
static void controller_logs_close_more(struct controller *controller);
static void controller_logs_all_closed(struct controller *controller);

static struct loop *controller_logs_loop(const struct controller *controller,
                                         const struct topic *topic,
                                         int32_t partition)
{
    struct loops *loops = controller->options.loops;
    uint32_t first = bytes_get_u32(topic->id.bytes);

    return loops_at(loops, (first + (uint32_t)partition) % loops_count(loops));
}

static struct log_config
controller_logs_config(const struct controller *controller,
                       const struct topic_settings *settings)
{
    return (struct log_config){
        .segment_bytes = settings->segment_bytes,
        .segment_ms = settings->segment_ms,
        .segment_index_bytes = settings->segment_index_bytes,
        .index_interval_bytes = settings->index_interval_bytes,
        .retention_ms = settings->retention_ms,
        .retention_bytes = settings->retention_bytes,
        .file_delete_delay_ms = settings->file_delete_delay_ms,
        .flush_messages = settings->flush_messages,
        .flush_ms = settings->flush_ms,
        .reserve_bytes = (int64_t)controller->options.reserve_bytes,
        .flush_commit = settings->flush == TOPIC_FLUSH_COMMIT,
        .retain = (settings->cleanup_policy & TOPIC_CLEANUP_DELETE) != 0};
}

/* Tells what recovery found, where it found something. */
static void controller_logs_tell(struct controller *controller,
                                 const struct logs_part *part)
{
    const struct log_recovery *report = &part->report;
    const struct topic *topic = part->job->topic;

    if (report->cut_from_offset >= 0) {
        controller->report.cuts++;
        trace(TRACE_WARN,
              "%s-%d: %llu bytes from offset %lld on were not acknowledged and "
              "not whole: moved to a .cut file in %s",
              topic->name.ptr, part->partition,
              (unsigned long long)report->cut_bytes,
              (long long)report->cut_from_offset, part->folder);
    }
    if (report->damaged_offset >= 0) {
        controller->report.damaged++;
        trace(
            TRACE_ERROR,
            "%s-%d: damage at offset %lld: file %s/%s, position %llu; nothing "
            "was cut, the rest is served; tidemark log check %s tells more",
            topic->name.ptr, part->partition, (long long)report->damaged_offset,
            part->folder, report->damaged_file,
            (unsigned long long)report->damaged_position, part->folder);
    }
}

/* All parts are through: whoever waits goes on, and so does the next job of the
 * same name. */
static void controller_logs_finish(struct logs_job *job)
{
    struct controller *controller = job->controller;
    struct logs_job *next = job->next;
    struct list changes;

    job->done = true;
    if (next == NULL) {
        map_remove(&controller->jobs, job->topic->name);
    }
    list_init(&changes);
    list_move(&job->changes, &changes);
    while (!list_is_empty(&changes)) {
        struct controller_change *change =
            container_of(changes.next, struct controller_change, node);

        list_remove(&change->node);
        controller_change_finish(change);
    }
    if (job->finished != NULL) {
        job->finished(controller);
    }
    topic_unref(job->topic);
    mem_free(job->replicas);
    mem_free(job);
    if (next != NULL) {
        controller_logs_run(next);
    } else {
        controller_logs_all_closed(controller);
    }
}

static void controller_logs_part_done(struct logs_job *job)
{
    if (--job->pending > 0) {
        return;
    }
    if (job->want == LOGS_OPEN || job->want == LOGS_RETRY) {
        replicas_publish(job->controller->options.replicas, job->topic->id,
                         job->replicas, job->count);
    }
    controller_logs_finish(job);
}

/* On the owner's loop. */
static void controller_logs_open_part(struct call *call)
{
    struct logs_part *part = container_of(call, struct logs_part, call);
    const struct logs_job *job = part->job;
    const struct controller_options *options = &job->controller->options;
    struct replica_options replica = {
        .loops = options->loops,
        .loop = loop_current(),
        .folder = part->folder,
        .topic = job->topic->name,
        .topic_id = job->topic->id,
        .partition = part->partition,
        .leader_epoch = job->topic->partitions[part->partition].leader_epoch,
        .config =
            controller_logs_config(job->controller, &job->topic->settings),
        .retention_check_ms = options->retention_check_ms,
        .wall = job->controller->wall,
        .producers_max = options->producers_max,
        .clean = quorum_was_clean(job->controller->quorum),
        .failed = options->failed,
        .failed_arg = options->arg};

    part->err =
        replica_open(&replica, &part->replica, &part->report, &part->why);
    call_return(call);
}

/* There was too little of something: it may be there later. */
static void controller_logs_put_off(const struct logs_part *part)
{
    struct controller *controller = part->job->controller;

    if (part->job->want != LOGS_RETRY) {
        trace(TRACE_WARN, "%s; it is not served, and is tried again",
              part->why.text);
    }
    if (!controller->retries && !controller->closing) {
        controller->retries = true;
        env_timer_set(controller->env, &controller->retry, RETRY_MS);
    }
}

static void controller_logs_opened_part(struct call *call)
{
    struct logs_part *part = container_of(call, struct logs_part, call);
    struct logs_job *job = part->job;
    struct controller *controller = job->controller;

    if (part->err != ERR_NONE) {
        why_wrap(&part->why, part->err, "could not open partition \"%s-%d\"",
                 job->topic->name.ptr, part->partition);
        if (file_err_passes(part->err)) {
            controller_logs_put_off(part);
        } else {
            controller->options.failed(controller->options.arg, &part->why);
        }
    } else {
        job->replicas[part->partition] = part->replica;
        controller->open_count++;
        controller_logs_tell(controller, part);
    }
    mem_free(part->folder);
    mem_free(part);
    controller->opening_count--;
    controller_logs_open_more(controller);
    controller_logs_part_done(job);
}

static void controller_logs_start_part(struct logs_job *job, int32_t partition)
{
    struct controller *controller = job->controller;
    struct logs_part *part = MEM_NEW(struct logs_part);

    part->call.run = controller_logs_open_part;
    part->call.done = controller_logs_opened_part;
    part->job = job;
    part->partition = partition;
    part->folder = mem_printf("%s/%s-%d", controller->log_folder,
                              job->topic->name.ptr, (int)partition);
    job->pending++;
    controller->opening_count++;
    call_start(&part->call,
               controller_logs_loop(controller, job->topic, partition));
}

/* The next of those that have replicas left, in turn, so that a small topic
 * does not wait for a large one; NULL: nobody has. A job that has none left is
 * out of the list, and done when its parts are. */
static struct logs_job *controller_logs_next(struct list *jobs)
{
    struct list *node;

    while ((node = list_pop(jobs)) != NULL) {
        struct logs_job *job = container_of(node, struct logs_job, node);

        if (job->next_replica < job->count) {
            list_push(jobs, node);
            return job;
        }
        controller_logs_part_done(job);
    }
    return NULL;
}

static uint32_t controller_logs_openings_max(const struct controller *c)
{
    return OPENING_PER_LOOP * loops_count(c->options.loops);
}

/* What this turn opens. The parts of this loop are open when they are started:
 * they would be all in one turn. */
static void controller_logs_open_some(struct mail *mail)
{
    struct controller *controller =
        container_of(mail, struct controller, opening_mail);
    uint32_t most = controller_logs_openings_max(controller);
    struct logs_job *job;

    controller->opening_mailed = false;
    for (uint32_t i = 0;
         i < most && controller->opening_count < most &&
         (job = controller_logs_next(&controller->openings)) != NULL;
         i++) {
        int32_t at = job->next_replica++;

        if (job->replicas[at] == NULL) {
            controller_logs_start_part(job, at);
        }
    }
    controller_logs_open_more(controller);
}

/* The next turn opens more, if there is more: mail to itself comes when the
 * loop has looked at its sockets. */
static void controller_logs_open_more(struct controller *controller)
{
    if (controller->opening_mailed || list_is_empty(&controller->openings) ||
        controller->opening_count >= controller_logs_openings_max(controller)) {
        return;
    }
    controller->opening_mailed = true;
    controller->opening_mail.deliver = controller_logs_open_some;
    mail_send(controller_loop(controller), &controller->opening_mail);
}

static void controller_logs_start_open(struct logs_job *job)
{
    job->count = job->topic->partitions_count;
    job->replicas = mem_zalloc((size_t)job->count * sizeof(*job->replicas));
    for (int32_t i = 0; i < job->count; i++) { /* of an earlier job */
        job->replicas[i] =
            replicas_find(job->controller->options.replicas, job->topic->id, i);
    }
    job->pending = 1; /* as long as it is in the list */
    list_push(&job->controller->openings, &job->node);
    controller_logs_open_more(job->controller);
}

static void controller_logs_part_closed(void *arg)
{
    struct logs_part *part = arg;

    call_return(&part->call);
}

/* On the owner's loop. */
static void controller_logs_close_part(struct call *call)
{
    struct logs_part *part = container_of(call, struct logs_part, call);

    replica_close(part->replica, part->job->want == LOGS_REMOVE,
                  controller_logs_part_closed, part);
}

static void controller_logs_closed_part(struct call *call)
{
    struct logs_part *part = container_of(call, struct logs_part, call);
    struct logs_job *job = part->job;

    mem_free(part);
    job->controller->closing_count--;
    job->controller->open_count--;
    controller_logs_close_more(job->controller);
    controller_logs_part_done(job);
}

static void controller_logs_start_close(struct logs_job *job,
                                        struct replica *replica)
{
    struct logs_part *part = MEM_NEW(struct logs_part);

    part->call.run = controller_logs_close_part;
    part->call.done = controller_logs_closed_part;
    part->job = job;
    part->replica = replica;
    job->pending++;
    job->controller->closing_count++;
    call_start(&part->call, replica_loop(replica));
}

/* A folder that is renamed, and what is in it. */
struct logs_gone {
    struct work work;
    struct logs_job *job;
    char *from;
    char *to;
};

static void controller_logs_remove_file(void *arg, const char *name,
                                        bool is_folder)
{
    const struct logs_gone *gone = arg;
    struct disk *disk = gone->job->controller->env->disk;

    if (!is_folder) {
        char *path = mem_printf("%s/%s", gone->to, name);
        enum err err = disk_remove(disk, path, NULL);

        (void)err; /* the next start removes what stays */
        mem_free(path);
    }
}

/* On a disk thread: under another name first, so that a crash does not leave
 * half a partition behind. */
static void controller_logs_remove_folder(struct work *work)
{
    struct logs_gone *gone = container_of(work, struct logs_gone, work);
    struct disk *disk = gone->job->controller->env->disk;
    struct why why = {""};
    enum err err = disk_rename(disk, gone->from, gone->to, &why);

    if (err == ERR_NOT_FOUND) {
        return; /* it was not even made */
    }
    if (err == ERR_NONE) {
        err = disk_sync_parent(disk, gone->to, &why);
    }
    if (err == ERR_NONE) {
        err =
            disk_list(disk, gone->to, controller_logs_remove_file, gone, &why);
    }
    if (err == ERR_NONE) {
        err = disk_remove_folder(disk, gone->to, &why);
    }
    if (err != ERR_NONE) {
        trace(TRACE_WARN, "a deleted topic's folder stays: %s", why.text);
    }
}

static void controller_logs_folder_removed(struct work *work)
{
    struct logs_gone *gone = container_of(work, struct logs_gone, work);
    struct logs_job *job = gone->job;

    mem_free(gone->from);
    mem_free(gone->to);
    mem_free(gone);
    controller_logs_part_done(job);
}

/* The folder of a partition that could not be opened: no log removes it. */
static void controller_logs_forget(struct logs_job *job, int32_t partition)
{
    struct controller *controller = job->controller;
    struct logs_gone *gone = MEM_NEW(struct logs_gone);
    char id[UUID_TEXT_BYTES];

    uuid_text(job->topic->id, id);
    gone->job = job;
    gone->from = mem_printf("%s/%s-%d", controller->log_folder,
                            job->topic->name.ptr, partition);
    gone->to =
        mem_printf("%s/%.*s-%d.%s-delete", controller->log_folder,
                   (int)GONE_NAME_BYTES, job->topic->name.ptr, partition, id);
    gone->work.run = controller_logs_remove_folder;
    gone->work.done = controller_logs_folder_removed;
    gone->work.key = (uint64_t)(uintptr_t)gone;
    job->pending++;
    env_work(controller->env, &gone->work);
}

/* A log that closes opens files: all at once would be more than the system
 * gives. */
static void controller_logs_close_more(struct controller *controller)
{
    uint32_t most = MAX(CLOSING_MIN, 2 * controller->options.disk_threads);
    struct logs_job *job;

    while (controller->closing_count < most &&
           (job = controller_logs_next(&controller->closings)) != NULL) {
        int32_t at = job->next_replica++;

        if (job->replicas[at] != NULL) {
            controller_logs_start_close(job, job->replicas[at]);
        } else if (job->want == LOGS_REMOVE) {
            controller_logs_forget(job, at);
        }
    }
}

/* Nobody can find the replicas any more. */
static void controller_logs_withdrawn(struct env_fence *fence)
{
    struct logs_job *job = container_of(fence, struct logs_job, fence);

    job->pending = 1; /* as long as it is in the list */
    list_push(&job->controller->closings, &job->node);
    controller_logs_close_more(job->controller);
}

static void controller_logs_start_remove(struct logs_job *job)
{
    struct controller *controller = job->controller;

    job->count = replicas_withdraw(controller->options.replicas, job->topic->id,
                                   &job->replicas);
    job->fence.done = controller_logs_withdrawn;
    env_fence(controller->env, &job->fence);
}

static void controller_logs_run(struct logs_job *job)
{
    if (job->want == LOGS_OPEN || job->want == LOGS_RETRY) {
        controller_logs_start_open(job);
    } else {
        controller_logs_start_remove(job);
    }
}

/* A job that ends at once is gone when this returns: then NULL. */
static struct logs_job *controller_logs_add(struct controller *controller,
                                            struct topic *topic,
                                            enum logs_want want)
{
    struct logs_job *job = MEM_NEW(struct logs_job);
    struct logs_job *before;

    job->controller = controller;
    job->topic = topic_ref(topic);
    job->want = want;
    list_init(&job->changes);
    list_init(&job->node);
    before = map_put(&controller->jobs, topic->name, job);
    if (before != NULL) {
        before->next = job;
        return job;
    }
    controller_logs_run(job);
    return map_find(&controller->jobs, topic->name);
}

/* Whether a partition of the topic was published as not open. */
static bool controller_logs_lacks(const struct controller *controller,
                                  const struct topic *topic)
{
    const struct replicas *replicas = controller->options.replicas;
    bool lacks = false;

    for (int32_t i = 0; i < topic->partitions_count && !lacks; i++) {
        lacks = replicas_find(replicas, topic->id, i) == NULL;
    }
    return lacks && replicas_has(replicas, topic->id);
}

static void controller_logs_retry(struct env_timer *timer)
{
    struct controller *controller =
        container_of(timer, struct controller, retry);
    struct topic *topic;
    size_t at = 0;

    controller->retries = false;
    while (topics_next(&meta_state(controller->meta)->topics, &at, &topic)) {
        if (controller_logs_lacks(controller, topic)) {
            (void)controller_logs_add(controller, topic, LOGS_RETRY);
        }
    }
}

void controller_logs_init(struct controller *controller)
{
    list_init(&controller->openings);
    list_init(&controller->closings);
    controller->retry.fire = controller_logs_retry;
}

struct logs_job *controller_logs_open(struct controller *controller,
                                      struct topic *topic)
{
    return controller_logs_add(controller, topic, LOGS_OPEN);
}

struct logs_job *controller_logs_remove(struct controller *controller,
                                        struct topic *topic)
{
    return controller_logs_add(controller, topic, LOGS_REMOVE);
}

/* A close goes on when no job is left, whatever the last one was for. */
static void controller_logs_all_closed(struct controller *controller)
{
    if (controller->logs_closed != NULL && map_count(&controller->jobs) == 0) {
        void (*finished)(struct controller *) = controller->logs_closed;

        controller->logs_closed = NULL;
        finished(controller);
    }
}

void controller_logs_close_all(struct controller *controller,
                               void (*finished)(struct controller *))
{
    struct topic *topic;
    size_t at = 0;

    env_timer_stop(controller->env, &controller->retry);
    controller->logs_closed = finished;
    while (controller->opened &&
           topics_next(&meta_state(controller->meta)->topics, &at, &topic)) {
        (void)controller_logs_add(controller, topic, LOGS_CLOSE);
    }
    controller_logs_all_closed(controller);
}
