/* Loops: turns, timers, tasks, mail, disk threads, fences, signals, sleep. */
#include "run/loop.h"
#include "base/mem.h"
#include "base/must.h"

#include "lib/fixture.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a test sees; the loops of the running one. */
static struct loops *loops;
static char seen[4096];

static struct env *env0(void)
{
    return loop_env(loops_at(loops, 0));
}

static void see(const char *what)
{
    must(strlen(seen) + strlen(what) < sizeof(seen));
    strcat(seen, what);
}

static void run_loops(unsigned count, unsigned threads,
                      void (*start)(void *arg))
{
    seen[0] = '\0';
    assert_int_equal(loops_open(count, threads, &loops, NULL), ERR_NONE);
    loops_run(loops, start, NULL);
    loops_close(loops);
    loops = NULL;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int thread_count(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    int count = 0;

    while (fgets(line, sizeof(line), status) != NULL) {
        if (sscanf(line, "Threads: %d", &count) == 1) {
            break;
        }
    }
    fclose(status);
    return count;
}

/* ---- start and stop ---- */

static void start_stops(void *arg)
{
    assert_true(loop_is_current(loops_at(loops, 0)));
    assert_ptr_equal(loop_current(), loops_at(loops, 0));
    assert_int_equal(loops_count(loops), 3);
    assert_int_equal(loop_index(loops_at(loops, 2)), 2);
    assert_false(loop_is_current(loops_at(loops, 2)));
    see("start");
    loops_stop(loops);
}

static void loops_run_from_start_to_stop(void **state)
{
    run_loops(3, 1, start_stops);
    assert_string_equal(seen, "start");
    assert_null(loop_current());
}

static void loops_that_never_ran_are_closed(void **state)
{
    assert_int_equal(loops_open(4, 4, &loops, NULL), ERR_NONE);
    loops_close(loops);
    loops_close(NULL);
}

static void the_default_is_half_the_processors_and_at_least_one(void **state)
{
    unsigned count = loops_default_count();

    assert_true(count >= 1 && count <= LOOPS_MAX);
    assert_true(count == 1 ||
                count <= (unsigned)sysconf(_SC_NPROCESSORS_CONF) / 2);
}

static void no_descriptors_is_an_error_with_a_reason(void **state)
{
    struct rlimit before, few;
    struct why why = {""};
    enum err err;

    getrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t left = 3; left < 40; left += 3) {
        few = (struct rlimit){left, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        err = loops_open(4, 1, &loops, &why);
        setrlimit(RLIMIT_NOFILE, &before);
        if (err == ERR_NONE) {
            loops_close(loops);
            break;
        }
        assert_int_equal(err, ERR_SYSTEM);
        assert_non_null(strstr(why.text, "too many open files"));
    }
    assert_int_equal(err, ERR_NONE);
    assert_true(why.text[0] != '\0');
}

/* ---- timers ---- */

static struct env_timer timers[5];
static int64_t started_ms;

static void timer_sees(struct env_timer *timer)
{
    char text[2] = {(char)('0' + (timer - timers)), '\0'};

    see(text);
}

static void timer_stops(struct env_timer *timer)
{
    assert_true(env_now_ms(env0()) >= started_ms + 30);
    see("s");
    loops_stop(loops);
}

static void start_timers(void *arg)
{
    memset(timers, 0, sizeof(timers));
    started_ms = env_now_ms(env0());
    for (int i = 0; i < 4; i++) {
        timers[i].fire = timer_sees;
    }
    env_timer_set(env0(), &timers[0], 20);
    env_timer_set(env0(), &timers[1], 5);
    env_timer_set(env0(), &timers[2], -7);
    env_timer_set(env0(), &timers[3], 10);
    env_timer_set(env0(), &timers[1], 15); /* moved */
    env_timer_stop(env0(), &timers[3]);
    env_timer_stop(env0(), &timers[3]);
    timers[4].fire = timer_stops;
    env_timer_set(env0(), &timers[4], 30);
    see(".");
}

static void timers_fire_once_in_the_order_of_their_deadlines(void **state)
{
    run_loops(1, 1, start_timers);
    assert_string_equal(seen, ".210s");
}

static int fires_left;

static void timer_again(struct env_timer *timer)
{
    if (--fires_left == 0) {
        loops_stop(loops);
        return;
    }
    env_timer_set(env0(), timer, 0);
    see("a");
}

static void mail_sees(struct mail *mail)
{
    see("m");
    mem_free(mail);
}

static void send(struct loop *to, void (*deliver)(struct mail *mail))
{
    struct mail *mail = MEM_NEW(struct mail);

    mail->deliver = deliver;
    mail_send(to, mail);
}

static void start_again(void *arg)
{
    memset(timers, 0, sizeof(timers));
    fires_left = 4;
    timers[0].fire = timer_again;
    env_timer_set(env0(), &timers[0], 0);
    send(loops_at(loops, 0), mail_sees);
}

/* It must not keep others from their turn. */
static void a_timer_without_delay_waits_for_the_next_turn(void **state)
{
    run_loops(1, 1, start_again);
    assert_null(strstr(seen, "aaam"));
    assert_non_null(strchr(seen, 'm'));
}

static void start_far(void *arg)
{
    memset(timers, 0, sizeof(timers));
    timers[0].fire = timers[1].fire = timer_sees;
    env_timer_set(env0(), &timers[0], INT64_MAX);
    env_timer_set(env0(), &timers[1], 100000);
    loops_stop(loops);
}

static void timers_do_not_keep_a_stopped_loop(void **state)
{
    run_loops(1, 1, start_far);
    assert_string_equal(seen, "");
    assert_int_equal(timers[0].node.place, 0);
}

static void start_clock(void *arg)
{
    int64_t wall = env_wall_ms(env0());
    uint8_t random[64] = {0};
    uint8_t other[64] = {0};

    assert_true(wall > 1700000000000 && wall < 4000000000000);
    env_random(env0(), random, sizeof(random));
    env_random(env0(), other, sizeof(other));
    assert_memory_not_equal(random, other, sizeof(random));
    env_random(env0(), random, 0);
    assert_ptr_equal(env0()->disk, disk_real());
    loops_stop(loops);
}

static void the_env_has_clocks_random_numbers_and_the_disk(void **state)
{
    run_loops(1, 1, start_clock);
}

/* ---- tasks ---- */

static struct env_task tasks[3];
static int rounds_left;

static void task_sees(struct env_task *task)
{
    see("t");
}

static void task_chains(struct env_task *task)
{
    see("c");
    env_soon(env0(), &tasks[1]);
}

static void timer_soon(struct env_timer *timer)
{
    see("T");
    env_soon(env0(), &tasks[0]);
    env_timer_set(env0(), &timers[1], 40);
}

static void mail_stops(struct mail *mail)
{
    mem_free(mail);
    loops_stop(loops);
}

static void timer_mails_stop(struct env_timer *timer)
{
    see("E");
    send(loops_at(loops, 0), mail_stops);
}

static void mail_soon(struct mail *mail)
{
    mem_free(mail);
    see("m");
    env_soon(env0(), &tasks[0]);
    env_soon(env0(), &tasks[0]);
}

static void start_soon(void *arg)
{
    memset(tasks, 0, sizeof(tasks));
    memset(timers, 0, sizeof(timers));
    tasks[0].run = task_chains;
    tasks[1].run = task_sees;
    send(loops_at(loops, 0), mail_soon);
    send(loops_at(loops, 0), mail_soon);
    timers[0].fire = timer_soon;
    timers[1].fire = timer_mails_stop;
    env_timer_set(env0(), &timers[0], 20);
}

/* Two mails of one turn, one task behind both; a task put off by a task runs in
 * the same turn; one put off by a timer does not wait for something else. */
static void tasks_run_once_at_the_end_of_the_turn(void **state)
{
    run_loops(1, 1, start_soon);
    assert_string_equal(seen, "mmctTctE");
}

static void task_repeats(struct env_task *task)
{
    if (--rounds_left > 0) {
        env_soon(env0(), task);
    } else {
        loops_stop(loops);
    }
}

static void start_repeats(void *arg)
{
    memset(tasks, 0, sizeof(tasks));
    rounds_left = 1000;
    tasks[0].run = task_repeats;
    env_soon(env0(), &tasks[0]);
    send(loops_at(loops, 0), mail_sees);
}

static void a_task_that_repeats_itself_lets_others_have_their_turn(void **state)
{
    run_loops(1, 1, start_repeats);
    assert_int_equal(rounds_left, 0);
    assert_string_equal(seen, "m");
}

/* ---- mail ---- */

enum { SENDERS = 3, LETTERS = 3000 };

struct letter {
    struct mail mail;
    int sender;
    int number;
};

static int next_letter[SENDERS];
static _Atomic int letters_left;

static void letter_arrives(struct mail *mail)
{
    struct letter *letter = container_of(mail, struct letter, mail);

    must(loop_index(loop_current()) == 1);
    must(next_letter[letter->sender]++ == letter->number);
    mem_free(letter);
    if (--letters_left == 0) {
        loops_stop(loops);
    }
}

static void *send_letters(void *arg)
{
    int sender = (int)(intptr_t)arg;

    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = MEM_NEW(struct letter);

        *letter = (struct letter){{letter_arrives, NULL}, sender, i};
        mail_send(loops_at(loops, 1), &letter->mail);
    }
    return NULL;
}

