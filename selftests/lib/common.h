/* SPDX-License-Identifier: MIT */
/*
 * What the library's tests share: cmocka, a heap for a test program, objects
 * whose death can be seen, and tests that run in a process of their own.
 *
 * Backend and debug words come from the environment, so that every program can
 * be run on either backend, with and without the oracles.
 */
#ifndef HSPAN_TEST_COMMON_H
#define HSPAN_TEST_COMMON_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <hugespan.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NOINLINE __attribute__((noinline))

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/*
 * How often to repeat something: @n times, or less where everything is slower,
 * by HUGESPAN_TEST_EFFORT percent (default 100; with a sanitizer 12).
 */
#define EFFORT(n) effort(n)
long effort(long n);

/* An address that the collector does not see. */
typedef uintptr_t hidden_t;

static inline hidden_t hide(const void *p)
{
	return ~(uintptr_t)p;
}

static inline void *reveal(hidden_t h)
{
	return (void *)~h;
}

/*
 * Which of @n objects are still there?  Asked in a thread that is gone when
 * this returns, so it leaves no trace of their addresses behind.
 */
void look(const hidden_t *h, size_t n, bool *is);

/* Is this one? */
bool alive(hidden_t h);

/* How many of @n are? */
size_t count_alive(const hidden_t *h, size_t n);

/*
 * Run @fn(@arg) in a thread that takes part and is gone when this returns, and
 * its stack with it: no stale word of it keeps anything alive.
 */
void elsewhere(void (*fn)(void *arg), void *arg);

/* Overwrite the dead part of the calling thread's stack. */
void scrub(void);

/*
 * Run @fn in a child process that has no heap yet; its return value, 0 to 127,
 * or 128 + signal.
 */
int in_child(int (*fn)(const void *arg), const void *arg);

/* In a child, where cmocka's assertions would jump out of the process. */
#define expect(condition)                                                          \
	do {                                                                       \
		if (!(condition)) {                                                \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			return 99;                                                 \
		}                                                                  \
	} while (0)

/* In a thread, likewise: it ends the process. */
#define must(condition)                                                            \
	do {                                                                       \
		if (!(condition)) {                                                \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* A pointer that another thread stored with hspan_store_release() or such. */
static inline void *load(void *slot)
{
	return __atomic_load_n((void **)slot, __ATOMIC_ACQUIRE);
}

/* Setup and teardown of a group: a heap that collects when asked only. */
int heap_setup(void **state);
int heap_teardown(void **state);

/* The signal that handshakes use. */
int used_signal(void);

/* The environment's HUGESPAN_* variables, all gone. */
void clean_environment(void);

uint64_t next_random(uint64_t *state);
struct hspan_stats read_stats(void);
void sleep_ms(long ms);
int64_t now_ms(void);

#define run_group(tests) cmocka_run_group_tests(tests, heap_setup, heap_teardown)

#endif /* HSPAN_TEST_COMMON_H */
