/* fault.h - a disk that fails at the n-th call, in front of another one.
 *
 * Every call that may fail counts (open, read, write, sync, truncate, size,
 * rename, remove, folders, list, times), in the order in which they come.
 * Those of some kinds only when kinds says so. Any thread.
 *
 *     fault_init(&fault, disk_real());
 *     fault_each(&fault, scenario, arg);
 *
 * runs the scenario with the first, second, ... call failing, once and then for
 * good, until it comes through without meeting the fault. */
#ifndef LIB_FAULT_H
#define LIB_FAULT_H

#include "run/file.h"
#include <stdatomic.h>

enum fault_kind {
    FAULT_OPEN = 1 << 0,
    FAULT_READ = 1 << 1,  /* also size, list, times */
    FAULT_WRITE = 1 << 2, /* also truncate */
    FAULT_SYNC = 1 << 3,  /* files and folders */
    FAULT_NAMES = 1 << 4, /* rename, remove, make and remove folders */
    FAULT_ALL = (1 << 5) - 1,
};

struct fault {
    struct disk disk; /* hand out &fault.disk */
    struct disk *inner;
    unsigned kinds; /* which calls count: FAULT_ALL */
    enum err err;   /* what the failing call gives: ERR_DISK */
    bool for_good;  /* from the n-th call on, every one fails */
    bool tears;     /* a failing write leaves the first half of its bytes */
    _Atomic uint64_t at;     /* the call that fails, from 1; 0: none */
    _Atomic uint64_t calls;  /* counted since fault_arm() */
    _Atomic uint64_t failed; /* how many were refused since then */
};

void fault_init(struct fault *fault, struct disk *inner);
/* Counts from anew; the at-th call fails. 0: none does. */
void fault_arm(struct fault *fault, uint64_t at);
/* No call fails any more; what was counted stays. For the check at the end of a
 * scenario. */
void fault_heal(struct fault *fault);
/* Runs the scenario until no call of it was refused: each n once, then each n
 * for good, with ERR_DISK and with ERR_FULL, with whole and with torn writes,
 * and what opens with ERR_LIMIT. The scenario makes its own start (an empty folder) and checks its own end. */
void fault_each(struct fault *fault,
                void (*scenario)(struct fault *fault, void *arg), void *arg);

#endif
