/* quorum_world.c - nodes of a quorum under bad luck, from a seed.
 *
 *   quorum_world FIRST LAST     a line for each seed that fails
 *   quorum_world SEED SEED      the same, and what happened, as it happened
 *
 * Real quorum, real log, real frames; the disk loses what was not synced, the
 * network loses, doubles and delays, nodes are cut off, stall and die with torn
 * tails, the machine falls back to any state since its last checkpoint, disks
 * are full for a while, or fail. A seed picks one, three or five voters. After
 * 30 seconds of that, all is well for a while, then nothing is proposed any
 * more; and at the end:
 *
 *   - the state behind each index is the same on every node that ever had it;
 *   - each term had one leader;
 *   - what was answered as done is there, once; what was refused is not;
 *   - a read saw all that was answered before it was asked for;
 *   - there is a leader, it made progress, and all nodes are equal. */
#include "base/mem.h"
#include "base/trace.h"
#include "lib/fault.h"
#include "lib/simdisk.h"
#include "lib/simenv.h"
#include "quorum/quorum.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NODES_MAX = 5,
    INDEX_MAX = 1 << 17,
    TERM_MAX = 1 << 14,
    VALUES_MAX = 1 << 16,
    COMMAND_BYTES_MAX = 700,
};

struct node {
    struct quorum_machine machine;
    uint64_t id;
    struct simdisk *disk;
    struct fault fault;
    struct simenv *sim;
    struct quorum *quorum; /* NULL: down */
    int side;              /* of a cut network */
    bool dying;
    bool is_full; /* its disk is, or nearly */
    struct simevent birth;
    /* The machine: what it holds now, and what would survive. */
    uint64_t applied;
    uint64_t hash;
    uint64_t durable;
    struct quorum_checkpoint *checkpoint;
};

enum fate { UNKNOWN, DONE, REFUSED };

struct world {
    struct simclock clock;
    struct node nodes[NODES_MAX];
    struct quorum_voter voters[NODES_MAX];
    uint32_t count;
    bool chaos;
    bool quiet;
    bool failing_disks;
    uint64_t life_ms; /* of a node, on average */
    uint64_t calm;    /* one in so many stretches has no cut */
    uint64_t lost_of; /* one frame of so many is lost */
    struct simevent tick;
    uint64_t applied_max;
    uint64_t done_max;
    uint64_t values;
    uint64_t done;
    uint64_t crashes;
    uint64_t elections;
    uint64_t reads;
    uint64_t checkpoints;
    uint64_t led_ms; /* of chaos, with a leader */
    uint64_t chaos_ms;
    uint64_t truth[INDEX_MAX]; /* the state behind an index */
    uint64_t value_at[INDEX_MAX];
    uint64_t before[INDEX_MAX]; /* the command before this one */
    uint64_t index_of[VALUES_MAX];
    uint64_t leader_of[TERM_MAX];
    uint8_t fate[VALUES_MAX];
};

static struct world *world;
static uint64_t seed_now;
static bool loud;

static void say(const char *format, ...) PRINTF_LIKE(1, 2);
static void say(const char *format, ...)
{
    va_list args;

    if (loud) {
        va_start(args, format);
        printf("%9.3f ", (double)world->clock.now_us / 1e6);
        vprintf(format, args);
        printf("\n");
        va_end(args);
    }
}

static void broken(const char *format, ...) PRINTF_LIKE(1, 2);
static void broken(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("quorum_world: seed %llu: at %.3f s: ", (unsigned long long)seed_now,
           (double)world->clock.now_us / 1e6);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    fflush(stdout);
    _exit(1);
}

static uint64_t below(uint64_t limit)
{
    return simclock_random_below(&world->clock, limit);
}

