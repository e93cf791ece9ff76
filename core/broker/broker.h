/* broker.h - builds, starts and stops the server, in order. */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "broker/settings.h"

#define BROKER_VERSION "0.1.0"

/* Serves until SIGTERM or SIGINT. Gives the exit code of the process: 0 after a
 * clean stop, 1 when it could not start; a disk that fails later ends the
 * process with 1 at once. settings: borrowed. */
int broker_serve(const struct settings *settings);

#endif
