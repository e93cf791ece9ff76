/* deadline.h - an end that comes whatever else hangs.
 *
 * A timer or a signal of a loop never comes when that loop waits for a disk
 * that does not answer, and a thread in such a call runs no signal handler,
 * either. So a thread of its own waits, and ends the process.
 *
 * Threads: any. */
#ifndef BROKER_DEADLINE_H
#define BROKER_DEADLINE_H

#include <stdint.h>

/* In ms, writes last_words to standard output and ends the process with 0,
 * unless it has ended before. For good: nothing takes it back. Takes over
 * last_words, which is of mem_*(). Half a second later it ends without them,
 * where nobody reads what it writes; and in a second more by SIGALRM, should
 * even the write hang. Where the system has no thread to give, it is SIGALRM
 * that ends the process, in silence. */
void deadline_set(int64_t ms, char *last_words);

#endif
