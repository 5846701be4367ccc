/* SPDX-License-Identifier: MIT */
/*
 * One benchmark source, several memory managers: what each of them calls
 * allocating, types, storing a pointer, and taking part.
 *
 * -DUSE_HUGESPAN, with -DPLAIN_STORES for HUGESPAN_GC=snapshot; -DUSE_LIBGC; or
 * neither: malloc and free.
 */
#ifndef BENCH_MEM_H
#define BENCH_MEM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if defined(USE_HUGESPAN)
#include <hugespan.h>
#define COLLECTED 1
#define mem_init() do { if (hspan_init(NULL)) exit(1); } while (0)
#define mem_root(p, n) hspan_root_add(p, n)
#define mem_thread() hspan_thread_register()
#define mem_blocked(call) do { hspan_thread_park(); call; hspan_thread_unpark(); } while (0)
#define mem_alloc(n) hspan_alloc(n)
#define mem_alloc_noscan(n) hspan_alloc_noscan(n)
#define mem_type(bits, n) (mem_the_type = hspan_type_create((n) * 8, (const uint64_t *)(bits), n))
#define mem_alloc_typed(n) hspan_alloc_typed(mem_the_type)
#ifdef PLAIN_STORES
#define mem_store(slot, p) (*(void **)(slot) = (p))
#else
#define mem_store(slot, p) hspan_store(slot, p)
#endif
#define mem_collect() hspan_gc()
#elif defined(USE_LIBGC)
#define GC_THREADS
#include <gc.h>
#include <gc/gc_typed.h>
#define COLLECTED 1
#define mem_init() do { GC_INIT(); GC_allow_register_threads(); } while (0)
#define mem_root(p, n) __asm__ volatile("" : : "r"(p) : "memory")
#define mem_thread() ((void)0)
#define mem_blocked(call) do { call; } while (0)
#define mem_alloc(n) GC_MALLOC(n)
#define mem_alloc_noscan(n) GC_MALLOC_ATOMIC(n)
#define mem_type(bits, n) (mem_the_type = GC_make_descriptor(bits, n))
#define mem_alloc_typed(n) GC_MALLOC_EXPLICITLY_TYPED(n, mem_the_type)
#define mem_store(slot, p) (*(void **)(slot) = (p))
#define mem_collect() GC_gcollect()
#else
#define COLLECTED 0
#define mem_init() ((void)0)
#define mem_root(p, n) __asm__ volatile("" : : "r"(p) : "memory")
#define mem_thread() ((void)0)
#define mem_blocked(call) do { call; } while (0)
#define mem_alloc(n) malloc(n)
#define mem_alloc_noscan(n) malloc(n)
#define mem_type(bits, n) ((void)(bits))
#define mem_alloc_typed(n) malloc(n)
#define mem_store(slot, p) (*(void **)(slot) = (p))
#define mem_collect() ((void)0)
#endif

/* The one type of a program that has one: mem_type(pointer bits, words). */
#if defined(USE_HUGESPAN)
static struct hspan_type *mem_the_type __attribute__((unused));
#elif defined(USE_LIBGC)
static GC_descr mem_the_type __attribute__((unused));
#endif

static inline double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A line of figures: metric, value, unit. */
static inline void figure(const char *metric, double value, const char *unit)
{
	printf("%s\t%.6g\t%s\n", metric, value, unit);
}

static inline void figure_usage(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	figure("cpu", (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 +
			      (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6, "s");
	figure("peak", (double)u.ru_maxrss / 1024, "MiB");
}

#if defined(USE_HUGESPAN)
static inline void figure_collector(void)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	if (hspan_stats_read(&st))
		return;
	figure("collections", (double)st.num_gc, "");
	figure("longest stop", (double)st.stop_max_ns / 1e3, "us");
}
#else
static inline void figure_collector(void)
{
}
#endif

#endif /* BENCH_MEM_H */
