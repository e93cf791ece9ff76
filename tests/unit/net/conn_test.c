/* Frames in, answers out, over real sockets on a real loop. */
#include "unit/net/net_world.h"

#include "base/mem.h"
#include "base/trace.h"

#include <sys/resource.h>

enum { MIB = 1 << 20 };

static int quiet(void **state)
{
    trace_level_set(TRACE_ERROR);
    return 0;
}

/* ---- frames ---- */

static void a_frame_that_comes_byte_by_byte_is_answered(void **state)
{
    struct net_world w = world_init();
    uint8_t frame[9];
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_frame(frame, 'e', 7, 5);
    for (size_t i = 0; i < sizeof(frame); i++) {
        client_send(fd, frame + i, 1);
        world_sleep_ms(2);
    }
    assert_int_equal(client_number(fd), 7);
    close(fd);
    world_close(&w);
}

static void pipelined_frames_are_answered_in_their_order(void **state)
{
    struct net_world w = world_init();
    uint8_t *bytes = mem_alloc(5000 * 9);
    size_t count = 0;
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 5000; i++) {
        count += client_frame(bytes + count, 'e', i, 5);
    }
    client_send(fd, bytes, count);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(client_number(fd), i);
    }
    close(fd);
    mem_free(bytes);
    world_close(&w);
}

/* Larger than a block, than what is copied, than one read. */
static void frames_of_all_sizes_keep_their_bytes(void **state)
{
    static const uint32_t sizes[] = {5,     8191,  8192,    8193,    65532,
                                     65536, 65537, 1000000, 3 * MIB, 6};
    struct net_world w = world_init();
    uint8_t *frame = mem_alloc(4 * MIB);
    uint8_t *answer = mem_alloc(4 * MIB);
    int fd;

    world_open(&w, 1, 64 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        size_t bytes = client_frame(frame, 'e', i, sizes[i]);

        client_send(fd, frame, bytes);
        assert_true(fixture_receive(fd, answer, bytes));
        assert_memory_equal(frame, answer, bytes);
    }
    close(fd);
    mem_free(frame);
    mem_free(answer);
    world_close(&w);
}

static void a_frame_over_the_limit_ends_the_connection(void **state)
{
    struct net_world w = world_init();
    uint8_t frame[16];
    int fd;

    w.options.limits.frame_bytes = 1000;
    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_ask(fd, 'e', 1);
    assert_int_equal(client_number(fd), 1);
    bytes_put_u32(frame, 1001);
    client_send(fd, frame, 4);
    assert_true(client_ended(fd));
    close(fd);
    fd = client_open(&w);
    bytes_put_i32(frame, -1);
    client_send(fd, frame, 4);
    assert_true(client_ended(fd));
    close(fd);
    fd = client_open(&w);
    bytes_put_u32(frame, 0);
    client_send(fd, frame, 4);
    assert_true(client_ended(fd));
    close(fd);
    world_close(&w);
}

static void a_refused_request_ends_the_connection(void **state)
{
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_ask(fd, 'x', 1);
    assert_true(client_ended(fd));
    assert_true(world_comes_down_to(&w, 0));
    close(fd);
    world_close(&w);
}

/* ---- the order of requests ---- */

static void a_frame_waits_for_the_one_before_it(void **state)
{
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_ask(fd, 'h', 1);
    client_ask(fd, 'e', 2);
    assert_true(world_reaches(&w.started, 1));
    assert_false(client_has(fd, 50));
    assert_int_equal(atomic_load(&w.started), 1);
    world_release(&w);
    assert_int_equal(client_number(fd), 1);
    assert_int_equal(client_number(fd), 2);
    close(fd);
    world_close(&w);
}

