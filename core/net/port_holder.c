/* port_holder.c - from a port to its socket's inode, to who has it open. */
#include "net/port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The inode of the socket that listens on port, from one of /proc/net's
 * tables; 0: none. */
static unsigned long port_holder_inode(const char *table, uint16_t port)
{
    FILE *file = fopen(table, "re");
    char line[512];
    unsigned long found = 0;

    if (file == NULL) {
        return 0;
    }
    while (found == 0 && fgets(line, sizeof(line), file) != NULL) {
        unsigned int local_port;
        unsigned int state;
        unsigned long inode;

        if (sscanf(line,
                   " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s "
                   "%*u %*u %lu",
                   &local_port, &state, &inode) == 3 &&
            local_port == port && state == 0x0A) {
            found = inode;
        }
    }
    fclose(file);
    return found;
}

/* Whether the process has a descriptor on that socket. */
static bool port_holder_is(const char *pid, unsigned long inode)
{
    char path[64];
    char wanted[64];
    DIR *folder;
    struct dirent *entry;
    bool found = false;

    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    folder = opendir(path);
    if (folder == NULL) {
        return false;
    }
    while (!found && (entry = readdir(folder)) != NULL) {
        char target[64] = "";

        found = readlinkat(dirfd(folder), entry->d_name, target,
                           sizeof(target) - 1) > 0 &&
                strcmp(target, wanted) == 0;
    }
    closedir(folder);
    return found;
}

void port_holder(uint16_t port, char *text, size_t bytes)
{
    unsigned long inode = port_holder_inode("/proc/net/tcp", port);
    DIR *folder = opendir("/proc");
    struct dirent *entry;

    text[0] = '\0';
    if (inode == 0) {
        inode = port_holder_inode("/proc/net/tcp6", port);
    }
    while (folder != NULL && inode != 0 && (entry = readdir(folder)) != NULL) {
        char path[64];
        char name[32] = "a process";
        FILE *comm;

        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
            !port_holder_is(entry->d_name, inode)) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
        comm = fopen(path, "re");
        if (comm != NULL) {
            if (fgets(name, sizeof(name), comm) != NULL) {
                name[strcspn(name, "\n")] = '\0';
            }
            fclose(comm);
        }
        snprintf(text, bytes, " (held by %s, process %.20s)", name,
                 entry->d_name);
        break;
    }
    if (folder != NULL) {
        closedir(folder);
    }
}
