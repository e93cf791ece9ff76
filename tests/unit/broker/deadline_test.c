#include "broker/deadline.h"

#include "base/mem.h"
#include "lib/fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 300 };

/* The child hangs as a thread on a dead disk does: no signal reaches it. */
static void hang(int out)
{
    sigset_t all;

    (void)dup2(out, STDOUT_FILENO);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    deadline_set(DEADLINE_MS, mem_dupz("these are the last words\n"));
    while (poll(NULL, 0, 60000) == 0) {
    }
    _exit(1);
}

static void a_process_that_hangs_ends_with_its_last_words(void **state)
{
    char text[64] = "";
    struct timespec begun;
    struct timespec ended;
    int ends[2];
    int status = -1;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hang(ends[1]);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "these are the last words\n");
    assert_true((ended.tv_sec - begun.tv_sec) * 1000 +
                    (ended.tv_nsec - begun.tv_nsec) / 1000000 >=
                DEADLINE_MS);
    close(ends[0]);
}

/* Its output is a full pipe, and whoever has the other end does not read. */
static void last_words_that_nobody_reads_are_not_waited_for(void **state)
{
    static const char page[4096];
    int ends[2];
    int status = -1;
    pid_t child;
    pid_t ended = 0;

    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof(page)) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hang(ends[1]);
    }
    for (int i = 0; i < 1000 && ended == 0; i++) {
        (void)poll(NULL, 0, 10);
        ended = waitpid(child, &status, WNOHANG);
    }
    if (ended == 0) {
        kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(ended, child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_hangs_ends_with_its_last_words),
        cmocka_unit_test(last_words_that_nobody_reads_are_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
