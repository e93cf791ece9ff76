/* deadline.c - see deadline.h. Between its wait and the end of the process the
 * thread takes no lock and no memory: whoever hangs may hold both. */
#include "broker/deadline.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct deadline {
    struct timespec wait;
    size_t bytes;
    char *last_words;
};

static void *deadline_run(void *arg)
{
    const struct deadline *deadline = arg;
    struct timespec left = deadline->wait;

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    if (write(STDOUT_FILENO, deadline->last_words, deadline->bytes) < 0) {
        /* nobody hears them */
    }
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