static void send_own_letters(struct mail *mail)
{
    mem_free(mail);
    send_letters((void *)(intptr_t)2);
}

static pthread_t senders[2];

static void start_senders(void *arg)
{
    memset(next_letter, 0, sizeof(next_letter));
    letters_left = SENDERS * LETTERS;
    for (int i = 0; i < 2; i++) {
        pthread_create(&senders[i], NULL, send_letters, (void *)(intptr_t)i);
    }
    send(loops_at(loops, 1), send_own_letters);
}

static void mail_arrives_in_the_order_of_each_sender(void **state)
{
    run_loops(2, 1, start_senders);
    pthread_join(senders[0], NULL);
    pthread_join(senders[1], NULL);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(next_letter[i], LETTERS);
    }
}

static int trips;

static void mail_travels(struct mail *mail)
{
    unsigned here = loop_index(loop_current());

    if (++trips == 4000) {
        loops_stop(loops);
        return;
    }
    mail_send(loops_at(loops, (here + 1) % 4), mail);
}

static struct mail traveller;

static void start_travel(void *arg)
{
    trips = 0;
    traveller.deliver = mail_travels;
    mail_send(loops_at(loops, 1), &traveller);
}

/* trips is written by each loop in turn: the mail orders them (TSan). */
static void
what_was_written_before_the_send_is_seen_at_the_deliver(void **state)
{
    run_loops(4, 1, start_travel);
    assert_int_equal(trips, 4000);
}

