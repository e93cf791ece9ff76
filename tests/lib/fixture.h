/* fixture.h - what many tests need: a folder that goes, a death that counts,
 * a client.
 *
 * The includes of cmocka come with it, so a test needs only this. */
#ifndef LIB_FIXTURE_H
#define LIB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

enum { FIXTURE_PATH_BYTES = 512 };

/* Makes an empty folder below $TMPDIR or /tmp, and puts its path into path. */
void fixture_folder(char path[FIXTURE_PATH_BYTES]);
/* Removes the folder and all that is in it. */
void fixture_remove(const char *path);

/* Whether run(arg), in a child of its own, ends in abort(): must() held true.
 * What the child prints is thrown away. */
bool fixture_aborts(void (*run)(void *arg), void *arg);

/* A number from the state, which moves on: the same seed, the same numbers. */
uint64_t fixture_random(uint64_t *state);

/* A free TCP port on 127.0.0.1, as far as anybody can know. */
uint16_t fixture_port(void);

/* A client's socket, connected to a port of 127.0.0.1; a read that waits for
 * long fails. */
int fixture_dial(uint16_t port);
/* Sends all of it; false when the other side is gone. */
bool fixture_send(int fd, const void *bytes, size_t count);
/* Reads so much; false at the end of the stream, aborts when nothing comes. */
bool fixture_receive(int fd, void *into, size_t count);

#endif
