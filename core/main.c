/* main.c - tidemark: one binary, nouns then verbs. */
#include "broker/broker.h"
#include "broker/serve.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    const struct args_group groups[] = {serve_commands, cli_commands};

    return args_run(groups, ARRAY_COUNT(groups),
                    "tidemark: a broker for every Apache Kafka client, and "
                    "what it takes to use one.",
                    "tidemark " BROKER_VERSION, argc, argv);
}