static void
frames_that_overlap_run_together_and_are_answered_in_order(void **state)
{
    struct net_world w = world_init();
    int fd;

    w.newest_first = true;
    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 10; i++) {
        client_ask(fd, 'o', i);
    }
    client_ask(fd, 'e', 10); /* does not overlap: waits for all */
    assert_true(world_reaches(&w.started, 10));
    assert_false(client_has(fd, 50));
    assert_int_equal(atomic_load(&w.started), 10);
    world_release(&w);
    for (uint32_t i = 0; i <= 10; i++) {
        assert_int_equal(client_number(fd), i);
    }
    close(fd);
    world_close(&w);
}

static void no_more_frames_overlap_than_the_limit_says(void **state)
{
    struct net_world w = world_init();
    int fd;

    w.options.limits.requests_running = 4;
    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 10; i++) {
        client_ask(fd, 'o', i);
    }
    assert_true(world_reaches(&w.started, 4));
    world_sleep_ms(30);
    assert_int_equal(atomic_load(&w.started), 4);
    for (uint32_t i = 0; i < 10; i++) {
        if (i % 4 == 0) {
            assert_true(world_reaches(&w.started, (int)MIN(i + 4, 10u)));
            world_release(&w);
        }
        assert_int_equal(client_number(fd), i);
    }
    close(fd);
    world_close(&w);
}

/* ---- answers ---- */

static void ranges_of_files_leave_between_memory(void **state)
{
    struct net_world w = world_init();
    uint8_t *answer = mem_alloc(WORLD_FILE_BYTES);
    uint8_t ends[5];
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 3; i++) {
        client_ask(fd, 'f', i);
    }
    world_sleep_ms(50); /* the socket fills up: it leaves in pieces */
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(fixture_receive(fd, ends, 5));
        assert_int_equal(bytes_get_u32(ends), WORLD_FILE_BYTES - 5);
        assert_int_equal(ends[4], '<');
        assert_true(fixture_receive(fd, answer, WORLD_FILE_BYTES - 7));
        for (size_t at = 0; at < WORLD_FILE_BYTES - 7; at++) {
            if (answer[at] != world_file_byte(at + 7)) {
                fail_msg("byte %zu", at);
            }
        }
        assert_true(fixture_receive(fd, ends, 1));
        assert_int_equal(ends[0], '>');
    }
    close(fd);
    mem_free(answer);
    world_close(&w);
}

static void cut_file(struct net_world *w)
{
    must(ftruncate(w->file, 1000) == 0);
}

/* Better no answer than one with other bytes in it. */
static void
a_file_that_is_shorter_than_its_range_ends_the_connection(void **state)
{
    struct net_world w = world_init();
    uint8_t *answer = mem_alloc(WORLD_FILE_BYTES);
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    world_do(&w, cut_file);
    client_ask(fd, 'f', 0);
    assert_false(fixture_receive(fd, answer, WORLD_FILE_BYTES));
    close(fd);
    mem_free(answer);
    world_close(&w);
}

static void frames_without_an_answer_do_not_stop_the_others(void **state)
{
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 100; i++) {
        client_ask(fd, 'n', i);
    }
    client_ask(fd, 'e', 5);
    assert_int_equal(client_number(fd), 5);
    assert_int_equal(atomic_load(&w.started), 101);
    close(fd);
    world_close(&w);
}

/* ---- back-pressure ---- */

/* As much as the socket takes; gives the number of whole frames. */
static uint32_t send_until_full(int fd, char kind, uint32_t number,
                                uint32_t frames_max)
{
    uint8_t frames[900];
    uint64_t sent = 0;
    size_t bytes = 0;

    while (bytes < sizeof(frames)) {
        bytes += client_frame(frames + bytes, kind, number, 5);
    }
    for (unsigned idle = 0; idle < 20 && sent / 9 < frames_max;) {
        size_t at = sent % bytes;
        ssize_t got =
            send(fd, frames + at, bytes - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (got < 0) {
            must(errno == EAGAIN);
            world_sleep_ms(10);
            idle++;
        } else {
            idle = 0;
            sent += (uint64_t)got;
        }
    }
    return (uint32_t)(sent / 9);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    struct net_world w = world_init();
    uint32_t count;
    int small = 65536;
    int fd;

    world_open(&w, 1, 64 * MIB);
    fd = client_open(&w);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    count = send_until_full(fd, 'b', 100000, 2000000);
    assert_true(count < 2000000);
    /* 1 MiB unsent, one answer, and the frames that were read. */
    assert_true(world_used(&w) < 3 * MIB);
    assert_true(atomic_load(&w.started) < 200);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(client_number(fd), 0);
    }
    close(fd);
    world_close(&w);
}