static uint64_t mix(uint64_t hash, uint64_t v)
{
    hash ^= v + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    hash *= 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

/* The machine. */

static struct node *node_of(struct quorum_machine *machine)
{
    return container_of(machine, struct node, machine);
}

static void machine_apply(struct quorum_machine *machine, uint64_t index,
                          int32_t term, struct str command)
{
    struct node *n = node_of(machine);
    uint64_t value;

    if (index >= INDEX_MAX || command.len < sizeof(value)) {
        broken("node %llu applies %llu of %zu bytes", (unsigned long long)n->id,
               (unsigned long long)index, command.len);
    }
    if (index <= n->applied) {
        broken("node %llu applies %llu after %llu", (unsigned long long)n->id,
               (unsigned long long)index, (unsigned long long)n->applied);
    }
    memcpy(&value, command.ptr, sizeof(value));
    for (size_t i = sizeof(value); i < command.len; i++) {
        if (command.ptr[i] != (char)(value + i)) {
            broken("command %llu came out changed", (unsigned long long)value);
        }
    }
    if (world->fate[value] == REFUSED) {
        broken("command %llu was refused, and is applied at %llu",
               (unsigned long long)value, (unsigned long long)index);
    }
    n->hash =
        mix(mix(mix(mix(n->hash, index), (uint64_t)term), value), command.len);
    if (value == 0 || value > world->values ||
        (world->index_of[value] != 0 && world->index_of[value] != index)) {
        broken("command %llu is at %llu, and was at %llu",
               (unsigned long long)value, (unsigned long long)index,
               (unsigned long long)world->index_of[value % VALUES_MAX]);
    }
    world->index_of[value] = index;
    if (world->truth[index] == 0) {
        world->truth[index] = n->hash;
        world->value_at[index] = value;
        world->before[index] = n->applied;
        world->applied_max = MAX(world->applied_max, index);
    }
    if (world->truth[index] != n->hash || world->before[index] != n->applied) {
        broken("node %llu DIVERGED at %llu: command %llu, others have %llu",
               (unsigned long long)n->id, (unsigned long long)index,
               (unsigned long long)value,
               (unsigned long long)world->value_at[index]);
    }
    n->applied = index;
}

static uint64_t machine_applied(struct quorum_machine *machine)
{
    return node_of(machine)->applied;
}

static void machine_durable(void *arg)
{
    struct node *n = arg;
    struct quorum_checkpoint *checkpoint = n->checkpoint;

    n->checkpoint = NULL;
    if (below(8) == 0) {
        checkpoint->done(checkpoint, ERR_BUSY);
        return;
    }
    n->durable = n->applied;
    world->checkpoints++;
    checkpoint->done(checkpoint, ERR_NONE);
}

static void machine_checkpoint(struct quorum_machine *machine,
                               struct quorum_checkpoint *checkpoint)
{
    struct node *n = node_of(machine);

    n->checkpoint = checkpoint;
    simenv_post_in_us(n->sim, (int64_t)below(20000), machine_durable, NULL, n);
}

/* The network. */

struct letter {
    struct node *from;
    struct node *to;
    size_t bytes;
    char frame[];
};

static void letter_drop(void *arg)
{
    mem_free(arg);
}

static void letter_arrives(void *arg)
{
    struct letter *letter = arg;
    struct node *to = letter->to;

    if (to->quorum != NULL && to->side == letter->from->side) {
        quorum_receive(to->quorum, letter->from->id,
                       str_sub(letter->frame, letter->bytes));
    }
    mem_free(letter);
}

static void node_send(void *arg, uint64_t to, struct str frame)
{
    struct node *from = arg;
    unsigned copies = world->chaos && below(40) == 0 ? 2 : 1;

    for (; copies > 0; copies--) {
        struct letter *letter;
        uint64_t delay_us = 200 + below(2000);

        if (world->chaos) {
            delay_us = 1000 * (1 + below(below(10) == 0 ? 400 : 15));
            if (below(world->lost_of) == 0) {
                continue;
            }
        }
        letter = mem_alloc(sizeof(*letter) + frame.len);
        *letter = (struct letter){
            .from = from, .to = &world->nodes[to - 1], .bytes = frame.len};
        memcpy(letter->frame, frame.ptr, frame.len);
        simenv_post_in_us(letter->to->sim, (int64_t)delay_us, letter_arrives,
                          letter_drop, letter);
    }
}

/* Life and death. What a dead node had in memory is left: each seed is a
 * process. */

static void node_dies(struct node *n, uint64_t down_ms)
{
    uint64_t back = n->applied;
    uint64_t steps = below(1 + below(60));

    say("node %llu dies at %llu", (unsigned long long)n->id,
        (unsigned long long)n->applied);
    simenv_crash(n->sim);
    simdisk_crash(n->disk, simclock_random(&world->clock));
    fault_arm(&n->fault, 0);
    n->quorum = NULL;
    n->dying = false;
    n->checkpoint = NULL;
    for (; steps > 0 && back > n->durable; steps--) {
        back = world->before[back];
    }
    n->applied = MAX(back, n->durable);
    n->hash = n->applied == 0 ? 0 : world->truth[n->applied];
    world->crashes++;
    simclock_put(&world->clock, &n->birth,
                 world->clock.now_us + (int64_t)down_ms * 1000);
}

static void node_failed(void *arg, const struct why *why)
{
    struct node *n = arg;

    if (n->fault.failed == 0 && !n->is_full) {
        broken("node %llu failed: %s", (unsigned long long)n->id, why->text);
    }
    say("node %llu: its disk failed: %s", (unsigned long long)n->id, why->text);
    n->dying = true; /* by the next tick: not from inside of its own call */
}

static void node_leads(void *arg, int32_t term)
{
    struct node *n = arg;

    say("node %llu leads in term %d", (unsigned long long)n->id, (int)term);
    world->elections++;
    if (term < 1 || term >= TERM_MAX ||
        (world->leader_of[term] != 0 && world->leader_of[term] != n->id)) {
        broken("two leaders in term %d", (int)term);
    }
    world->leader_of[term] = n->id;
}

/* Every other term begins with a command, which nobody waits for. */
static struct str node_opening(void *arg)
{
    char *bytes = mem_alloc(sizeof(uint64_t)); /* as long as the quorum */

    (void)arg;
    if (below(2) == 0) {
        mem_free(bytes);
        return STR_NULL;
    }
    if (++world->values >= VALUES_MAX) {
        broken("the run is too long");
    }
    memcpy(bytes, &world->values, sizeof(uint64_t));
    return str_sub(bytes, sizeof(uint64_t));
}

static void node_open(void *arg)
{
    struct node *n = arg;
    struct quorum_options options = {
        .folder = "/quorum",
        .id = n->id,
        .voters = world->voters,
        .voter_count = world->count,
        .machine = &n->machine,
        .send = node_send,
        .on_lead = node_leads,
        .opening = node_opening,
        .failed = node_failed,
        .arg = n,
        .limits =
            {
                .command_bytes = COMMAND_BYTES_MAX,
                .checkpoint_bytes = 2000 + below(20000),
                .segment_bytes = 1,
                .cache_bytes = 1 + below(20000),
                .disk_reserve_bytes = 1,
                .no_trailing = world->count == 1 && below(2) == 0,
            },
    };
    struct why why;
    enum err err = quorum_open(simenv_env(n->sim), &options, &n->quorum, &why);

    if (err != ERR_NONE && n->fault.failed == 0 && !n->is_full) {
        broken("node %llu does not start: %s", (unsigned long long)n->id,
               why.text);
    }
    if (err != ERR_NONE) {
        n->quorum = NULL;
        n->dying = true;
    }
}

static void node_born(struct simevent *event)
{
    struct node *n = container_of(event, struct node, birth);

    if (n->quorum != NULL || n->dying) {
        return;
    }
    say("node %llu starts", (unsigned long long)n->id);
    if (world->chaos && world->failing_disks && below(4) == 0) {
        fault_arm(&n->fault, 1 + below(400));
        n->fault.tears = below(2) == 0;
        n->fault.for_good = below(2) == 0;
    }
    simenv_run(n->sim, node_open, n);
}

/* What is proposed and read. */

struct ask {
    struct quorum_proposal proposal;
    struct node *node;
    uint64_t value;
    uint64_t done_before; /* read: what was known to be done */
    char bytes[COMMAND_BYTES_MAX];
};

static void ask_done(struct quorum_proposal *proposal, enum err err,
                     uint64_t index)
{
    struct ask *ask = container_of(proposal, struct ask, proposal);

    if (err == ERR_NONE) {
        if (ask->node->applied != index ||
            world->value_at[index] != ask->value) {
            broken("command %llu is said to be at %llu",
                   (unsigned long long)ask->value, (unsigned long long)index);
        }
        world->fate[ask->value] = DONE;
        world->done++;
        world->done_max = MAX(world->done_max, index);
    } else if (err != ERR_UNKNOWN_OUTCOME) {
        world->fate[ask->value] = REFUSED;
    }
    mem_free(ask);
}

static void read_done(struct quorum_proposal *proposal, enum err err,
                      uint64_t index)
{
    struct ask *ask = container_of(proposal, struct ask, proposal);

    if (err == ERR_NONE && ask->node->applied < ask->done_before) {
        broken("a read at %llu was stale: %llu was done before",
               (unsigned long long)ask->node->applied,
               (unsigned long long)ask->done_before);
    }
    world->reads += err == ERR_NONE;
    mem_free(ask);
}

static void ask_something(void *arg)
{
    struct node *n = arg;
    struct ask *ask = MEM_NEW(struct ask);

    ask->node = n;
    if (below(8) == 0) {
        ask->done_before = world->done_max;
        ask->proposal.done = read_done;
        quorum_read(n->quorum, &ask->proposal);
        return;
    }
    ask->value = ++world->values;
    if (ask->value >= VALUES_MAX) {
        broken("the run is too long");
    }
    ask->proposal.done = ask_done;
    ask->proposal.command =
        str_sub(ask->bytes, 8 + below(below(5) == 0 ? 600 : 40));
    memcpy(ask->bytes, &ask->value, sizeof(ask->value));
    for (size_t i = sizeof(ask->value); i < ask->proposal.command.len; i++) {
        ask->bytes[i] = (char)(ask->value + i);
    }
    quorum_propose(n->quorum, &ask->proposal);
}

/* Mostly one that believes to lead; there may be several. */
static struct node *world_ask_whom(void)
{
    uint64_t from = below(world->count);

    for (uint32_t i = 0; i < world->count && below(6) > 0; i++) {
        struct node *n = &world->nodes[(from + i) % world->count];

        if (n->quorum != NULL && quorum_is_leader(n->quorum)) {
            return n;
        }
    }
    return &world->nodes[from];
}

/* A millisecond. */
static void world_tick(struct simevent *event)
{
    bool led = false;

    for (uint32_t i = 0; i < world->count; i++) {
        struct node *n = &world->nodes[i];

        led = led || (n->quorum != NULL && quorum_is_leader(n->quorum));
        if (n->dying) {
            node_dies(n, 20 + below(500));
        } else if (world->chaos && n->quorum != NULL &&
                   below(world->life_ms) == 0) {
            node_dies(n, 20 + below(below(3) == 0 ? 6000 : 500));
        }
    }
    world->chaos_ms += world->chaos;
    world->led_ms += world->chaos && led;
    if (!world->quiet) {
        for (uint64_t asks = below(14) == 0 ? 1 + below(5) : 0; asks > 0;
             asks--) {
            struct node *n = world_ask_whom();

            if (n->quorum != NULL && !n->dying) {
                simenv_run(n->sim, ask_something, n);
            }
        }
    }
    simclock_put(&world->clock, event, world->clock.now_us + 1000);
}

static void world_luck(void)
{
    uint64_t kind = below(world->calm);

    for (uint32_t i = 0; i < world->count; i++) {
        struct node *n = &world->nodes[i];
        struct simenv_pace pace = {
            .timer_us = 1000, .work_us = 5000, .mail_us = 1000};

        if (world->chaos && kind != 3) {
            n->side = kind > 2 ? 0 : (int)below(kind + 1);
        }
        if (world->chaos && below(6) == 0) {
            pace.work_us = (int64_t)below(1500000);
        }
        if (!world->chaos) {
            n->side = 0;
        }
        n->is_full = world->chaos && below(10) == 0;
        simdisk_limit(n->disk, n->is_full ? simdisk_used_bytes(n->disk) +
                                                below(4000)
                                          : UINT64_MAX);
        simenv_set_pace(n->sim, pace);
    }
}

static void world_make(uint64_t seed)
{
    static const uint32_t counts[] = {1, 3, 3, 3, 5};

    world = MEM_NEW(struct world);
    simclock_init(&world->clock, seed);
    world->count = counts[below(5)];
    world->failing_disks = below(3) == 0;
    world->life_ms = 3000 * (1 + below(8));
    world->calm = 4 + below(8);
    world->lost_of = 10 + below(90);
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *n = &world->nodes[i];

        n->id = i + 1;
        n->machine = (struct quorum_machine){
            .apply = machine_apply,
            .applied = machine_applied,
            .checkpoint = machine_checkpoint,
        };
        n->disk = simdisk_open();
        fault_init(&n->fault, simdisk_disk(n->disk));
        n->sim = simenv_open(&world->clock, &n->fault.disk);
        n->birth.fire = node_born;
        world->voters[i] = (struct quorum_voter){
            .id = i + 1, .address = mem_printf("node%u:9093", i + 1)};
        simclock_put(&world->clock, &n->birth, (int64_t)below(50000));
    }
    world->tick.fire = world_tick;
    simclock_put(&world->clock, &world->tick, 1000);
}

