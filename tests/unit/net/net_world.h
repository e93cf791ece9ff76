/* net_world.h - a net on real loops with a handler that does what frames say,
 * and blocking clients on the test's own thread.
 *
 * The first byte of a frame tells what becomes of it:
 *   e  answered at once with its own bytes
 *   n  no answer is due
 *   h  held until world_release()
 *   o  the same, and overlaps its like
 *   f  memory, a range of the world's file, memory
 *   b  a block of so many bytes, said by the next four
 *   x  refused */
#ifndef UNIT_NET_NET_WORLD_H
#define UNIT_NET_NET_WORLD_H

#include "base/bytes.h"
#include "base/must.h"
#include "lib/fixture.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WORLD_HELD_MAX = 256, WORLD_FILE_BYTES = 3 << 20 };

struct net_world {
    struct net_options options;
    struct budget budget;
    struct loops *loops;
    struct net *net;
    uint16_t port;
    pthread_t thread;
    sem_t done;
    enum err err; /* of net_listen() */
    struct why why;
    const char *host;
    uint16_t wanted_port;
    struct request *held[WORLD_HELD_MAX]; /* of loop 0 */
    int held_count;
    _Atomic int started;
    _Atomic int gone;
    bool newest_first; /* how world_release() answers */
    int file;
    char folder[FIXTURE_PATH_BYTES];
};