static void mail_ends(struct mail *mail)
{
    see("2");
    loops_stop(loops);
    mem_free(mail);
}

static void mail_to_self(struct mail *mail)
{
    mem_free(mail);
    send(loops_at(loops, 0), mail_ends);
    see("1");
}

static void start_self(void *arg)
{
    send(loops_at(loops, 0), mail_to_self);
    see("0");
}

static void mail_to_oneself_arrives_in_a_later_turn(void **state)
{
    run_loops(1, 1, start_self);
    assert_string_equal(seen, "012");
}

/* ---- disk threads ---- */

enum { JOBS = 400, KEYS = 7 };

struct job {
    struct work work;
    int number;
};

static struct job jobs[JOBS];
static int last_run[KEYS];  /* each touched by one thread at a time */
static int last_done[KEYS]; /* by the home loop */
static _Atomic int running[KEYS];
static int jobs_left;

static struct job *job_of(struct work *work)
{
    return container_of(work, struct job, work);
}

static void job_run(struct work *work)
{
    must(loop_current() == NULL);
    must(atomic_fetch_add(&running[work->key], 1) == 0);
    must(last_run[work->key] < job_of(work)->number);
    last_run[work->key] = job_of(work)->number;
    if (job_of(work)->number % 50 == 0) {
        sleep_ms(1);
    }
    atomic_fetch_sub(&running[work->key], 1);
}

