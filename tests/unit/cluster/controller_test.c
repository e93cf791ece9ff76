/* The metadata of a node on real loops and a real disk: how it comes up, what
 * follows from a change, and what a restart finds. */
#include "unit/cluster/loops_world.h"

#include "base/mem.h"
#include "base/trace.h"
#include "cluster/topic_create.h"

#include <dirent.h>
#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>

struct node {
    struct loops_world world;
    struct replicas *replicas;
    struct controller *controller;
    struct controller_options options;
    struct controller_report report;
    struct broker_listener listener;
    struct errand *booting;
    struct errand *closing;
    _Atomic int failures;
    struct why why;
};

static void node_failed(void *arg, const struct why *why)
{
    struct node *node = arg;

    node->why = *why;
    if (atomic_fetch_add(&node->failures, 1) == 0 && node->booting != NULL) {
        errand_end(node->booting);
        node->booting = NULL;
    }
}

static void node_ready(void *arg, const struct controller_report *report)
{
    struct node *node = arg;

    node->report = *report;
    errand_end(node->booting);
    node->booting = NULL;
}

static void node_do_boot(struct errand *errand)
{
    struct node *node = errand->arg;

    node->booting = errand;
    node->replicas = replicas_open(loop_env(loop_current()));
    node->options.replicas = node->replicas;
    must(controller_open(&node->options, node_ready, &node->controller,
                         &node->why) == ERR_NONE);
}

static void node_init(struct node *node, unsigned loops)
{
    *node = (struct node){.listener = {.name = STR_LIT("PLAINTEXT"),
                                       .host = STR_LIT("127.0.0.1"),
                                       .port = 9092},
                          .options = {.node_id = 1,
                                      .listeners_count = 1,
                                      .retention_check_ms = 300000,
                                      .partitions_max = 10000,
                                      .failed = node_failed}};
    loops_world_open(&node->world, loops);
    node->options.loops = node->world.loops;
    node->options.data_folder = node->world.folder;
    node->options.listeners = &node->listener;
    node->options.arg = node;
    topic_settings_init(&node->options.topic_defaults);
}

static void node_boot(struct node *node)
{
    loops_world_do(&node->world, 0, node_do_boot, node);
    if (atomic_load(&node->failures) > 0) {
        fail_msg("%s", node->why.text);
    }
}

static void node_open(struct node *node, unsigned loops)
{
    node_init(node, loops);
    node_boot(node);
}

static void node_controller_closed(void *arg)
{
    struct node *node = arg;

    replicas_close(node->replicas, errand_end, node->closing);
}

static void node_do_close(struct errand *errand)
{
    struct node *node = errand->arg;

    node->closing = errand;
    controller_close(node->controller, node_controller_closed, node);
}

static void node_shut(struct node *node)
{
    loops_world_do(&node->world, 0, node_do_close, node);
    assert_int_equal(atomic_load(&node->failures), 0);
}

static void node_close(struct node *node)
{
    node_shut(node);
    loops_world_close(&node->world);
}

/* ---- changes ---- */

struct one_create {
    struct topic_create create;
    struct topic_create_spec spec;
    struct errand errand;
    enum err err;
    struct uuid id;
    bool found; /* on the loop that asked, when it was answered */
    struct node *node;
};

static void create_done(struct controller_change *change)
{
    struct one_create *c =
        container_of(change, struct one_create, create.change);
    int32_t last = change->command.create_topic.partitions_count - 1;

    c->err = change->err;
    c->id = c->create.topic_id;
    c->found = image_find_topic(controller_image(c->node->controller),
                                c->spec.name) != NULL &&
               replicas_find(c->node->replicas, c->id, last) != NULL;
    controller_change_end(change);
    errand_end(&c->errand);
}

static void create_run(struct errand *errand)
{
    struct one_create *c = errand->arg;

    topic_create_start(&c->create, loop_env(loop_current()));
}

static void create_fill(struct node *node, struct one_create *c,
                        const char *name, int32_t partitions)
{
    *c = (struct one_create){.node = node};
    c->spec = (struct topic_create_spec){.name = str_of(name),
                                         .partitions = partitions,
                                         .replication_factor = -1,
                                         .source = "client"};
    c->create.spec = &c->spec;
    c->create.defaults = (struct topic_create_defaults){
        .partitions = 1, .replication_factor = -1, .partitions_max = 1000};
    c->create.change.controller = node->controller;
    c->create.change.done = create_done;
}

