/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Unit tests of the CPU caches and of puts in batches, the same for KUnit and
 * for the host.  HT_CACHE_CASES(X) names them all.
 */
#ifndef _HUGESPAN_HEAP_CACHE_CASES_H
#define _HUGESPAN_HEAP_CACHE_CASES_H

#include "heap_fixture.h"

/* As many as its depth stay with the CPU, the rest go to central. */
static void ht_case_cache_keeps_partial(struct ht_fixture *f)
{
	struct hspan_span spans[8], span;
	struct hspan_arena_stats st;
	u32 i;

	hspan_heap_set_cache_depth(f->heap, 3, 3);
	for (i = 0; i < 8; i++)
		spans[i] = ht_get(f, HT_CLASS, 0);
	for (i = 0; i < 8; i++)
		ht_put(f, spans[i].page, 5);
	st = ht_stats(f);
	HT_ASSERT(f, st.spans == 8 && st.spans_held == 0);
	HT_ASSERT(f, st.spans_cached == 3);
	ht_verify(f);
	for (i = 0; i < 8; i++) {
		span = ht_get(f, HT_CLASS, 0);
		HT_ASSERT(f, span.flags == 0 && span.nfree == 5);
	}
	st = ht_stats(f);
	HT_ASSERT(f, st.cache_hits == 3 && st.central_hits == 5);
	HT_ASSERT(f, st.page_heap_hits == 8 && st.gets == 16 && st.puts == 8);
	ht_verify(f);
}

static void ht_case_cache_depth_zero(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_CLASS, 0);

	ht_put(f, span.page, 5);
	HT_ASSERT(f, ht_stats(f).spans_cached == 1);
	hspan_heap_set_cache_depth(f->heap, 0, 15);
	HT_ASSERT(f, ht_stats(f).spans_cached == 0);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).page == span.page);
	ht_put(f, span.page, 5);
	HT_ASSERT(f, ht_stats(f).spans_cached == 0);
	hspan_heap_set_cache_depth(f->heap, ~0U, ~0U);
	ht_verify(f);
}

/* Put @nr spans and get them back; returns how many the cache gave. */
static u32 ht_put_and_get(struct ht_fixture *f, struct hspan_span *spans,
			  u32 nr)
{
	u64 hits = ht_stats(f).cache_hits;
	u32 i;

	for (i = 0; i < nr; i++)
		ht_put(f, spans[i].page, 5);
	for (i = 0; i < nr; i++)
		spans[i] = ht_get(f, HT_CLASS, 0);
	return (u32)(ht_stats(f).cache_hits - hits);
}

/* By one for each get that missed what there was no room for. */
static void ht_case_cache_grows(struct ht_fixture *f)
{
	struct hspan_span spans[12];
	u32 i;

	hspan_heap_set_cache_depth(f->heap, 2, 7);
	for (i = 0; i < 12; i++)
		spans[i] = ht_get(f, HT_CLASS, 0);
	for (i = 0; i < 5; i++)		/* enough: no reason to grow */
		HT_ASSERT(f, ht_put_and_get(f, spans, 2) == 2);
	for (i = 2; i < 7; i++)
		HT_ASSERT(f, ht_put_and_get(f, spans, 12) == i);
	for (i = 0; i < 5; i++)		/* as deep as it may be */
		HT_ASSERT(f, ht_put_and_get(f, spans, 12) == 7);
	hspan_heap_flush(f->heap);	/* memory is short: begins anew */
	HT_ASSERT(f, ht_put_and_get(f, spans, 12) == 2);
	ht_verify(f);
}

/* By one for each cycle in which the last slot was of no use. */
static void ht_case_cache_shrinks(struct ht_fixture *f)
{
	struct hspan_span spans[12];
	u32 i, round;

	hspan_heap_set_cache_depth(f->heap, 2, 15);
	for (i = 0; i < 12; i++)
		spans[i] = ht_get(f, HT_CLASS, 0);
	for (i = 2; i < 9; i++)
		ht_put_and_get(f, spans, 12);
	for (round = 0; round < 3; round++) {	/* nine are used: stays */
		HT_ASSERT(f, ht_put_and_get(f, spans, 9) == 9);
		ht_cycle(f);
	}
	for (round = 0; round < 6; round++) {	/* only six are */
		HT_ASSERT(f, ht_put_and_get(f, spans, 6) == 6);
		ht_cycle(f);
	}
	for (round = 0; round < 3; round++) {
		HT_ASSERT(f, ht_put_and_get(f, spans, 6) == 6);
		ht_cycle(f);
	}
	HT_ASSERT(f, ht_put_and_get(f, spans, 7) == 6);
	for (round = 0; round < 20; round++)
		ht_cycle(f);
	HT_ASSERT(f, ht_put_and_get(f, spans, 12) == 2);
	ht_verify(f);
}

