// SPDX-License-Identifier: MIT
/*
 * libgc's settings, figures and messages.  Many settings are about how libgc works
 * and mean nothing here: they are remembered, so that who asks gets what was set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hg.h"

#define VERSION_8_2_2 (8u << 16 | 2u << 8 | 2u) /* whose interface this is */

/* Settings that are variables of the interface, too ------------------------ */

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

GC_word GC_gc_no;
int GC_parallel;
GC_oom_func GC_oom_fn = no_memory;
GC_on_heap_resize_proc GC_on_heap_resize;
int GC_find_leak;
int GC_all_interior_pointers = 1;
int GC_finalize_on_demand;
int GC_java_finalization = 1;
GC_finalizer_notifier_proc GC_finalizer_notifier;
int GC_dont_gc;
int GC_dont_expand;
int GC_use_entire_heap;
int GC_full_freq = 19;
GC_word GC_non_gc_bytes;
int GC_no_dls;
GC_word GC_free_space_divisor = 3;
GC_word GC_max_retries;
char *GC_stackbottom;
int GC_dont_precollect;
unsigned long GC_time_limit = 50;
void *GC_least_plausible_heap_addr = (void *)UINTPTR_MAX;
void *GC_greatest_plausible_heap_addr;
const size_t GC_debug_header_size;

