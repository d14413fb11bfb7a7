// A few threads that share the items of one loop at a time; whoever is free takes the next item.
#ifndef REFRAIN_THREADS_H
#define REFRAIN_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "../vector.h"

typedef void (*Work)(void *context, int32_t item, int32_t thread);

typedef struct {
    Work work;
    void *context;
    int32_t num_items, num_threads;
    atomic_int next_item, num_done;
    atomic_int round;       // odd: items are being replaced; even: items may be taken
    atomic_int num_inside;  // workers that look at the current items
    atomic_int num_asleep, is_caller_asleep, is_stopping;
    pthread_mutex_t mutex;
    pthread_cond_t wake, finished;
    pthread_t *workers;
} Threads;

#define SPINS 4000         // about 50 microseconds: phases of a step follow one another faster
#define CALLER_SPINS 1000  // longer than an item takes: its worker was kept from running

INLINE void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void wake_caller(Threads *threads) {
    pthread_mutex_lock(&threads->mutex);
    pthread_cond_signal(&threads->finished);
    pthread_mutex_unlock(&threads->mutex);
}

static void take_items(Threads *threads, int32_t thread) {
    int32_t item;
    while ((item = atomic_fetch_add(&threads->next_item, 1)) < threads->num_items) {
        threads->work(threads->context, item, thread);
        int32_t num_done = atomic_fetch_add(&threads->num_done, 1) + 1;
        if (num_done == threads->num_items && atomic_load(&threads->is_caller_asleep)) wake_caller(threads);
    }
}

// Wait until the workers have done their last items: a while awake; then asleep, which leaves this processor to a worker
// that has lost its own.
static void wait_for_items(Threads *threads) {
    for (int spin = 0; spin < CALLER_SPINS; spin++) {
        if (atomic_load(&threads->num_done) == threads->num_items) return;
        relax();
    }
    pthread_mutex_lock(&threads->mutex);
    atomic_store(&threads->is_caller_asleep, 1);
    while (atomic_load(&threads->num_done) < threads->num_items)
        pthread_cond_wait(&threads->finished, &threads->mutex);
    atomic_store(&threads->is_caller_asleep, 0);
    pthread_mutex_unlock(&threads->mutex);
}

static int is_open(int32_t round, int32_t seen) { return round != seen && round % 2 == 0; }

// Wait for the next open round: a while awake, then asleep.
static int32_t wait_for_round(Threads *threads, int32_t seen) {
    int32_t round;
    for (int spin = 0; spin < SPINS; spin++) {
        if (is_open(round = atomic_load(&threads->round), seen)) return round;
        relax();
    }
    pthread_mutex_lock(&threads->mutex);
    atomic_fetch_add(&threads->num_asleep, 1);
    while (!is_open(round = atomic_load(&threads->round), seen))
        pthread_cond_wait(&threads->wake, &threads->mutex);
    atomic_fetch_sub(&threads->num_asleep, 1);
    pthread_mutex_unlock(&threads->mutex);
    return round;
}

typedef struct {
    Threads *threads;
    int32_t thread;
} Worker;

static void *serve_loops(void *argument) {
    Worker worker = *(Worker *)argument;
    free(argument);
    Threads *threads = worker.threads;
    int32_t seen = 0;
    for (;;) {
        seen = wait_for_round(threads, seen);
        if (atomic_load(&threads->is_stopping)) return NULL;
        atomic_fetch_add(&threads->num_inside, 1);
        if (atomic_load(&threads->round) == seen) take_items(threads, worker.thread);
        atomic_fetch_sub(&threads->num_inside, 1);
    }
}

static void open_round(Threads *threads) {
    atomic_fetch_add(&threads->round, 1);
    if (atomic_load(&threads->num_asleep)) {
        pthread_mutex_lock(&threads->mutex);
        pthread_cond_broadcast(&threads->wake);
        pthread_mutex_unlock(&threads->mutex);
    }
}

// Close the last round and wait until no worker looks at its items.
static void close_round(Threads *threads) {
    atomic_fetch_add(&threads->round, 1);
    for (int spin = 0; atomic_load(&threads->num_inside); spin++) {
        if (spin < CALLER_SPINS) relax();
        else sched_yield();
    }
}

#define ROWS_FOR_ONE 4  // so few rows are done sooner than another thread is awake

// Run work(context, item, thread) for every item of a step of `num_rows` rows; returns when all are done.
static void for_each(Threads *threads, int32_t num_rows, int32_t num_items, Work work, void *context) {
    if (threads->num_threads == 1 || num_items <= 1 || num_rows <= ROWS_FOR_ONE) {
        for (int32_t item = 0; item < num_items; item++) work(context, item, 0);
        return;
    }
    close_round(threads);
    threads->work = work;
    threads->context = context;
    threads->num_items = num_items;
    atomic_store(&threads->num_done, 0);
    atomic_store(&threads->next_item, 0);
    open_round(threads);
    take_items(threads, 0);
    wait_for_items(threads);
}

static Threads *start_threads(int32_t num_threads) {
    Threads *threads = calloc(1, sizeof *threads);
    threads->num_threads = num_threads;
    threads->workers = calloc(num_threads, sizeof *threads->workers);
    pthread_mutex_init(&threads->mutex, NULL);
    pthread_cond_init(&threads->wake, NULL);
    pthread_cond_init(&threads->finished, NULL);
    for (int32_t thread = 1; thread < num_threads; thread++) {
        Worker *worker = malloc(sizeof *worker);
        *worker = (Worker){threads, thread};
        if (pthread_create(&threads->workers[thread], NULL, serve_loops, worker)) {
            free(worker);
            threads->num_threads = thread;  // fewer than asked for: the others do the work
            break;
        }
    }
    return threads;
}

static void stop_threads(Threads *threads) {
    close_round(threads);
    threads->num_items = 0;
    atomic_store(&threads->is_stopping, 1);
    open_round(threads);
    for (int32_t thread = 1; thread < threads->num_threads; thread++)
        pthread_join(threads->workers[thread], NULL);
    pthread_mutex_destroy(&threads->mutex);
    pthread_cond_destroy(&threads->wake);
    pthread_cond_destroy(&threads->finished);
    free(threads->workers);
    free(threads);
}

#endif