static void world_check_end(uint64_t before)
{
    struct node *leader = NULL;

    for (uint32_t i = 0; i < world->count; i++) {
        struct node *n = &world->nodes[i];

        if (n->quorum != NULL && quorum_is_leader(n->quorum) &&
            (leader == NULL ||
             quorum_term(n->quorum) > quorum_term(leader->quorum))) {
            leader = n;
        }
    }
    if (leader == NULL) {
        broken("no leader after healing");
    }
    if (world->applied_max <= before + 10) {
        broken("no progress after healing: %llu, then %llu",
               (unsigned long long)before,
               (unsigned long long)world->applied_max);
    }
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *n = &world->nodes[i];

        if (n->quorum == NULL || n->applied < world->done_max ||
            n->applied != leader->applied || n->hash != leader->hash) {
            broken("node %llu is at %llu, the leader %llu at %llu, done was "
                   "%llu",
                   (unsigned long long)n->id, (unsigned long long)n->applied,
                   (unsigned long long)leader->id,
                   (unsigned long long)leader->applied,
                   (unsigned long long)world->done_max);
        }
    }
}

static void world_run(uint64_t seed)
{
    uint64_t before;

    world_make(seed);
    world->chaos = true;
    for (int i = 0; i < 20; i++) {
        world_luck();
        simclock_run_for_ms(&world->clock, 200 + (int64_t)below(2800));
    }
    world->chaos = false;
    world_luck();
    for (uint32_t i = 0; i < world->count; i++) {
        fault_arm(&world->nodes[i].fault, 0);
    }
    before = world->applied_max;
    simclock_run_for_ms(&world->clock, 20000);
    world->quiet = true;
    simclock_run_for_ms(&world->clock, 10000);
    world_check_end(before);
    say("%u voters: %llu proposed, %llu done, %llu reads, %llu crashes, %llu "
        "elections, %llu checkpoints, led for %llu%% of the bad time",
        world->count, (unsigned long long)world->values,
        (unsigned long long)world->done, (unsigned long long)world->reads,
        (unsigned long long)world->crashes,
        (unsigned long long)world->elections,
        (unsigned long long)world->checkpoints,
        (unsigned long long)(100 * world->led_ms / world->chaos_ms));
}

/* Each seed in a process of its own: a death there is a failed seed, not the
 * end of all, and what dead nodes left in memory goes with it. */
static bool run_apart(uint64_t seed)
{
    pid_t pid;
    int status = 0;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        seed_now = seed;
        world_run(seed);
        fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("quorum_world");
        exit(2);
    }
    if (WIFSIGNALED(status)) {
        printf("quorum_world: seed %llu: died of signal %d\n",
               (unsigned long long)seed, WTERMSIG(status));
    } else if (WEXITSTATUS(status) > 1) {
        printf("quorum_world: seed %llu: exit status %d\n",
               (unsigned long long)seed, WEXITSTATUS(status));
    }
    return status == 0;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
    uint64_t bad = 0;

    loud = first == last;
    /* Disks that fail on purpose are no news. */
    trace_level_set(loud ? TRACE_DEBUG : (enum trace_level) - 1);
    for (uint64_t seed = first; seed <= last; seed++) {
        bad += !run_apart(seed);
    }
    printf("quorum_world: %llu passed, %llu failed\n",
           (unsigned long long)(last + 1 - first - bad),
           (unsigned long long)bad);
    return bad > 0;
}
