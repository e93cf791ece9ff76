/* main.c - tidemark: one binary, nouns then verbs. */
#include "base/map.h"
#include "base/must.h"
#include "broker/broker.h"
#include "broker/serve.h"
#include "cli/cli.h"
#include <sys/random.h>

/* Before the first map is made. */
static void main_seed_maps(void)
{
    uint64_t key[2];

    must(getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key));
    map_seed(key[0], key[1]);
}

int main(int argc, char **argv)
{
    const struct args_group groups[] = {serve_commands, cli_commands};

    main_seed_maps();
    return args_run(groups, ARRAY_COUNT(groups),
                    "tidemark: a broker for every Apache Kafka client, and "
                    "what it takes to use one.",
                    "tidemark " BROKER_VERSION, argc, argv);
}