static void create_start(struct node *node, struct one_create *c, unsigned loop,
                         const char *name, int32_t partitions)
{
    create_fill(node, c, name, partitions);
    errand_start(&node->world, loop, &c->errand, create_run, c);
}

static enum err create(struct node *node, unsigned loop, const char *name,
                       int32_t partitions, struct uuid *id)
{
    struct one_create c;

    create_start(node, &c, loop, name, partitions);
    errand_wait(&c.errand);
    if (id != NULL) {
        *id = c.id;
    }
    assert_int_equal(c.found, c.err == ERR_NONE);
    return c.err;
}

struct one_delete {
    struct controller_change change;
    struct errand errand;
    enum err err;
    struct uuid id;
};

static void delete_done(struct controller_change *change)
{
    struct one_delete *d = container_of(change, struct one_delete, change);

    d->err = change->err;
    controller_change_end(change);
    errand_end(&d->errand);
}

static void delete_run(struct errand *errand)
{
    struct one_delete *d = errand->arg;

    d->change.command =
        (struct command){.type = COMMAND_DELETE_TOPIC,
                         .delete_topic = {.topic_id = d->id, .at_ms = 1}};
    controller_change(&d->change);
}

static void delete_start(struct node *node, struct one_delete *d, unsigned loop,
                         struct uuid id)
{
    *d = (struct one_delete){.id = id};
    d->change.controller = node->controller;
    d->change.done = delete_done;
    errand_start(&node->world, loop, &d->errand, delete_run, d);
}

static enum err delete_topic(struct node *node, unsigned loop, struct uuid id)
{
    struct one_delete d;

    delete_start(node, &d, loop, id);
    errand_wait(&d.errand);
    return d.err;
}

struct one_append {
    struct replica_append append;
    struct errand errand;
    struct arena arena;
};

static void append_done(struct replica_append *append)
{
    errand_end(&container_of(append, struct one_append, append)->errand);
}

static void append_run(struct errand *errand)
{
    replica_append(&((struct one_append *)errand->arg)->append);
}

/* Two records into a partition; gives their first offset. */
static int64_t append(struct node *node, struct uuid id, int32_t partition)
{
    struct one_append a = {.append = {.acks = -1, .timeout_ms = 30000}};
    struct str batch = loops_world_batch(&a.arena, 2, -1);

    a.append.replica = replicas_find(node->replicas, id, partition);
    assert_non_null(a.append.replica);
    a.append.batch = (uint8_t *)(uintptr_t)batch.ptr;
    a.append.bytes = (uint32_t)batch.len;
    a.append.done = append_done;
    errand_start(&node->world, 0, &a.errand, append_run, &a);
    errand_wait(&a.errand);
    arena_reset(&a.arena);
    assert_int_equal(a.append.err, ERR_NONE);
    return a.append.base_offset;
}

/* ---- looking ---- */

struct looks {
    struct node *node;
    char cluster_id[CLUSTER_ID_BYTES + 1];
    int32_t brokers;
    int64_t topics;
    int32_t coordinators; /* slots of this node */
};

static void look_run(struct errand *errand)
{
    struct looks *looks = errand->arg;
    const struct image *image = controller_image(looks->node->controller);

    memcpy(looks->cluster_id, image->cluster_id, sizeof(looks->cluster_id));
    looks->brokers = image->brokers == NULL ? 0 : image->brokers->count;
    looks->topics = image->topics_count;
    looks->coordinators = 0;
    for (int32_t i = 0; i < COORDINATOR_SLOTS; i++) {
        looks->coordinators +=
            image->coordinators[i].broker_id == looks->node->options.node_id;
    }
    errand_end(errand);
}

static struct looks look(struct node *node, unsigned loop)
{
    struct looks looks = {.node = node};

    loops_world_do(&node->world, loop, look_run, &looks);
    return looks;
}

/* Names in the folder of logs that end so. */
static int count_ending(struct node *node, const char *end)
{
    char path[FIXTURE_PATH_BYTES + 8];
    struct dirent *entry;
    DIR *folder;
    int count = 0;

    snprintf(path, sizeof(path), "%s/log", node->world.folder);
    folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        size_t bytes = strlen(entry->d_name);

        count += bytes >= strlen(end) &&
                 strcmp(entry->d_name + bytes - strlen(end), end) == 0;
    }
    closedir(folder);
    return count;
}