/* An answer of nine bytes holds a kilobyte of ours. */
static void small_answers_that_nobody_reads_are_bounded_too(void **state)
{
    struct net_world w = world_init();
    uint32_t count;
    int small = 65536;
    int fd;

    w.options.limits.output_bytes = 64 * MIB;
    world_open(&w, 1, 64 * MIB);
    fd = client_open(&w);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    count = send_until_full(fd, 'e', 1, 4000000);
    assert_true(count < 4000000);
    assert_true(world_used(&w) < 4 * MIB);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(client_number(fd), 1);
    }
    close(fd);
    world_close(&w);
}

static void a_client_that_never_reads_is_closed_when_idle(void **state)
{
    struct net_world w = world_init();
    int small = 65536;
    int fd;

    w.options.limits.idle_ms = 300;
    world_open(&w, 1, 64 * MIB);
    fd = client_open(&w);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < 100; i++) {
        client_ask(fd, 'b', 100000);
    }
    assert_true(world_comes_down_to(&w, 0));
    assert_int_equal(world_used(&w), 0);
    close(fd);
    world_close(&w);
}

/* ---- memory ---- */

static void an_idle_connection_holds_no_memory(void **state)
{
    struct net_world w = world_init();
    struct rlimit files;
    int count = 10000;
    int *fds;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * 10000 + 100) {
        count = (int)(files.rlim_cur - 100) / 2;
    }
    fds = mem_alloc((size_t)count * sizeof(*fds));
    world_open(&w, 2, 16 * MIB);
    for (int i = 0; i < count; i++) {
        fds[i] = client_open(&w);
        client_ask(fds[i], 'e', (uint32_t)i);
        assert_int_equal(client_number(fds[i]), i);
    }
    world_sleep_ms(50);
    assert_int_equal(world_used(&w), 0);
    assert_int_equal(net_connections(w.net), count);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    assert_true(world_comes_down_to(&w, 0));
    mem_free(fds);
    world_close(&w);
}

/* A length alone costs nothing: memory comes with the bytes. */
static void a_frame_takes_memory_only_as_it_comes(void **state)
{
    struct net_world w = world_init();
    uint8_t head[4 + 1000] = {0};
    int fds[100];

    world_open(&w, 1, 64 * MIB);
    bytes_put_u32(head, 60 * MIB);
    for (int i = 0; i < 100; i++) {
        fds[i] = client_open(&w);
        client_send(fds[i], head, sizeof(head));
    }
    world_sleep_ms(100);
    assert_true(world_used(&w) <= 100 * 64 * 1024);
    for (int i = 0; i < 100; i++) {
        close(fds[i]);
    }
    assert_true(world_comes_down_to(&w, 0));
    world_close(&w);
}