static void job_done(struct work *work)
{
    must(loop_is_current(loops_at(loops, 0)));
    must(last_done[work->key] < job_of(work)->number);
    last_done[work->key] = job_of(work)->number;
    if (--jobs_left == 0) {
        loops_stop(loops);
    }
}

static void start_jobs(void *arg)
{
    memset(jobs, 0, sizeof(jobs));
    jobs_left = JOBS;
    for (int k = 0; k < KEYS; k++) {
        last_run[k] = last_done[k] = -1;
    }
    for (int i = 0; i < JOBS; i++) {
        jobs[i].work = (struct work){
            .run = job_run, .done = job_done, .key = (uint64_t)i % KEYS};
        jobs[i].number = i;
        env_work(env0(), &jobs[i].work);
    }
    see("submitted");
}

static void jobs_of_a_key_run_and_end_in_order(void **state)
{
    run_loops(1, 4, start_jobs);
    assert_int_equal(jobs_left, 0);
}

static void jobs_are_the_same_with_one_thread(void **state)
{
    run_loops(1, 1, start_jobs);
    assert_int_equal(jobs_left, 0);
}

static _Atomic bool slow_may_end;

static void slow_run(struct work *work)
{
    while (!slow_may_end) {
        sleep_ms(1);
    }
}

static void slow_done(struct work *work)
{
    see("s");
    loops_stop(loops);
}

static void quick_run(struct work *work)
{
}

static void quick_done(struct work *work)
{
    see("q");
    if (--jobs_left == 0) {
        slow_may_end = true;
    }
}

static void start_slow(void *arg)
{
    slow_may_end = false;
    memset(jobs, 0, sizeof(jobs));
    jobs[0].work = (struct work){.run = slow_run, .done = quick_done};
    jobs[1].work = (struct work){.run = quick_run, .done = slow_done};
    env_work(env0(), &jobs[0].work);
    env_work(env0(), &jobs[1].work); /* behind the slow one */
    jobs_left = 8;
    for (int i = 2; i < 10; i++) {
        jobs[i].work = (struct work){
            .run = quick_run, .done = quick_done, .key = (uint64_t)i};
        env_work(env0(), &jobs[i].work);
    }
}

static void a_slow_key_blocks_no_other(void **state)
{
    run_loops(1, 2, start_slow);
    assert_string_equal(seen, "qqqqqqqqqs");
}

static void start_last_job(void *arg)
{
    memset(jobs, 0, sizeof(jobs));
    jobs[0].work = (struct work){.run = slow_run, .done = slow_done};
    slow_may_end = false;
    env_work(env0(), &jobs[0].work);
    loops_stop(loops);
    slow_may_end = true;
}

static void a_stopped_loop_waits_for_its_jobs(void **state)
{
    run_loops(2, 1, start_last_job);
    assert_string_equal(seen, "s");
}

static void late_done(struct work *work)
{
    see("l");
}

static void soon_submits(struct env_task *task)
{
    env_work(env0(), &jobs[0].work);
}

static void start_late_job(void *arg)
{
    memset(jobs, 0, sizeof(jobs));
    memset(tasks, 0, sizeof(tasks));
    jobs[0].work = (struct work){.run = quick_run, .done = late_done};
    tasks[0].run = soon_submits;
    env_soon(env0(), &tasks[0]);
    loops_stop(loops); /* seen before the task runs */
}

static void a_job_of_the_last_turn_is_waited_for(void **state)
{
    run_loops(1, 1, start_late_job);
    assert_string_equal(seen, "l");
}

static int threads_before;

static void thread_done(struct work *work)
{
    assert_int_equal(thread_count(), threads_before + 1);
    if (--jobs_left > 0) {
        env_work(env0(), work);
    } else {
        loops_stop(loops);
    }
}