static void make_folder(struct node *node, const char *name)
{
    char path[1024];

    snprintf(path, sizeof(path), "%s/log/%s", node->world.folder, name);
    must(mkdir(path, 0700) == 0);
}

/* ---- tests ---- */

static void a_new_node_makes_its_cluster_and_a_restart_keeps_it(void **state)
{
    struct node node;
    struct looks first, second;

    node_open(&node, 2);
    assert_int_equal(node.report.topics, 0);
    first = look(&node, 1);
    assert_int_equal(strlen(first.cluster_id), 22);
    assert_int_equal(first.brokers, 1);
    assert_int_equal(first.coordinators, COORDINATOR_SLOTS);
    node_shut(&node);
    node_boot(&node);
    second = look(&node, 1);
    assert_string_equal(second.cluster_id, first.cluster_id);
    assert_int_equal(second.brokers, 1);
    node_close(&node);
}

static void a_topic_that_was_answered_is_there_on_every_loop(void **state)
{
    struct node node;

    node_open(&node, 4);
    for (unsigned loop = 0; loop < 4; loop++) {
        char name[16];

        snprintf(name, sizeof(name), "topic-%u", loop);
        assert_int_equal(create(&node, loop, name, 6, NULL), ERR_NONE);
        for (unsigned other = 0; other < 4; other++) {
            assert_int_equal(look(&node, other).topics, loop + 1);
        }
    }
    node_close(&node);
}

static void topics_and_records_are_there_after_a_restart(void **state)
{
    for (int clean = 0; clean <= 1; clean++) {
        struct node node;
        struct uuid id;

        node_open(&node, 2);
        assert_int_equal(create(&node, 1, "orders", 3, &id), ERR_NONE);
        for (int64_t i = 0; i < 3; i++) {
            assert_int_equal(append(&node, id, 2), 2 * i);
        }
        node_shut(&node);
        node.options.clean_start = clean != 0 ? 1 : 0; /* the first run */
        node_boot(&node);
        assert_int_equal(node.report.topics, 1);
        assert_int_equal(node.report.partitions, 3);
        assert_int_equal(node.report.cuts, 0);
        assert_int_equal(node.report.strays, 0);
        assert_int_equal(append(&node, id, 2), 6);
        node_close(&node);
    }
}

static void a_name_that_is_deleted_and_made_again_is_another_topic(void **state)
{
    struct node node;

    node_open(&node, 4);
    for (unsigned round = 0; round < 8; round++) {
        struct uuid id;

        assert_int_equal(create(&node, round % 4, "orders", 5, &id), ERR_NONE);
        assert_int_equal(append(&node, id, 4), 0);
        assert_int_equal(append(&node, id, 4), 2);
        assert_int_equal(delete_topic(&node, (round + 1) % 4, id), ERR_NONE);
        assert_null(replicas_find(node.replicas, id, 4));
        assert_int_equal(count_ending(&node, "orders-4"), 0);
        assert_int_equal(delete_topic(&node, 0, id), ERR_UNKNOWN_TOPIC_ID);
    }
    node_close(&node);
}

/* The second one is asked for while the first one's folders are removed. */
static void a_topic_made_again_at_once_waits_for_the_old_folders(void **state)
{
    struct node node;

    node_open(&node, 4);
    for (unsigned round = 0; round < 8; round++) {
        struct one_delete d;
        struct one_create c;
        struct uuid id;
        enum err err;

        err = create(&node, 0, "orders", 8, &id);
        assert_int_equal(err, ERR_NONE);
        delete_start(&node, &d, 0, id);
        do {
            create_start(&node, &c, 0, "orders", 8);
            errand_wait(&c.errand);
        } while (c.err == ERR_TOPIC_ALREADY_EXISTS);
        assert_int_equal(c.err, ERR_NONE);
        errand_wait(&d.errand);
        assert_int_equal(d.err, ERR_NONE);
        assert_int_equal(append(&node, c.id, 7), 0);
        assert_int_equal(delete_topic(&node, 1, c.id), ERR_NONE);
    }
    node_close(&node);
}

