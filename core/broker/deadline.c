/* deadline.c - see deadline.h. Between its wait and the end of the process the
 * thread takes no lock and no memory: whoever hangs may hold both. */
#include "broker/deadline.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* So long the last words wait for somebody who reads them. */
enum { HEARD_MS = 500 };

struct deadline {
    struct timespec wait;
    size_t bytes;
    char *last_words;
};

/* Of all signals, only the alarm's is for this thread: it ends the process. */
static void deadline_mask_signals(void)
{
    sigset_t mask;

    (void)signal(SIGALRM, SIG_DFL);
    sigfillset(&mask);
    sigdelset(&mask, SIGALRM);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void *deadline_run(void *arg)
{
    const struct deadline *deadline = arg;
    struct timespec left = deadline->wait;
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    deadline_mask_signals();
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    if (poll(&out, 1, HEARD_MS) == 0) {
        _exit(0); /* a pipe that is full, and nobody reads it */
    }
    (void)alarm(1); /* a file on the disk that does not answer */
    if (write(STDOUT_FILENO, deadline->last_words, deadline->bytes) < 0) {
        /* nobody hears them */
    }
    (void)alarm(0); /* an end may take its time: a sanitizer's does */
    _exit(0);
}

void deadline_set(int64_t ms, char *last_words)
{
    struct deadline *deadline = MEM_NEW(struct deadline);
    pthread_t thread;

    *deadline = (struct deadline){
        .wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
        .bytes = strlen(last_words),
        .last_words = last_words};
    if (pthread_create(&thread, NULL, deadline_run, deadline) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    (void)alarm((unsigned)(ms / 1000) + 1);
    mem_free(deadline);
    mem_free(last_words);
}
