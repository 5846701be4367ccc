/* SPDX-License-Identifier: MIT */
/* What the tests of libgc's interface share: objects that are watched, and each test. */
#ifndef GC_TEST_API_H
#define GC_TEST_API_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GC_THREADS
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>

#define N	  200
#define MOST(n)	  ((n) >= N - N / 10) /* some may be kept by a stale word */
#define FEW(n)	  ((n) <= N / 10)

#define SAY(what) printf("%s: %ld\n", #what, (long)(what))

extern void *roots[N], *links[N];
extern int finalized, calls;

/* In a thread that is gone when this returns, and its stack with it. */
void elsewhere(void *(*fn)(void *), void *arg);

/* Other objects' memory where those that died were, and collections. */
void *churn(void *arg);
void collect(void);

/* Count when it dies, in finalized. */
void watch(void *p);
void *make_watched(void *arg);
bool is_filled(const char *p, size_t n, char c);

/* Finalizers and callbacks. */
void GC_CALLBACK count(void *obj, void *data);
void GC_CALLBACK allocating(void *obj, void *data);
void GC_CALLBACK notified(void);
void GC_CALLBACK quiet(char *message, GC_word arg);

/* The tests. */
void objects(void);
void resizing(void);
void lists(void);
void keepers(void);
void orders(void);
void unreachable(void);
void registering(void);
void on_demand(void);
void in_allocations(void);
void disappearing(void);
void with_finalizers(void);
void link_calls(void);
void kinds(void);
void typed(void);
void threads(void);
void blocking(void);
void races(void);
void libraries(void);
void reloading(void);
void disabling(void);
void by_itself(void);
void settings(void);
void forking(void);
void no_memory(void);

#endif /* GC_TEST_API_H */