static void of_two_who_make_one_name_one_is_refused(void **state)
{
    struct node node;
    struct one_create twins[4];
    int made = 0;

    node_open(&node, 4);
    for (unsigned i = 0; i < 4; i++) {
        create_start(&node, &twins[i], i, "twin", 2);
    }
    for (unsigned i = 0; i < 4; i++) {
        errand_wait(&twins[i].errand);
        made += twins[i].err == ERR_NONE;
        assert_true(twins[i].err == ERR_NONE ||
                    twins[i].err == ERR_TOPIC_ALREADY_EXISTS);
    }
    assert_int_equal(made, 1);
    node_close(&node);
}

/* Changes that are under way count: ten at once do not slip through. */
static void no_more_partitions_are_made_than_the_limit_says(void **state)
{
    struct node node;
    struct one_create creates[10];
    char names[10][16];
    struct uuid id = {{0}};
    int made = 0;

    node_init(&node, 2);
    node.options.partitions_max = 50;
    node_boot(&node);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(names[i], sizeof(names[i]), "topic-%u", i);
        create_start(&node, &creates[i], 0, names[i], 10);
    }
    for (unsigned i = 0; i < 10; i++) {
        errand_wait(&creates[i].errand);
        assert_true(creates[i].err == ERR_NONE ||
                    creates[i].err == ERR_POLICY_VIOLATION);
        if (creates[i].err == ERR_NONE) {
            made++;
            id = creates[i].id;
        }
    }
    assert_int_equal(made, 5);
    assert_int_equal(create(&node, 1, "more", 1, NULL), ERR_POLICY_VIOLATION);
    assert_int_equal(delete_topic(&node, 1, id), ERR_NONE);
    assert_int_equal(create(&node, 1, "more", 10, NULL), ERR_NONE);
    node_close(&node);
}

static void a_disk_at_its_reserve_takes_no_new_topic(void **state)
{
    struct node node;

    node_init(&node, 1);
    node.options.reserve_bytes =
        2 * disk_free_bytes(disk_real(), node.world.folder);
    node_boot(&node);
    assert_int_equal(create(&node, 0, "orders", 1, NULL), ERR_FULL);
    assert_int_equal(look(&node, 0).topics, 0);
    node_close(&node);
}

static void a_check_changes_nothing(void **state)
{
    struct node node;
    struct one_create c;

    node_open(&node, 2);
    create_start(&node, &c, 1, "orders", 3);
    errand_wait(&c.errand);
    assert_int_equal(c.err, ERR_NONE);
    create_start(&node, &c, 0, "plans", 3);
    errand_wait(&c.errand);
    c.create.change = (struct controller_change){
        .controller = node.controller, .check_only = true, .done = create_done};
    c.spec.name = STR_LIT("wishes");
    errand_start(&node.world, 1, &c.errand, create_run, &c);
    errand_wait(&c.errand);
    assert_int_equal(c.err, ERR_NONE);
    assert_false(c.found);
    assert_int_equal(look(&node, 0).topics, 2);
    node_close(&node);
}

static void folders_of_no_topic_are_set_aside(void **state)
{
    struct node node;
    char longest[256];

    node_open(&node, 1);
    assert_int_equal(create(&node, 0, "orders", 2, NULL), ERR_NONE);
    node_shut(&node);
    make_folder(&node, "nobodys-0");
    memset(longest, 'x', sizeof(longest));
    memcpy(longest + 249, "-10", 4); /* its name cannot become longer */
    make_folder(&node, longest);
    make_folder(&node, "notatopic");
    make_folder(&node, "old-0.abc-delete");
    node_boot(&node);
    assert_int_equal(node.report.strays, 2);
    assert_int_equal(count_ending(&node, "-stray"), 2);
    assert_int_equal(count_ending(&node, "-delete"), 0);
    assert_int_equal(count_ending(&node, "notatopic"), 1);
    assert_int_equal(count_ending(&node, "orders-1"), 1);
    node_shut(&node);
    node_boot(&node); /* once is enough */
    assert_int_equal(node.report.strays, 0);
    assert_int_equal(count_ending(&node, "-stray"), 2);
    node_close(&node);
}