static void start_threads(void *arg)
{
    memset(jobs, 0, sizeof(jobs));
    threads_before = thread_count();
    jobs_left = 20;
    jobs[0].work = (struct work){.run = quick_run, .done = thread_done};
    env_work(env0(), &jobs[0].work);
}

static void threads_start_only_when_there_is_work_for_them(void **state)
{
    run_loops(1, 8, start_threads);
}

static _Atomic int jobs_of_all;

static void shared_done(struct work *work)
{
    struct job *job = job_of(work);

    must(loop_index(loop_current()) == (unsigned)job->number % 3);
    mem_free(job);
    if (--jobs_of_all == 0) {
        loops_stop(loops);
    }
}

static int shared_counter; /* of key 9: one thread at a time */

static void shared_run(struct work *work)
{
    shared_counter++;
}

static void submit_shared(struct mail *mail)
{
    struct loop *here = loop_current();

    for (int i = 0; i < 300; i++) {
        struct job *job = MEM_NEW(struct job);

        job->number = (int)loop_index(here);
        job->work =
            (struct work){.run = shared_run, .done = shared_done, .key = 9};
        env_work(loop_env(here), &job->work);
    }
    mem_free(mail);
}

static void start_shared(void *arg)
{
    jobs_of_all = 900;
    shared_counter = 0;
    for (unsigned i = 0; i < 3; i++) {
        send(loops_at(loops, i), submit_shared);
    }
}

static void a_key_is_one_for_all_loops_and_jobs_come_home(void **state)
{
    run_loops(3, 4, start_shared);
    assert_int_equal(shared_counter, 900);
}

/* ---- fences ---- */

static struct env_fence fence;
static struct env_task fence_task;
static _Atomic(int *) published;

static void fence_sees(struct env_fence *done)
{
    assert_true(loop_is_current(loops_at(loops, 0)));
    see("f");
    loops_stop(loops);
}

static void task_before_fence(struct env_task *task)
{
    see("t");
}

static void start_fence_alone(void *arg)
{
    fence = (struct env_fence){.done = fence_sees};
    fence_task = (struct env_task){.run = task_before_fence};
    env_fence(env0(), &fence);
    env_soon(env0(), &fence_task);
    see("a");
}

static void a_fence_of_one_loop_ends_in_a_later_turn(void **state)
{
    run_loops(1, 1, start_fence_alone);
    assert_string_equal(seen, "atf");
}

static _Atomic bool is_busy, task_has_run;

static void mail_keeps_busy(struct mail *mail)
{
    mem_free(mail);
    is_busy = true;
    sleep_ms(100);
}

static void slow_task(struct env_task *task)
{
    sleep_ms(50);
    task_has_run = true;
}

static void mail_puts_off(struct mail *mail)
{
    mem_free(mail);
    env_soon(loop_env(loop_current()), &fence_task);
}

static void fence_comes_last(struct env_fence *done)
{
    see(task_has_run ? "after" : "before");
    loops_stop(loops);
}

/* While loop 1 is busy, what makes it put off a task and the fence come in, so
 * that it finds both in one turn. */
static void start_fence_and_task(void *arg)
{
    is_busy = task_has_run = false;
    fence_task = (struct env_task){.run = slow_task};
    fence = (struct env_fence){.done = fence_comes_last};
    send(loops_at(loops, 1), mail_keeps_busy);
    while (!is_busy) {
        sleep_ms(1);
    }
    send(loops_at(loops, 1), mail_puts_off);
    env_fence(env0(), &fence);
}

static void a_fence_leaves_a_loop_behind_the_tasks_of_the_turn(void **state)
{
    run_loops(2, 1, start_fence_and_task);
    assert_string_equal(seen, "after");
}

/* A reader takes the pointer in a socket's callback and uses it in a task at
 * the end of the turn, as often as it can; the owner unpublishes, waits for the
 * fence, frees. ASan and TSan watch. */
struct reader {
    struct mail mail;
    struct env_task task;
    int *held;
    int sum;
};

static struct reader readers[3];