/* The one who gives memory back is on another loop than the one who waits. */
static void who_starves_is_read_again_when_memory_is_back(void **state)
{
    struct net_world w = world_init();
    uint8_t *frame = mem_alloc(2 * MIB);
    int fat, thin;

    world_open(&w, 2, 4 * MIB); /* 3 of them for large blocks */
    fat = client_open(&w);
    thin = client_open(&w);
    client_frame(frame, 'e', 1, 2 * MIB - 4);
    client_send(fat, frame, 2 * MIB - 100);
    world_sleep_ms(50);
    client_send(thin, frame, 4 + 65536); /* a frame that has begun */
    client_send(thin, frame, 2 * MIB - 4 - 65536 - 1000);
    world_sleep_ms(50);
    client_send(fat, frame, 100);
    assert_true(fixture_receive(fat, frame, 2 * MIB));
    client_frame(frame, 'e', 1, 2 * MIB - 4);
    client_send(thin, frame, 1000);
    assert_true(fixture_receive(thin, frame, 2 * MIB));
    close(fat);
    close(thin);
    mem_free(frame);
    world_close(&w);
}

/* Two that together do not fit must not wait for each other for ever. */
static void release_the_oldest(struct net_world *w)
{
    struct request *oldest = w->held[0];

    memmove(w->held, w->held + 1, sizeof(w->held) - sizeof(w->held[0]));
    w->held_count--;
    world_answer(oldest, oldest->frame, oldest->bytes);
}

/* A frame waits whole behind another one; a second client's request runs; then
 * requests take more than there is. */
static void world_go_over(struct net_world *w, int fds[2])
{
    world_open(w, 1, MIB);
    fds[0] = client_open(w);
    fds[1] = client_open(w);
    client_ask(fds[0], 'h', 1);
    client_ask(fds[0], 'e', 2);
    assert_true(world_reaches(&w->started, 1));
    client_ask(fds[1], 'h', 3);
    assert_true(world_reaches(&w->started, 2));
    world_sleep_ms(20);
    budget_charge(&w->budget, 20 * MIB);
    world_do(w, release_the_oldest);
    assert_int_equal(client_number(fds[0]), 1);
}

static void world_end_over(struct net_world *w, const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
    world_close(w);
}

static void nothing_starts_while_more_is_in_use_than_there_is(void **state)
{
    struct net_world w = world_init();
    int fds[2];

    world_go_over(&w, fds);
    world_sleep_ms(100);
    assert_int_equal(atomic_load(&w.started), 2);
    budget_give(&w.budget, 20 * MIB);
    assert_int_equal(client_number(fds[0]), 2);
    world_release(&w);
    assert_int_equal(client_number(fds[1]), 3);
    world_end_over(&w, fds);
}

static void one_request_goes_on_whatever_is_in_use(void **state)
{
    struct net_world w = world_init();
    int fds[2];

    world_go_over(&w, fds);
    world_release(&w); /* now none runs */
    assert_int_equal(client_number(fds[1]), 3);
    assert_int_equal(client_number(fds[0]), 2);
    budget_give(&w.budget, 20 * MIB);
    world_end_over(&w, fds);
}

/* Of two clients whose frames wait for memory, none has the one place twice in
 * a row. */
static void who_sends_ahead_does_not_keep_the_one_place(void **state)
{
    struct net_world w = world_init();
    int greedy, other;

    world_open(&w, 1, MIB);
    greedy = client_open(&w);
    other = client_open(&w);
    for (uint32_t i = 1; i <= 12; i++) {
        client_ask(greedy, 'h', i);
    }
    assert_true(world_reaches(&w.started, 1));
    budget_charge(&w.budget, 20 * MIB); /* and other reads before it is over */
    budget_give(&w.budget, 20 * MIB);
    client_ask(other, 'h', 100);
    assert_true(world_reaches(&w.started, 2));
    client_ask(other, 'e', 101); /* waits in its block behind 100 */
    world_sleep_ms(20);
    budget_charge(&w.budget, 20 * MIB);
    world_release(&w); /* 1 and 100 answered: none runs */
    assert_int_equal(client_number(greedy), 1);
    assert_int_equal(client_number(other), 100);
    for (uint32_t i = 2; i <= 11; i++) {
        world_sleep_ms(30);
        if (client_has(other, 1)) {
            break;
        }
        world_release(&w);
        assert_int_equal(client_number(greedy), i);
    }
    bool had_its_turn = client_has(other, 1);

    budget_give(&w.budget, 20 * MIB);
    for (int i = 0; i < 14; i++) {
        world_release(&w);
        world_sleep_ms(10);
    }
    assert_int_equal(client_number(other), 101);
    close(greedy);
    close(other);
    world_close(&w);
    assert_true(had_its_turn); /* among ten of the other's */
}

