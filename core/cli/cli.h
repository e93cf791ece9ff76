/* cli.h - the commands that talk to a broker, or to its files. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/args.h"

extern const struct args_group cli_commands;

#endif