static void reader_use(struct env_task *task)
{
    struct reader *reader = container_of(task, struct reader, task);

    if (reader->held != NULL) {
        reader->sum += *reader->held;
        reader->held = NULL;
    }
}

static void reader_turn(struct mail *mail)
{
    struct reader *reader = container_of(mail, struct reader, mail);
    struct loop *here = loop_current();

    reader->held = atomic_load_explicit(&published, memory_order_acquire);
    env_soon(loop_env(here), &reader->task);
    if (letters_left > 0) {
        mail_send(here, mail);
    }
}

static int *owned;

static void owner_free(struct env_fence *done)
{
    mem_free(owned);
    owned = NULL;
    if (--letters_left == 0) {
        loops_stop(loops);
        return;
    }
    owned = MEM_NEW(int);
    *owned = 1;
    atomic_store_explicit(&published, owned, memory_order_release);
    env_timer_set(env0(), &timers[0], 1);
}

static void owner_unpublish(struct env_timer *timer)
{
    atomic_store_explicit(&published, NULL, memory_order_relaxed);
    env_fence(env0(), &fence);
}

static void start_readers(void *arg)
{
    memset(timers, 0, sizeof(timers));
    memset(readers, 0, sizeof(readers));
    letters_left = 100;
    timers[0].fire = owner_unpublish;
    fence = (struct env_fence){.done = owner_free};
    owned = MEM_NEW(int);
    published = owned;
    for (unsigned i = 0; i < 3; i++) {
        readers[i].mail.deliver = reader_turn;
        readers[i].task.run = reader_use;
        mail_send(loops_at(loops, i + 1), &readers[i].mail);
    }
    env_timer_set(env0(), &timers[0], 1);
}

static void nobody_reads_what_was_unpublished_before_a_fence(void **state)
{
    run_loops(4, 1, start_readers);
    assert_int_equal(letters_left, 0);
}

static void never(struct work *work)
{
    abort();
}

static void start_without_threads(void *arg)
{
    static struct work work = {.run = never, .done = never};
    struct rlimit none = {0, 0};

    (void)!setuid(65534); /* root may start as many as it likes */
    must(setrlimit(RLIMIT_NPROC, &none) == 0);
    env_work(env0(), &work);
    sleep_ms(10000);
}

/* Nothing would ever be on disk: it ends, and says what to raise. */
static void without_any_disk_thread_the_process_ends_and_says_why(void **state)
{
    char text[1024] = "";
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        run_loops(1, 1, start_without_threads);
        _exit(9);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(text, "could not start the first disk thread"));
    assert_non_null(strstr(text, "ulimit -u"));
}

/* ---- signals ---- */

static void signalled(void *arg, int number)
{
    must(loop_is_current(loops_at(loops, 0)));
    see(number == SIGTERM ? "T" : number == SIGINT ? "I" : "U");
    if (strlen(seen) == 3) {
        loops_stop(loops);
    } else {
        kill(getpid(), number == SIGINT ? SIGTERM : SIGUSR1);
    }
}

static void start_signals(void *arg)
{
    loops_on_signal(loops, signalled, NULL);
    kill(getpid(), SIGINT);
}

static void signals_arrive_on_loop_0(void **state)
{
    run_loops(2, 1, start_signals);
    assert_string_equal(seen, "ITU");
}

static void start_pipe(void *arg)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
    loops_stop(loops);
}

static void a_broken_pipe_is_no_signal(void **state)
{
    run_loops(1, 1, start_pipe);
}

/* ---- sleep ---- */

/* How often a thread of this process went to sleep, if it is one of ours. */
static long switches_of(const char *thread)
{
    char path[64];
    char line[256];
    char name[32] = "";
    long count = 0;
    bool is_ours = atoi(thread) == (int)getpid();
    FILE *status;

    snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", thread);
    status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (sscanf(line, "Name: %31s", name) == 1) {
            is_ours |= strncmp(name, "loop-", 5) == 0;
            is_ours |= strcmp(name, "disk") == 0;
        }
        sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    }
    if (status != NULL) {
        fclose(status);
    }
    return is_ours ? count : 0;
}