#define VARIABLE(type, name)                \
	void GC_set_##name(type value)      \
	{                                   \
		hs_set(&GC_##name, value);  \
	}                                   \
	type GC_get_##name(void)            \
	{                                   \
		return hs_load(&GC_##name); \
	}

VARIABLE(GC_oom_func, oom_fn)
VARIABLE(GC_on_heap_resize_proc, on_heap_resize)
VARIABLE(int, find_leak)
VARIABLE(int, all_interior_pointers)
VARIABLE(int, finalize_on_demand)
VARIABLE(int, java_finalization)
VARIABLE(GC_finalizer_notifier_proc, finalizer_notifier)
VARIABLE(int, dont_expand)
VARIABLE(int, full_freq)
VARIABLE(GC_word, non_gc_bytes)
VARIABLE(int, no_dls)
VARIABLE(GC_word, free_space_divisor)
VARIABLE(GC_word, max_retries)
VARIABLE(int, dont_precollect)
VARIABLE(unsigned long, time_limit)

/* Others ------------------------------------------------------------------- */

#define REMEMBERED(type, name, first)  \
	static type name = first;      \
	void GC_set_##name(type value) \
	{                              \
		hs_set(&name, value);  \
	}                              \
	type GC_get_##name(void)       \
	{                              \
		return hs_load(&name); \
	}

static void warn(char *message, GC_word arg);
static int never_stop(void);

REMEMBERED(GC_warn_proc, warn_proc, warn)
REMEMBERED(GC_stop_func, stop_func, never_stop)
REMEMBERED(GC_on_thread_event_proc, on_thread_event, NULL)
REMEMBERED(GC_word, allocd_bytes_per_finalizer, 10000)
REMEMBERED(int, pages_executable, 0)
REMEMBERED(size_t, min_bytes_allocd, 4096)
REMEMBERED(int, rate, 10)
REMEMBERED(int, max_prior_attempts, 1)
REMEMBERED(int, disable_automatic_collection, 0)
REMEMBERED(int, manual_vdb_allowed, 0)
REMEMBERED(int, force_unmap_on_gcollect, 0)

static struct GC_timeval_s time_limit = {50, 0};

void GC_set_time_limit_tv(struct GC_timeval_s tv)
{
	time_limit = tv;
}

struct GC_timeval_s GC_get_time_limit_tv(void)
{
	return time_limit;
}

void GC_set_markers_count(unsigned int n)
{
	(void)n;
}

int GC_get_parallel(void)
{
	return GC_parallel;
}

unsigned GC_get_version(void)
{
	return VERSION_8_2_2;
}

/* Messages ----------------------------------------------------------------- */

static void warn(char *message, GC_word arg)
{
	char line[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(line, sizeof(line), message, arg);
#pragma GCC diagnostic pop
	hs_log("GC Warning: %s", line);
}

void GC_ignore_warn_proc(char *message, GC_word arg)
{
	(void)message;
	(void)arg;
}

void GC_set_log_fd(int fd)
{
	(void)fd;
}

/* Collections -------------------------------------------------------------- */

static int never_stop(void)
{
	return 0;
}

/* None is under way when this returns, but one that has its image already. */
void GC_disable(void)
{
	pthread_mutex_lock(&hg.alloc_lock);
	hs_add(&hg.dont_gc, 1);
	GC_dont_gc = hg.dont_gc;
	pthread_mutex_unlock(&hg.alloc_lock);
}

void GC_enable(void)
{
	pthread_mutex_lock(&hg.alloc_lock);
	hs_sub(&hg.dont_gc, 1);
	GC_dont_gc = hg.dont_gc;
	pthread_mutex_unlock(&hg.alloc_lock);
}

int GC_is_disabled(void)
{
	return hs_load(&hg.dont_gc) > 0;
}

/* A collection that has begun is not given up. */
int GC_try_to_collect(GC_stop_func stop)
{
	hg_ready();
	if (GC_is_disabled() || hs.forked || stop())
		return 0;
	hspan_gc();
	hg_attend();
	return 1;
}

void GC_gcollect(void)
{
	GC_try_to_collect(stop_func);
}

void GC_gcollect_and_unmap(void)
{
	GC_try_to_collect(never_stop);
	hspan_release();
}

int GC_collect_a_little(void)
{
	return 0;
}

/* What libgc calls incremental is always so here. */
void GC_enable_incremental(void)
{
	GC_init();
}

int GC_is_incremental_mode(void)
{
	return 0;
}

int GC_incremental_protection_needs(void)
{
	return GC_PROTECTS_NONE;
}

void GC_start_incremental_collection(void)
{
}

/* Memory comes as it is needed. */
int GC_expand_hp(size_t bytes)
{
	(void)bytes;
	return hg_ready();
}

void GC_set_max_heap_size(GC_word bytes)
{
	hg_ready();
	hspan_set_memory_limit(bytes);
}

/* Figures ------------------------------------------------------------------ */

static struct hspan_stats figures(void)
{
	struct hspan_stats st = {.struct_size = sizeof(st)};

	hg_ready();
	hspan_stats_read(&st);
	return st;
}

static size_t free_of(const struct hspan_stats *st)
{
	return st->heap_sys > st->heap_alloc ? st->heap_sys - st->heap_alloc : 0;
}

static size_t since_gc(const struct hspan_stats *st)
{
	return st->heap_alloc > st->heap_live ? st->heap_alloc - st->heap_live : 0;
}

GC_word GC_get_gc_no(void)
{
	return hs_load(&hg.gc_no);
}

size_t GC_get_heap_size(void)
{
	return figures().heap_sys;
}

size_t GC_get_free_bytes(void)
{
	struct hspan_stats st = figures();

	return free_of(&st);
}

size_t GC_get_unmapped_bytes(void)
{
	return 0;
}

size_t GC_get_bytes_since_gc(void)
{
	struct hspan_stats st = figures();

	return since_gc(&st);
}

size_t GC_get_expl_freed_bytes_since_gc(void)
{
	return 0;
}

size_t GC_get_total_bytes(void)
{
	return figures().total_alloc;
}

size_t GC_get_obtained_from_os_bytes(void)
{
	struct hspan_stats st = figures();

	return st.heap_sys + st.heap_released;
}

size_t GC_get_memory_use(void)
{
	return figures().heap_alloc;
}

static void put(GC_word *to, size_t value)
{
	if (to)
		*to = value;
}

void GC_get_heap_usage_safe(GC_word *heap_size, GC_word *free_bytes, GC_word *unmapped,
			    GC_word *since, GC_word *total)
{
	struct hspan_stats st = figures();

	put(heap_size, st.heap_sys);
	put(free_bytes, free_of(&st));
	put(unmapped, 0);
	put(since, since_gc(&st));
	put(total, st.total_alloc);
}

size_t GC_get_prof_stats(struct GC_prof_stats_s *stats, size_t size)
{
	struct hspan_stats st = figures();
	struct GC_prof_stats_s s = {
		.heapsize_full = st.heap_sys,
		.free_bytes_full = free_of(&st),
		.bytes_allocd_since_gc = since_gc(&st),
		.allocd_bytes_before_gc = st.total_alloc - since_gc(&st),
		.gc_no = hs_load(&hg.gc_no),
		.obtained_from_os_bytes = st.heap_sys + st.heap_released,
	};
	size_t known = size < sizeof(s) ? size : sizeof(s);

	if (size > known)
		memset((char *)stats + known, 0xff, size - known);
	memcpy(stats, &s, known);
	return known;
}

size_t GC_get_prof_stats_unsafe(struct GC_prof_stats_s *stats, size_t size)
{
	return GC_get_prof_stats(stats, size);
}

size_t GC_get_size_map_at(int i)
{
	return i < 0 || (size_t)i > HSPAN_SMALL_MAX
		       ? SIZE_MAX
		       : hspan_class_size[hspan_size_class(hg_round((size_t)i, 1))] / 16;
}

void GC_start_performance_measurement(void)
{
}

unsigned long GC_get_full_gc_total_time(void)
{
	return figures().mark_ns / 1000000;
}

void GC_dump_named(const char *name)
{
	struct hspan_stats st = figures();

	printf("***%s%s: libgc on hugespan\n", name ? "Dump " : "Dump", name ? name : "");
	printf("%llu collections, %llu bytes of heap, %llu in use, %llu live\n",
	       (unsigned long long)hs_load(&hg.gc_no), (unsigned long long)st.heap_sys,
	       (unsigned long long)st.heap_alloc, (unsigned long long)st.heap_live);
	printf("longest stop %llu us; %llu images, %llu marked with threads stopped\n",
	       (unsigned long long)st.stop_max_ns / 1000, (unsigned long long)st.snapshots,
	       (unsigned long long)st.snapshots_failed);
	printf("%u links, %u long links, %u finalizers, %u uncollectable objects\n",
	       hg.short_links.count, hg.long_links.count, hg.finalizers.count,
	       hg.uncollectable.count);
}

void GC_dump(void)
{
	GC_dump_named(NULL);
}