/* The longest name that a topic may have: its folder is renamed, too. */
static void a_topic_of_the_longest_name_comes_and_goes(void **state)
{
    struct node node;
    char longest[TOPIC_NAME_BYTES_MAX + 1];

    memset(longest, 'n', TOPIC_NAME_BYTES_MAX);
    longest[TOPIC_NAME_BYTES_MAX] = '\0';
    node_open(&node, 2);
    for (int round = 0; round < 3; round++) {
        struct uuid id;

        assert_int_equal(create(&node, 0, longest, 2, &id), ERR_NONE);
        assert_int_equal(append(&node, id, 1), 0);
        assert_int_equal(delete_topic(&node, 0, id), ERR_NONE);
    }
    node_close(&node);
}

static struct disk_ops poor_ops;
static struct disk poor_disk = {.ops = &poor_ops};
static enum err (*true_open)(struct disk *disk, const char *path,
                             enum file_mode mode, struct file **out,
                             struct why *why);

/* There is no descriptor for a log of this topic. */
static enum err poor_open(struct disk *disk, const char *path,
                          enum file_mode mode, struct file **out,
                          struct why *why)
{
    if (strstr(path, "/poor-") != NULL && strstr(path, "metadata") == NULL) {
        return why_set(why, ERR_LIMIT, "no descriptor for %s", path);
    }
    return true_open(disk, path, mode, out, why);
}

static void use_poor_disk(struct errand *errand)
{
    loop_env(loop_current())->disk = &poor_disk;
    errand_end(errand);
}

/* Nobody has its files open: they go all the same, and at once. */
static void a_deleted_topic_that_was_not_open_leaves_nothing(void **state)
{
    struct node node;
    struct one_create c;

    poor_ops = *disk_real()->ops;
    true_open = poor_ops.open;
    poor_ops.open = poor_open;
    node_init(&node, 2);
    loops_world_do(&node.world, 0, use_poor_disk, NULL);
    loops_world_do(&node.world, 1, use_poor_disk, NULL);
    node_boot(&node);
    create_start(&node, &c, 0, "poor", 3);
    errand_wait(&c.errand);
    assert_int_equal(c.err, ERR_NONE);
    assert_false(c.found);
    assert_int_equal(count_ending(&node, "poor-2"), 1);
    assert_int_equal(delete_topic(&node, 0, c.id), ERR_NONE);
    assert_int_equal(count_ending(&node, "poor-2"), 0);
    assert_int_equal(count_ending(&node, "-delete"), 0);
    node_close(&node);
}

static int quiet(void **state)
{
    trace_level_set(TRACE_ERROR);
    return 0;
}

/* A large topic and a small one, asked for in one turn, and how often their
 * loop came round while the large one was made. */
struct slices {
    struct one_create large;
    struct one_create small;
    struct mail turn;
    struct node *node;
    int turns;
    bool small_first;
};

static void slices_turn(struct mail *mail)
{
    struct slices *s = container_of(mail, struct slices, turn);

    s->turns++;
    s->small_first = s->small_first || s->small.found;
    if (!s->large.found) {
        mail_send(loop_current(), mail);
    } else {
        errand_end(&s->large.errand);
    }
}

static void slices_created(struct controller_change *change)
{
    struct one_create *c =
        container_of(change, struct one_create, create.change);

    c->err = change->err;
    c->found = true;
    controller_change_end(change);
}

static void slices_run(struct errand *errand)
{
    struct slices *s = errand->arg;

    s->large.create.change.done = slices_created;
    s->small.create.change.done = slices_created;
    topic_create_start(&s->large.create, loop_env(loop_current()));
    topic_create_start(&s->small.create, loop_env(loop_current()));
    s->turn.deliver = slices_turn;
    mail_send(loop_current(), &s->turn);
}

/* Others have their turns, on a node of one loop, too; so has a small topic. */
static void a_large_topic_is_made_in_slices(void **state)
{
    struct node node;
    struct slices *s = MEM_NEW(struct slices);

    node_open(&node, 1);
    create_fill(&node, &s->large, "large", 80);
    create_fill(&node, &s->small, "small", 1);
    errand_start(&node.world, 0, &s->large.errand, slices_run, s);
    errand_wait(&s->large.errand);
    assert_int_equal(s->large.err, ERR_NONE);
    assert_int_equal(s->small.err, ERR_NONE);
    assert_true(s->small_first);
    assert_in_range(s->turns, 20, INT_MAX);
    node_close(&node);
    mem_free(s);
}

