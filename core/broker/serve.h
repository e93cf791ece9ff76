/* serve.h - the commands that need no broker to talk to: serve, config. */
#ifndef BROKER_SERVE_H
#define BROKER_SERVE_H

#include "base/args.h"

extern const struct args_group serve_commands;

#endif