static void frames_that_starve_each_other_end_at_their_deadline(void **state)
{
    struct net_world w = world_init();
    uint8_t *frame = mem_alloc(MIB);
    int fds[4];
    int ended = 0;

    w.options.limits.half_frame_ms = 500;
    world_open(&w, 1, 2 * MIB);
    client_frame(frame, 'e', 1, MIB - 4);
    for (int i = 0; i < 4; i++) {
        fds[i] = client_open(&w);
        client_send(fds[i], frame, 600 * 1024);
    }
    for (int i = 0; i < 4; i++) {
        ended += client_ended(fds[i]) ? 1 : 0;
        close(fds[i]);
    }
    assert_int_equal(ended, 4);
    fds[0] = client_open(&w);
    client_send(fds[0], frame, MIB);
    assert_true(fixture_receive(fds[0], frame, MIB));
    close(fds[0]);
    mem_free(frame);
    world_close(&w);
}

/* ---- time ---- */

static void an_idle_connection_is_closed(void **state)
{
    struct net_world w = world_init();
    int idle, held;

    w.options.limits.idle_ms = 200;
    world_open(&w, 1, 16 * MIB);
    idle = client_open(&w);
    held = client_open(&w);
    client_ask(held, 'h', 1); /* who waits for our answer is not idle */
    assert_true(client_ended(idle));
    world_sleep_ms(300);
    world_release(&w);
    assert_int_equal(client_number(held), 1);
    assert_true(client_ended(held));
    close(idle);
    close(held);
    world_close(&w);
}

static void a_frame_that_does_not_end_is_closed(void **state)
{
    struct net_world w = world_init();
    uint8_t frame[9];
    int half, idle;

    w.options.limits.half_frame_ms = 200;
    world_open(&w, 1, 16 * MIB);
    half = client_open(&w);
    idle = client_open(&w);
    client_frame(frame, 'e', 1, 5);
    client_send(half, frame, 8);
    assert_true(client_ended(half));
    client_send(idle, frame, 9);
    assert_int_equal(client_number(idle), 1);
    close(half);
    close(idle);
    world_close(&w);
}

/* Each frame ends in time, though the connection is always inside of one. */
static void who_always_is_inside_a_frame_is_not_late(void **state)
{
    struct net_world w = world_init();
    uint8_t frames[18];
    int fd;

    w.options.limits.half_frame_ms = 300;
    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_frame(frames, 'e', 1, 5);
    client_frame(frames + 9, 'e', 1, 5);
    client_send(fd, frames, 5);
    for (int i = 0; i < 60; i++) {
        client_send(fd, frames + 5, 9); /* ends one, begins the next */
        assert_int_equal(client_number(fd), 1);
        world_sleep_ms(10);
    }
    close(fd);
    world_close(&w);
}

/* ---- ends ---- */

/* A producer that wants no answers sends and hangs up. */
static void what_was_sent_before_a_hang_up_is_done(void **state)
{
    struct net_world w = world_init();
    uint8_t *bytes = mem_alloc(4 * MIB);
    uint32_t frames = 2000;
    size_t count = 0;
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_ask(fd, 'o', 0);
    client_ask(fd, 'n', 0); /* waits for the first: nothing more is read */
    for (uint32_t i = 0; i < frames; i++) {
        count += client_frame(bytes + count, 'n', i, 1000);
    }
    client_send(fd, bytes, count);
    shutdown(fd, SHUT_WR);
    world_sleep_ms(50);
    assert_int_equal(atomic_load(&w.started), 1);
    world_release(&w);
    assert_true(world_reaches(&w.started, 2 + (int)frames));
    assert_true(world_comes_down_to(&w, 0));
    close(fd);
    mem_free(bytes);
    world_close(&w);
}