static void both_at_once_run(struct errand *errand)
{
    struct slices *s = errand->arg;

    topic_create_start(&s->large.create, loop_env(loop_current()));
    s->node->closing = errand;
    controller_close(s->node->controller, node_controller_closed, s->node);
    topic_create_start(&s->small.create, loop_env(loop_current()));
}

/* It is told to close while a topic is on its way, and another one comes. */
static void a_close_waits_for_what_is_under_way(void **state)
{
    struct node node;
    struct slices *s = MEM_NEW(struct slices);
    struct errand closing;

    node_open(&node, 2);
    s->node = &node;
    create_fill(&node, &s->large, "large", 5);
    create_fill(&node, &s->small, "small", 1);
    s->large.create.change.done = slices_created;
    s->small.create.change.done = slices_created;
    errand_start(&node.world, 0, &closing, both_at_once_run, s);
    errand_wait(&closing);
    assert_int_equal(atomic_load(&node.failures), 0);
    assert_true(s->large.found);
    assert_int_equal(s->large.err, ERR_NONE);
    assert_true(s->small.found);
    assert_int_equal(s->small.err, ERR_STOPPING);
    node_boot(&node);
    assert_int_equal(node.report.partitions, 5);
    node_close(&node);
    mem_free(s);
}

/* A group of members with so many bytes, as a change. */
struct one_save {
    struct controller_change change;
    struct errand errand;
    enum err err;
};

enum { SAVE_BYTES = 4 << 20 };

static void save_done(struct controller_change *change)
{
    struct one_save *save = container_of(change, struct one_save, change);

    save->err = change->err;
    controller_change_end(change);
    errand_end(&save->errand);
}

static void save_run(struct errand *errand)
{
    struct one_save *save = errand->arg;

    controller_change(&save->change);
}

static enum err save(struct node *node, int number)
{
    struct one_save s = {
        .change = {.controller = node->controller, .done = save_done}};
    char name[16];
    char *bytes = mem_zalloc(SAVE_BYTES);
    struct command_save_group_member member = {.member_id = STR_LIT("m"),
                                               .instance_id = STR_NULL,
                                               .client_id = STR_LIT("c"),
                                               .client_host = STR_LIT("h"),
                                               .subscription =
                                                   str_sub(bytes, SAVE_BYTES),
                                               .assignment = STR_LIT("")};

    snprintf(name, sizeof(name), "g%d", number);
    s.change.command =
        (struct command){.type = COMMAND_SAVE_GROUP,
                         .save_group = {.group_id = str_of(name),
                                        .coordinator_epoch = -1,
                                        .generation = 1,
                                        .protocol_type = STR_LIT("consumer"),
                                        .protocol = STR_NULL,
                                        .leader = STR_NULL,
                                        .members = &member,
                                        .members_count = 1}};
    errand_start(&node->world, 0, &s.errand, save_run, &s);
    errand_wait(&s.errand);
    mem_free(bytes);
    return s.err;
}

/* "begin immediate;" in a sqlite3 shell, left open over night: what waits for
 * SQLite has a bound, and goes on when the shell is gone. */
