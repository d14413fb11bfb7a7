// Rows shared out to the threads of OpenMP in which torch's products run. Those wait for more work awake, for some
// milliseconds after each product: other threads would have to fight them for the processors.
#ifndef REFRAIN_TEAM_H
#define REFRAIN_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

// Do rows first to before last, which are part number `part`; returns 0, or another number where that failed.
typedef int (*RowWork)(const void *context, int64_t first, int64_t last, int64_t part);

typedef struct {
    RowWork work;
    const void *context;
    int64_t num_rows, num_parts;
    atomic_int status;
} Team;

// What is called of the OpenMP that torch is linked to (GNU's interface, which the others have too); NULL without one.
typedef struct {
    void (*parallel)(void (*run)(void *), void *argument, unsigned num_threads, unsigned flags);
    int (*thread_num)(void);
    int (*num_threads)(void);
} OpenMp;

static OpenMp openmp;

static void run_parts(Team *team, int64_t first, int64_t step) {
    for (int64_t part = first; part < team->num_parts; part += step) {
        int64_t begin = team->num_rows * part / team->num_parts, end = team->num_rows * (part + 1) / team->num_parts;
        int status = team->work(team->context, begin, end, part);
        if (status) atomic_store(&team->status, status);
    }
}

static void run_member(void *team) { run_parts(team, openmp.thread_num(), openmp.num_threads()); }

// Do all rows, cut to a range of about one size for each thread, side by side; returns the status of one that failed,
// else 0. All threads are called also for fewer rows: OpenMP ends those that a smaller team leaves out, and torch
// would have to start them again.
static int share_rows(RowWork work, const void *context, int64_t num_rows, int64_t num_threads) {
    Team team = {work, context, num_rows, num_rows < num_threads ? num_rows : num_threads, 0};
    if (openmp.parallel && team.num_parts > 1) openmp.parallel(run_member, &team, (unsigned)num_threads, 0);
    else run_parts(&team, 0, 1);
    return atomic_load(&team.status);
}

#endif