static void a_request_hears_that_its_client_is_gone(void **state)
{
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    for (uint32_t i = 0; i < 5; i++) {
        client_ask(fd, 'o', i);
    }
    assert_true(world_reaches(&w.started, 5));
    close(fd);
    assert_true(world_reaches(&w.gone, 5));
    assert_int_equal(net_connections(w.net), 1); /* they still run */
    world_release(&w);
    assert_true(world_comes_down_to(&w, 0));
    assert_int_equal(atomic_load(&w.gone), 5);
    world_close(&w);
}

static void a_client_that_resets_leaves_nothing(void **state)
{
    struct linger at_once = {.l_onoff = 1};
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    for (int i = 0; i < 50; i++) {
        fd = client_open(&w);
        client_ask(fd, 'b', 3 * MIB);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
    }
    fd = client_open(&w); /* taken when all others have been */
    client_ask(fd, 'e', 1);
    assert_int_equal(client_number(fd), 1);
    close(fd);
    assert_true(world_comes_down_to(&w, 0));
    assert_int_equal(world_used(&w), 0);
    world_close(&w);
}

static void a_stop_answers_what_runs_and_closes_the_rest(void **state)
{
    struct net_world w = world_init();
    int idle, held;

    world_open(&w, 2, 16 * MIB);
    held = client_open(&w);
    idle = client_open(&w);
    client_ask(held, 'h', 1);
    client_ask(held, 'e', 2); /* not begun: not done */
    assert_true(world_reaches(&w.started, 1));
    world_begin_close(&w);
    assert_true(client_ended(idle));
    world_release(&w);
    assert_int_equal(client_number(held), 1);
    assert_true(client_ended(held));
    close(idle);
    close(held);
    world_end_close(&w);
    assert_int_equal(atomic_load(&w.started), 1);
}

static void a_stop_waits_no_longer_than_its_grace(void **state)
{
    struct net_world w = world_init();
    int fd;

    world_open(&w, 1, 16 * MIB);
    fd = client_open(&w);
    client_ask(fd, 'h', 1);
    assert_true(world_reaches(&w.started, 1));
    world_begin_close(&w);
    assert_true(client_ended(fd));
    assert_int_equal(atomic_load(&w.gone), 1);
    world_release(&w);
    close(fd);
    world_end_close(&w);
}

/* ---- what runs ---- */

static _Atomic int visits;
static _Atomic int visited;

static void visit(void *arg, struct request **running, size_t count)
{
    must(arg == &visits);
    for (size_t i = 0; i < count; i++) {
        must(running[i]->frame[0] == 'o' && running[i]->begun_ms > 0);
    }
    atomic_fetch_add(&visited, (int)count);
    atomic_fetch_add(&visits, 1);
}

static void start_visit(struct net_world *w)
{
    net_visit(w->net, visit, &visits);
}

/* Nobody is asked any more. */
static void close_and_visit(struct net_world *w)
{
    world_start_close(w);
    start_visit(w);
}

/* Each loop is asked; what was answered or waits for its turn does not run. */
static void a_visit_sees_what_runs_on_every_loop(void **state)
{
    struct net_world w = world_init();
    int fds[2];

    visits = visited = 0;
    world_open(&w, 2, 16 * MIB);
    for (int i = 0; i < 2; i++) {
        fds[i] = client_open(&w);
        client_ask(fds[i], 'e', 1);
        assert_int_equal(client_number(fds[i]), 1);
    }
    for (uint32_t i = 0; i < 3; i++) { /* loop 0 has the first */
        client_ask(fds[0], 'o', i);
    }
    client_ask(fds[0], 'e', 3);
    assert_true(world_reaches(&w.started, 5));
    world_do(&w, start_visit);
    assert_true(world_reaches(&visits, 2));
    assert_int_equal(visited, 3);
    world_release(&w);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(client_number(fds[0]), i);
    }
    world_do(&w, start_visit);
    assert_true(world_reaches(&visits, 4));
    assert_int_equal(visited, 3);
    close(fds[0]);
    close(fds[1]);
    world_do(&w, close_and_visit);
    world_end_close(&w);
    assert_int_equal(visits, 4);
}