static inline uint8_t world_file_byte(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

static inline void world_answer(struct request *request, const void *ptr,
                                uint32_t bytes)
{
    struct part *parts = arena_array(&request->arena, 2, sizeof(*parts));
    uint8_t *head = arena_raw(&request->arena, 4);

    bytes_put_u32(head, bytes);
    parts[0] = (struct part){.ptr = head, .bytes = 4};
    parts[1] = (struct part){.ptr = ptr, .bytes = bytes};
    conn_respond(request, parts, 2);
}

static inline void world_gone(struct request *request)
{
    struct net_world *w = request->context;

    atomic_fetch_add(&w->gone, 1);
}

static inline void world_answer_file(struct net_world *w,
                                     struct request *request)
{
    struct part *parts = arena_array(&request->arena, 4, sizeof(*parts));
    uint8_t *head = arena_raw(&request->arena, 4);

    bytes_put_u32(head, 2 + WORLD_FILE_BYTES - 7);
    parts[0] = (struct part){.ptr = head, .bytes = 4};
    parts[1] = (struct part){.ptr = (const uint8_t *)"<", .bytes = 1};
    parts[2] = (struct part){
        .bytes = WORLD_FILE_BYTES - 7, .fd = w->file, .position = 7};
    parts[3] = (struct part){.ptr = (const uint8_t *)">", .bytes = 1};
    conn_respond(request, parts, 4);
}

static inline void world_request(void *arg, struct request *request)
{
    struct net_world *w = arg;

    atomic_fetch_add(&w->started, 1);
    request->context = w;
    switch (request->frame[0]) {
    case 'e':
        world_answer(request, request->frame, request->bytes);
        break;
    case 'n':
        conn_respond(request, NULL, 0);
        break;
    case 'h':
    case 'o':
        must(w->held_count < WORLD_HELD_MAX);
        w->held[w->held_count++] = request;
        request->gone = world_gone;
        break;
    case 'f':
        world_answer_file(w, request);
        break;
    case 'b': {
        uint32_t bytes = bytes_get_u32(request->frame + 1);

        world_answer(request, arena_alloc(&request->arena, bytes), bytes);
        break;
    }
    default:
        conn_refuse(request);
    }
}

static inline bool world_overlaps(void *arg, const uint8_t *frame,
                                  uint32_t bytes)
{
    must(bytes > 0);
    return frame[0] == 'o';
}

/* ---- on loop 0, for the test's thread ---- */

struct world_errand {
    struct mail mail;
    struct net_world *world;
    void (*run)(struct net_world *w);
    sem_t done;
};

static inline void world_errand_run(struct mail *mail)
{
    struct world_errand *errand = container_of(mail, struct world_errand, mail);

    errand->run(errand->world);
    sem_post(&errand->done);
}

static inline void world_do(struct net_world *w,
                            void (*run)(struct net_world *w))
{
    struct world_errand errand = {
        .mail = {.deliver = world_errand_run}, .world = w, .run = run};

    sem_init(&errand.done, 0, 0);
    mail_send(loops_at(w->loops, 0), &errand.mail);
    sem_wait(&errand.done);
    sem_destroy(&errand.done);
}

static inline void world_release_all(struct net_world *w)
{
    struct request *held[WORLD_HELD_MAX];
    int count = w->held_count;

    memcpy(held, w->held, sizeof(held));
    w->held_count = 0;
    for (int i = 0; i < count; i++) {
        struct request *request = held[w->newest_first ? count - 1 - i : i];

        world_answer(request, request->frame, request->bytes);
    }
}

static inline void world_release(struct net_world *w)
{
    world_do(w, world_release_all);
}

static inline void world_start(void *arg)
{
    struct net_world *w = arg;

    w->net = net_open(&w->options);
    w->err = net_listen(w->net, w->host, w->wanted_port, 0, &w->port, &w->why);
    net_start(w->net);
    sem_post(&w->done);
}

static inline void *world_thread(void *arg)
{
    struct net_world *w = arg;

    loops_run(w->loops, world_start, w);
    return NULL;
}

static inline void world_make_file(struct net_world *w)
{
    char path[FIXTURE_PATH_BYTES + 8];
    static uint8_t bytes[WORLD_FILE_BYTES];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = world_file_byte(i);
    }
    fixture_folder(w->folder);
    snprintf(path, sizeof(path), "%s/file", w->folder);
    w->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(w->file >= 0);
    must(write(w->file, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
}

/* Limits that nobody meets unless the test lowers them. */
static inline struct net_world world_init(void)
{
    return (struct net_world){
        .host = "127.0.0.1",
        .options = {
            .limits = {.frame_bytes = 64 << 20,
                       .connections = 100000,
                       .connections_per_ip = 100000,
                       .requests_running = 64,
                       .output_bytes = 1 << 20,
                       .idle_ms = 600000,
                       .half_frame_ms = 600000},
            .handler = {.request = world_request, .overlaps = world_overlaps}}};
}

/* w: of world_init(), where it will stay. */
static inline void world_open(struct net_world *w, unsigned loops,
                              uint64_t budget_bytes)
{
    budget_init(&w->budget, budget_bytes);
    must(loops_open(loops, 1, &w->loops, NULL) == ERR_NONE);
    w->options.loops = w->loops;
    w->options.budget = &w->budget;
    w->options.handler.arg = w;
    world_make_file(w);
    sem_init(&w->done, 0, 0);
    must(pthread_create(&w->thread, NULL, world_thread, w) == 0);
    sem_wait(&w->done);
}

static inline void world_net_closed(void *arg)
{
    struct net_world *w = arg;

    sem_post(&w->done);
}

static inline void world_start_close(struct net_world *w)
{
    net_close(w->net, 200, world_net_closed, w);
}

/* Starts the end; world_end_close() waits for it. */
static inline void world_begin_close(struct net_world *w)
{
    world_do(w, world_start_close);
}

static inline void world_end_close(struct net_world *w)
{
    sem_wait(&w->done);
    loops_stop(w->loops);
    pthread_join(w->thread, NULL);
    loops_close(w->loops);
    sem_destroy(&w->done);
    close(w->file);
    fixture_remove(w->folder);
    /* Nothing of what clients made large is left. */
    assert_int_equal(atomic_load(&w->budget.used_bytes), 0);
}

static inline void world_close(struct net_world *w)
{
    world_begin_close(w);
    world_end_close(w);
}

static inline uint64_t world_used(const struct net_world *w)
{
    return atomic_load(&w->budget.used_bytes);
}

static inline void world_sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* Waits up to ten seconds until *count is at least wanted. */
static inline bool world_reaches(_Atomic int *count, int wanted)
{
    for (int i = 0; i < 2000 && atomic_load(count) < wanted; i++) {
        world_sleep_ms(5);
    }
    return atomic_load(count) >= wanted;
}

/* Waits until so many connections are left. */
static inline bool world_comes_down_to(const struct net_world *w,
                                       uint32_t wanted)
{
    for (int i = 0; i < 2000 && net_connections(w->net) > wanted; i++) {
        world_sleep_ms(5);
    }
    return net_connections(w->net) == wanted;
}

/* ---- clients ---- */

static inline int client_open(const struct net_world *w)
{
    return fixture_dial(w->port);
}

static inline void client_send(int fd, const void *bytes, size_t count)
{
    must(fixture_send(fd, bytes, count));
}

/* A frame of kind, the number, and fill up to bytes in all. */
static inline size_t client_frame(uint8_t *into, char kind, uint32_t number,
                                  uint32_t bytes)
{
    bytes_put_u32(into, bytes);
    memset(into + 4, 0x55, bytes);
    into[4] = (uint8_t)kind;
    if (bytes >= 5) {
        bytes_put_u32(into + 5, number);
    }
    return 4 + bytes;
}

static inline void client_ask(int fd, char kind, uint32_t number)
{
    uint8_t frame[9];

    client_send(fd, frame, client_frame(frame, kind, number, 5));
}

/* The number in the next answer; -1: the connection ended. */
static inline int64_t client_number(int fd)
{
    uint8_t head[4];
    static uint8_t body[1 << 22];

    if (!fixture_receive(fd, head, 4)) {
        return -1;
    }
    must(bytes_get_u32(head) <= sizeof(body));
    if (!fixture_receive(fd, body, bytes_get_u32(head))) {
        return -1;
    }
    return bytes_get_u32(body + 1);
}

/* Whether something can be read, or the end, within so long. */
static inline bool client_has(int fd, unsigned ms)
{
    struct timeval wait = {.tv_usec = (suseconds_t)ms * 1000};
    fd_set set;

    FD_ZERO(&set);
    must(fd < FD_SETSIZE);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &wait) > 0;
}

static inline bool client_ended(int fd)
{
    uint8_t byte;

    return !fixture_receive(fd, &byte, 1);
}

#endif