static void what_sqlite_does_not_take_is_refused_at_a_bound(void **state)
{
    struct node node;
    char path[FIXTURE_PATH_BYTES + 16];
    sqlite3 *shell;
    enum err err = ERR_NONE;
    int saved = 0;

    node_open(&node, 2);
    snprintf(path, sizeof(path), "%s/meta.db", node.world.folder);
    assert_int_equal(sqlite3_open(path, &shell), SQLITE_OK);
    while (sqlite3_exec(shell, "begin immediate", NULL, NULL, NULL) !=
           SQLITE_OK) {
        usleep(1000); /* the start is still being written */
    }
    while (err == ERR_NONE && saved < 30) {
        err = save(&node, saved++);
    }
    assert_int_equal(err, ERR_BUSY);
    assert_in_range(saved, 4, 20); /* 64 MiB of memory, not all of it used */
    assert_int_equal(create(&node, 1, "other", 1, NULL), ERR_BUSY);
    assert_int_equal(sqlite3_exec(shell, "rollback", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(shell), SQLITE_OK);
    while ((err = create(&node, 1, "other", 1, NULL)) == ERR_BUSY) {
        usleep(10000);
    }
    assert_int_equal(err, ERR_NONE);
    node_close(&node);
}

/* A topic that is removed while its node closes. */
struct leaving {
    struct one_delete gone;
    struct mail turn;
    struct node *node;
    struct errand *closing;
};

static void leaving_turn(struct mail *mail)
{
    struct leaving *l = container_of(mail, struct leaving, turn);

    if (replicas_has(l->node->replicas, l->gone.id)) {
        mail_send(loop_current(), mail);
        return;
    }
    /* Applied: the change waits for its logs to go. */
    l->node->closing = l->closing;
    controller_close(l->node->controller, node_controller_closed, l->node);
}

static void leaving_run(struct errand *errand)
{
    struct leaving *l = errand->arg;

    l->closing = errand;
    l->gone.change.command =
        (struct command){.type = COMMAND_DELETE_TOPIC,
                         .delete_topic = {.topic_id = l->gone.id, .at_ms = 1}};
    controller_change(&l->gone.change);
    l->turn.deliver = leaving_turn;
    mail_send(loop_current(), &l->turn);
}

static void a_close_waits_for_a_topic_that_is_being_removed(void **state)
{
    struct node node;
    struct leaving l = {.node = &node};
    struct errand closing;

    node_open(&node, 2);
    assert_int_equal(create(&node, 0, "gone", 300, &l.gone.id), ERR_NONE);
    l.gone.change.controller = node.controller;
    l.gone.change.done = delete_done;
    sem_init(&l.gone.errand.ended, 0, 0);
    errand_start(&node.world, 0, &closing, leaving_run, &l);
    assert_true(errand_ends_within(&l.gone.errand, 20)); /* it is removed */
    assert_int_equal(l.gone.err, ERR_NONE);
    assert_true(errand_ends_within(&closing, 20));
    assert_int_equal(atomic_load(&node.failures), 0);
    loops_world_close(&node.world);
}

/* What it could not write, the next start has from the log of changes. */
static void a_close_waits_for_no_shell_that_holds_sqlites_lock(void **state)
{
    struct node node;
    struct errand closing;
    char path[FIXTURE_PATH_BYTES + 16];
    sqlite3 *shell;

    node_open(&node, 2);
    snprintf(path, sizeof(path), "%s/meta.db", node.world.folder);
    assert_int_equal(sqlite3_open(path, &shell), SQLITE_OK);
    while (sqlite3_exec(shell, "begin immediate", NULL, NULL, NULL) !=
           SQLITE_OK) {
        usleep(1000);
    }
    assert_int_equal(create(&node, 0, "t", 1, NULL), ERR_NONE);
    errand_start(&node.world, 0, &closing, node_do_close, &node);
    assert_true(errand_ends_within(&closing, 20));
    assert_int_equal(atomic_load(&node.failures), 0);
    assert_int_equal(sqlite3_close(shell), SQLITE_OK);
    node_boot(&node);
    assert_int_equal(node.report.partitions, 1);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_node_makes_its_cluster_and_a_restart_keeps_it),
        cmocka_unit_test(a_topic_that_was_answered_is_there_on_every_loop),
        cmocka_unit_test(topics_and_records_are_there_after_a_restart),
        cmocka_unit_test(
            a_name_that_is_deleted_and_made_again_is_another_topic),
        cmocka_unit_test(a_topic_made_again_at_once_waits_for_the_old_folders),
        cmocka_unit_test(of_two_who_make_one_name_one_is_refused),
        cmocka_unit_test(no_more_partitions_are_made_than_the_limit_says),
        cmocka_unit_test(a_disk_at_its_reserve_takes_no_new_topic),
        cmocka_unit_test(a_check_changes_nothing),
        cmocka_unit_test(folders_of_no_topic_are_set_aside),
        cmocka_unit_test(a_topic_of_the_longest_name_comes_and_goes),
        cmocka_unit_test(a_large_topic_is_made_in_slices),
        cmocka_unit_test(a_deleted_topic_that_was_not_open_leaves_nothing),
        cmocka_unit_test(a_close_waits_for_what_is_under_way),
        cmocka_unit_test(what_sqlite_does_not_take_is_refused_at_a_bound),
        cmocka_unit_test(a_deleted_topic_that_was_not_open_leaves_nothing),
        cmocka_unit_test(a_close_waits_for_no_shell_that_holds_sqlites_lock),
        cmocka_unit_test(a_deleted_topic_that_was_not_open_leaves_nothing),
        cmocka_unit_test(a_close_waits_for_a_topic_that_is_being_removed),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