static void ht_case_flush_cpu(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_CLASS, 0);
	int cpu;

	ht_put(f, span.page, 5);
	HT_ASSERT(f, ht_stats(f).spans_cached == 1);
	for_each_possible_cpu(cpu)
		hspan_heap_flush_cpu(f->heap, cpu);
	HT_ASSERT(f, ht_stats(f).spans_cached == 0);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).page == span.page);
	HT_ASSERT(f, ht_stats(f).central_hits == 1);
	ht_verify(f);
}

/* Take the only span there is out of its slot, whatever that is. */
static u32 *ht_steal_cached(struct ht_fixture *f, u32 *word)
{
	int cpu, i;

	for_each_possible_cpu(cpu) {
		struct hspan_cpu_cache *cache = per_cpu_ptr(f->heap->caches,
							    cpu);

		for (i = 0; i < HSPAN_CACHE_DEPTH_MAX; i++) {
			u32 *slot = &cache->line[HT_CLASS].slot[i];

			*word = xchg(slot, 0);
			if (*word)
				return slot;
		}
	}
	return NULL;
}

/* A put that was stopped before the slot, while cycles came and went. */
static void ht_case_slow_put(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_CLASS, 0), got;
	u32 round, word = 0, *slot;

	for (round = 0; round < 4; round++) {
		ht_put(f, span.page, 5);
		slot = ht_steal_cached(f, &word);
		HT_ASSERT(f, slot && word == span.page + 1);
		ht_cycle(f);
		ht_cycle(f);
		if (round % 2)
			ht_cycle(f);
		xchg(slot, word);
		if (round / 2) {
			hspan_heap_flush(f->heap);
			HT_ASSERT(f, f->control.nr_unswept == 1);
			ht_verify(f);
		}
		got = ht_get(f, HT_CLASS, 0);
		HT_ASSERT(f, got.page == span.page);
		HT_ASSERT(f, got.flags == HSPAN_SPAN_UNSWEPT);
		HT_ASSERT(f, got.sweepgen + 1 == f->control.sweepgen);
		ht_verify(f);
	}
}

/* Good and bad ones, of two classes: each is judged by itself. */
static void ht_case_put_many(struct ht_fixture *f)
{
	struct hspan_span a[8], b = ht_get(f, HT_WIDE, 0);
	struct hspan_put puts[12];
	struct hspan_arena_stats st;
	static const int want[12] = { 0, 0, 0, 0, 0, 0, -EALREADY, -EINVAL,
				      0, -ENOENT, 0, -EINVAL };
	u32 i;

	for (i = 0; i < 8; i++)
		a[i] = ht_get(f, HT_CLASS, 0);
	for (i = 0; i < 12; i++) {
		puts[i].page = a[i % 8].page;
		puts[i].nfree = i % 3 ? 5 : 0;
		puts[i].sweepgen = 1;
		puts[i].error = 1;
	}
	puts[2].page = b.page;
	puts[2].nfree = 4;		/* all: its pages are free */
	puts[6].page = a[0].page;	/* twice */
	puts[7].nfree = 65;
	puts[8].page = a[7].page;
	puts[9].page = HT_PAGES;
	puts[10].page = a[6].page;
	puts[11].page = a[2].page;
	puts[11].sweepgen = 7;
	HT_ASSERT(f, hspan_heap_put_many(f->heap, 1, puts, 12) == 8);
	for (i = 0; i < 12; i++)
		HT_ASSERT(f, puts[i].error == want[i]);
	st = ht_stats(f);
	HT_ASSERT(f, st.puts == 8 && st.spans == 8 && st.spans_held == 1);
	ht_verify(f);
	ht_put(f, a[2].page, 0);
}

#define HT_CACHE_CASES(X)			\
	X(cache_keeps_partial)			\
	X(cache_depth_zero)			\
	X(cache_grows)				\
	X(cache_shrinks)			\
	X(flush_cpu)				\
	X(slow_put)				\
	X(put_many)

#endif /* _HUGESPAN_HEAP_CACHE_CASES_H */