static _Atomic int reported;

static void report(void *arg, struct request *request)
{
    must(request->context == arg && !request->answered);
    atomic_fetch_add(&reported, 1);
}

static void every_end_of_a_request_is_reported_once(void **state)
{
    struct net_world w = world_init();
    int fds[2];

    reported = 0;
    w.options.handler.answered = report;
    world_open(&w, 1, 16 * MIB);
    fds[0] = client_open(&w);
    client_ask(fds[0], 'e', 1);
    assert_int_equal(client_number(fds[0]), 1);
    client_ask(fds[0], 'n', 2);
    client_ask(fds[0], 'x', 3);
    assert_true(client_ended(fds[0]));
    fds[1] = client_open(&w);
    client_ask(fds[1], 'h', 4);
    assert_true(world_reaches(&w.started, 4));
    close(fds[1]); /* its client is gone: it is answered all the same */
    assert_true(world_reaches(&w.gone, 1));
    assert_int_equal(reported, 3);
    world_release(&w);
    assert_true(world_comes_down_to(&w, 0));
    assert_int_equal(reported, 4);
    close(fds[0]);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_that_comes_byte_by_byte_is_answered),
        cmocka_unit_test(pipelined_frames_are_answered_in_their_order),
        cmocka_unit_test(frames_of_all_sizes_keep_their_bytes),
        cmocka_unit_test(a_frame_over_the_limit_ends_the_connection),
        cmocka_unit_test(a_refused_request_ends_the_connection),
        cmocka_unit_test(a_frame_waits_for_the_one_before_it),
        cmocka_unit_test(
            frames_that_overlap_run_together_and_are_answered_in_order),
        cmocka_unit_test(no_more_frames_overlap_than_the_limit_says),
        cmocka_unit_test(ranges_of_files_leave_between_memory),
        cmocka_unit_test(
            a_file_that_is_shorter_than_its_range_ends_the_connection),
        cmocka_unit_test(frames_without_an_answer_do_not_stop_the_others),
        cmocka_unit_test(a_client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(small_answers_that_nobody_reads_are_bounded_too),
        cmocka_unit_test(a_client_that_never_reads_is_closed_when_idle),
        cmocka_unit_test(an_idle_connection_holds_no_memory),
        cmocka_unit_test(a_frame_takes_memory_only_as_it_comes),
        cmocka_unit_test(who_starves_is_read_again_when_memory_is_back),
        cmocka_unit_test(nothing_starts_while_more_is_in_use_than_there_is),
        cmocka_unit_test(one_request_goes_on_whatever_is_in_use),
        cmocka_unit_test(who_sends_ahead_does_not_keep_the_one_place),
        cmocka_unit_test(frames_that_starve_each_other_end_at_their_deadline),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(a_frame_that_does_not_end_is_closed),
        cmocka_unit_test(who_always_is_inside_a_frame_is_not_late),
        cmocka_unit_test(what_was_sent_before_a_hang_up_is_done),
        cmocka_unit_test(a_request_hears_that_its_client_is_gone),
        cmocka_unit_test(a_client_that_resets_leaves_nothing),
        cmocka_unit_test(a_stop_answers_what_runs_and_closes_the_rest),
        cmocka_unit_test(a_stop_waits_no_longer_than_its_grace),
        cmocka_unit_test(a_visit_sees_what_runs_on_every_loop),
        cmocka_unit_test(every_end_of_a_request_is_reported_once),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