static void add_switches(void *arg, const char *name, bool is_folder)
{
    *(long *)arg += switches_of(name);
}

static long switches(void)
{
    long sum = 0;

    must(disk_list(disk_real(), "/proc/self/task", add_switches, &sum, NULL) ==
         ERR_NONE);
    return sum;
}

static void *watch_sleep(void *arg)
{
    long before, after;

    do { /* until what was started has ended */
        before = switches();
        sleep_ms(300);
    } while (switches() != before);
    sleep_ms(2000);
    after = switches();
    *(long *)arg = after - before;
    loops_stop(loops);
    return NULL;
}

static pthread_t watcher;
static long switches_of_idle;

static void mail_freed(struct mail *mail)
{
    mem_free(mail);
}

static void start_idle(void *arg)
{
    memset(tasks, 0, sizeof(tasks));
    memset(timers, 0, sizeof(timers));
    memset(jobs, 0, sizeof(jobs));
    /* Everything has been used once: only then it could go on for ever. */
    tasks[0].run = task_sees;
    env_soon(env0(), &tasks[0]);
    timers[0].fire = timers[1].fire = timer_sees;
    env_timer_set(env0(), &timers[0], 1);
    env_timer_set(env0(), &timers[1], 100);
    env_timer_stop(env0(), &timers[1]);
    jobs[0].work = (struct work){.run = quick_run, .done = quick_done};
    jobs_left = 2;
    env_work(env0(), &jobs[0].work);
    send(loops_at(loops, 1), mail_freed);
    pthread_create(&watcher, NULL, watch_sleep, &switches_of_idle);
}

/* Two loops, a disk thread, all used before: not one wake-up in two seconds. */
static void an_idle_process_does_not_wake_up(void **state)
{
    run_loops(2, 2, start_idle);
    pthread_join(watcher, NULL);
    assert_int_equal(switches_of_idle, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_run_from_start_to_stop),
        cmocka_unit_test(loops_that_never_ran_are_closed),
        cmocka_unit_test(the_default_is_half_the_processors_and_at_least_one),
        cmocka_unit_test(no_descriptors_is_an_error_with_a_reason),
        cmocka_unit_test(timers_fire_once_in_the_order_of_their_deadlines),
        cmocka_unit_test(a_timer_without_delay_waits_for_the_next_turn),
        cmocka_unit_test(timers_do_not_keep_a_stopped_loop),
        cmocka_unit_test(the_env_has_clocks_random_numbers_and_the_disk),
        cmocka_unit_test(tasks_run_once_at_the_end_of_the_turn),
        cmocka_unit_test(
            a_task_that_repeats_itself_lets_others_have_their_turn),
        cmocka_unit_test(mail_arrives_in_the_order_of_each_sender),
        cmocka_unit_test(
            what_was_written_before_the_send_is_seen_at_the_deliver),
        cmocka_unit_test(mail_to_oneself_arrives_in_a_later_turn),
        cmocka_unit_test(jobs_of_a_key_run_and_end_in_order),
        cmocka_unit_test(jobs_are_the_same_with_one_thread),
        cmocka_unit_test(a_slow_key_blocks_no_other),
        cmocka_unit_test(a_stopped_loop_waits_for_its_jobs),
        cmocka_unit_test(a_job_of_the_last_turn_is_waited_for),
        cmocka_unit_test(threads_start_only_when_there_is_work_for_them),
        cmocka_unit_test(a_key_is_one_for_all_loops_and_jobs_come_home),
        cmocka_unit_test(a_fence_of_one_loop_ends_in_a_later_turn),
        cmocka_unit_test(a_fence_leaves_a_loop_behind_the_tasks_of_the_turn),
        cmocka_unit_test(nobody_reads_what_was_unpublished_before_a_fence),
        cmocka_unit_test(without_any_disk_thread_the_process_ends_and_says_why),
        cmocka_unit_test(signals_arrive_on_loop_0),
        cmocka_unit_test(a_broken_pipe_is_no_signal),
        cmocka_unit_test(an_idle_process_does_not_wake_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
