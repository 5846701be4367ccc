/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Unit tests of the span heap, the same for KUnit and for the host.
 * HT_CASES(X) names them all.
 */
#ifndef _HUGESPAN_HEAP_CASES_H
#define _HUGESPAN_HEAP_CASES_H

#include "heap_cache_cases.h"
#include "heap_fixture.h"
#include "../heap/runs.h"

static void ht_case_new_heap_is_empty(struct ht_fixture *f)
{
	struct hspan_arena_stats st = ht_stats(f);

	HT_ASSERT(f, st.spans == 0 && st.blocks_held == 0 && st.gets == 0);
	HT_ASSERT(f, st.sweepgen == 1 && f->control.sweepgen == 1);
	HT_ASSERT(f, hspan_heap_limit(f->heap) == HT_BLOCKS);
	ht_verify(f);
}

static void ht_case_get_refuses(struct ht_fixture *f)
{
	static const struct {
		u32 holder, span_class, npages, flags, nr;
		int want;
	} bad[] = {
		{ 0, HT_CLASS, 0, 0, 1, -EINVAL },
		{ 1, HSPAN_NR_SPAN_CLASSES, 0, 0, 1, -EINVAL },
		{ 1, ~0U, 0, 0, 1, -EINVAL },
		{ 1, HT_CLASS, 1, 0, 1, -EINVAL },
		{ 1, HT_LARGE, 0, 0, 1, -EINVAL },
		{ 1, HT_CLASS, 0, 2, 1, -EINVAL },
		{ 1, HT_CLASS, 0, 0, 0, -EINVAL },
		{ 1, HT_CLASS, 0, 0, HSPAN_BATCH_MAX + 1, -EINVAL },
		{ 1, HT_LARGE, HT_PAGES + 1, 0, 1, -ENOSPC },
		{ 1, HT_LARGE, ~0U, 0, 1, -ENOSPC },
	};
	struct hspan_span span;
	u32 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		HT_ASSERT(f, hspan_heap_get(f->heap, bad[i].holder,
					    bad[i].span_class, bad[i].npages,
					    bad[i].flags, &span, bad[i].nr) ==
			     bad[i].want);
	HT_ASSERT(f, f->gets == 0);
	ht_verify(f);
}

static void ht_case_fresh_until_handed_out(struct ht_fixture *f)
{
	struct hspan_span a = ht_get(f, HT_CLASS, 0), b;
	u32 other = ht_get(f, HT_CLASS, 0).page;

	HT_ASSERT(f, a.flags == HSPAN_SPAN_FRESH && a.nfree == HT_CLASS_SLOTS);
	HT_ASSERT(f, a.npages == HT_CLASS_PAGES && a.sweepgen == 1);
	ht_put(f, a.page, HT_CLASS_SLOTS);
	b = ht_get(f, HT_CLASS, 0);
	HT_ASSERT(f, b.page == a.page && b.flags == HSPAN_SPAN_EMPTY);
	ht_put(f, b.page, HT_CLASS_SLOTS);
	ht_put(f, other, HT_CLASS_SLOTS);
	HT_ASSERT(f, hspan_heap_release(f->heap, ~0ULL) == 1);
	HT_ASSERT(f, f->puts == 1 && f->control.blocks_held == 0);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).flags == HSPAN_SPAN_FRESH);
	b = ht_get(f, HT_CLASS, 0);
	HT_ASSERT(f, b.page == other && b.flags == HSPAN_SPAN_FRESH);
	ht_verify(f);
}

static void ht_case_page_map_follows_spans(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_WIDE, 0);
	u32 i;

	for (i = 0; i < HT_WIDE_PAGES; i++)
		HT_ASSERT(f, ht_entry(f, span.page + i) ==
			     HSPAN_PM_ENTRY(span.page, HT_WIDE));
	HT_ASSERT(f, ht_entry(f, span.page + i) == HSPAN_PM_NONE);
	ht_put(f, span.page, 1);
	HT_ASSERT(f, ht_entry(f, span.page) != HSPAN_PM_NONE);
	span = ht_get(f, HT_WIDE, 0);
	ht_put(f, span.page, 4);
	for (i = 0; i < HT_WIDE_PAGES; i++)
		HT_ASSERT(f, ht_entry(f, span.page + i) == HSPAN_PM_NONE);
	ht_verify(f);
}

/* Each refusal has its errno and leaves everything as it was. */
static void ht_case_put_refuses(struct ht_fixture *f)
{
	struct hspan_span held = ht_get(f, HT_WIDE, 0);
	struct hspan_span cached = ht_get(f, HT_WIDE, 0);
	struct hspan_arena_stats before, after;
	const struct {
		u32 holder, page, nfree, sweepgen;
		int want;
	} bad[] = {
		{ 1, ~0U, 1, 1, -ENOENT },
		{ 1, HT_PAGES, 1, 1, -ENOENT },
		{ 1, HT_PAGES - 1, 1, 1, -ENOENT },
		{ 1, held.page + 1, 1, 1, -ENOENT },
		{ 2, held.page, 1, 1, -EPERM },
		{ 0, held.page, 1, 1, -EPERM },
		{ 1, cached.page, 1, 1, -EALREADY },
		{ 0, cached.page, 1, 1, -EALREADY },
		{ 1, held.page, 5, 1, -EINVAL },
		{ 1, held.page, ~0U, 1, -EINVAL },
		{ 1, held.page, 1, 2, -EINVAL },
		{ 1, held.page, 1, ~0U, -EINVAL },
	};
	u32 i;

	ht_put(f, cached.page, 1);
	before = ht_stats(f);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		HT_ASSERT(f, hspan_heap_put(f->heap, bad[i].holder,
					    bad[i].page, bad[i].nfree,
					    bad[i].sweepgen) == bad[i].want);
		after = ht_stats(f);
		HT_ASSERT(f, !memcmp(&before, &after, sizeof(before)));
		ht_verify(f);
	}
	ht_put(f, held.page, 4);
	HT_ASSERT(f, hspan_heap_put(f->heap, 1, held.page, 4, 1) == -ENOENT);
}

static void ht_case_cycle_turns_swept_unswept(struct ht_fixture *f)
{
	struct hspan_span full = ht_get(f, HT_CLASS, 0);
	struct hspan_span partial = ht_get(f, HT_CLASS, 0);
	struct hspan_span spans[4];
	u32 sweepgen;

	ht_put(f, full.page, 0);
	ht_put(f, partial.page, 9);
	HT_ASSERT(f, f->control.nr_unswept == 0);
	HT_ASSERT(f, hspan_heap_sweep_next(f->heap, 1, spans, 4) == 0);
	HT_ASSERT(f, ht_cycle(f) == 2);
	HT_ASSERT(f, f->control.nr_unswept == 2);
	ht_verify(f);
	HT_ASSERT(f, hspan_heap_cycle(f->heap, &sweepgen) == -EBUSY);
	HT_ASSERT(f, hspan_heap_sweep_next(f->heap, 1, spans, 4) == 2);
	HT_ASSERT(f, spans[0].flags == HSPAN_SPAN_UNSWEPT &&
		     spans[1].flags == HSPAN_SPAN_UNSWEPT);
	HT_ASSERT(f, spans[0].sweepgen == 1);
	HT_ASSERT(f, f->control.nr_unswept == 0);
	ht_put(f, full.page, 3);
	ht_put(f, partial.page, 0);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).page == full.page);
	ht_verify(f);
}

static void ht_case_put_of_the_cycle_before(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_CLASS, 0), got;
	u32 sweepgen;

	ht_cycle(f);
	HT_ASSERT(f, hspan_heap_put(f->heap, 1, span.page, ~0U, 1) == 0);
	HT_ASSERT(f, f->control.nr_unswept == 1);
	HT_ASSERT(f, hspan_heap_cycle(f->heap, &sweepgen) == -EBUSY);
	ht_verify(f);
	HT_ASSERT(f, hspan_heap_sweep_next(f->heap, 1, &got, 1) == 1);
	HT_ASSERT(f, got.page == span.page);
	ht_cycle(f);
	HT_ASSERT(f, hspan_heap_put(f->heap, 1, span.page, 0, 1) == -EINVAL);
	ht_put(f, span.page, 0);
	ht_verify(f);
}

/* Cached spans are listed by a cycle, and none is handed out as swept. */
static void ht_case_cycle_flushes_caches(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_CLASS, 0);

	ht_put(f, span.page, 2);
	HT_ASSERT(f, ht_stats(f).spans_cached == 1);
	ht_cycle(f);
	HT_ASSERT(f, ht_stats(f).spans_cached == 0);
	HT_ASSERT(f, f->control.nr_unswept == 1);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).flags == HSPAN_SPAN_UNSWEPT);
	HT_ASSERT(f, f->control.nr_unswept == 0);
}

static void ht_case_get_order(struct ht_fixture *f)
{
	struct hspan_span s[4], got;
	u32 i;

	for (i = 0; i < 4; i++)
		s[i] = ht_get(f, HT_CLASS, 0);
	ht_put(f, s[2].page, 7);
	ht_put(f, s[3].page, 0);
	ht_cycle(f);
	hspan_heap_set_cache_depth(f->heap, 0, 15);
	ht_put(f, s[1].page, 6);
	hspan_heap_set_cache_depth(f->heap, 1, 15);
	ht_put(f, s[0].page, 5);
	for (i = 0; i < 4; i++) {
		got = ht_get(f, HT_CLASS, 0);
		HT_ASSERT(f, got.page == s[i].page);
		HT_ASSERT(f, got.flags == (i < 2 ? 0 : HSPAN_SPAN_UNSWEPT));
	}
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).flags == HSPAN_SPAN_FRESH);
	ht_verify(f);
}

static void ht_case_fresh_skips_old(struct ht_fixture *f)
{
	struct hspan_span old = ht_get(f, HT_CLASS, 0), span;

	ht_put(f, old.page, 7);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, HSPAN_GET_FRESH,
				    &span, 1) == 1);
	HT_ASSERT(f, span.page != old.page && span.flags == HSPAN_SPAN_FRESH);
}

/* A get does not sweep through all full spans before it takes free pages. */
static void ht_case_full_unswept_budget(struct ht_fixture *f)
{
	static struct hspan_span spans[3 * HSPAN_FULL_BUDGET];
	struct hspan_span got;
	u32 i, stale = 0;

	for (i = 0; i < 3 * HSPAN_FULL_BUDGET; i++)
		spans[i] = ht_get(f, HT_CLASS, 0);
	for (i = 0; i < 3 * HSPAN_FULL_BUDGET; i++)
		ht_put(f, spans[i].page, 0);
	ht_cycle(f);
	for (i = 0; i < 3 * HSPAN_FULL_BUDGET; i++) {
		got = ht_get(f, HT_CLASS, 0);
		if (got.flags != HSPAN_SPAN_UNSWEPT)
			break;
		ht_put(f, got.page, 0);
		stale++;
	}
	HT_ASSERT(f, stale == HSPAN_FULL_BUDGET);
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).flags == HSPAN_SPAN_UNSWEPT);
}

static void ht_case_batch_does_not_grow(struct ht_fixture *f)
{
	static struct hspan_span spans[HSPAN_BATCH_MAX];

	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, spans,
				    HSPAN_BATCH_MAX) == 1);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, spans,
				    HSPAN_BATCH_MAX) == 255);
	HT_ASSERT(f, f->gets == 1);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, spans, 2) == 1);
	HT_ASSERT(f, f->gets == 2);
	ht_verify(f);
}

/* Of two holes that fit, the tighter is taken; of two blocks too. */
static void ht_case_best_fit(struct ht_fixture *f)
{
	struct hspan_span a[2], hole, wall;
	u32 i;

	a[0] = ht_get(f, HT_LARGE, 200);	/* block 0: 56 free */
	a[1] = ht_get(f, HT_LARGE, 190);	/* block 1: 66 free */
	hole = ht_get(f, HT_LARGE, 20);
	HT_ASSERT(f, hole.page == a[0].page + 200);
	wall = ht_get(f, HT_LARGE, 30);		/* leaves 6 in block 0 */
	HT_ASSERT(f, wall.page == hole.page + 20);
	ht_put(f, hole.page, 1);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 6).page == wall.page + 30);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 19).page == hole.page);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 60).page == a[1].page + 190);
	for (i = 0; i < 2; i++)
		ht_put(f, a[i].page, 1);
	ht_verify(f);
}

/* Both blocks have runs of 50. */
static void ht_case_lower_block_first(struct ht_fixture *f)
{
	static const u8 sizes[] = { 206, 50, 50, 28, 50, 28, 50, 50 };
	u32 pages[8], i;

	for (i = 0; i < 8; i++)
		pages[i] = ht_get(f, HT_LARGE, sizes[i]).page;
	HT_ASSERT(f, f->gets == 2 && ht_stats(f).pages_used == 512);
	ht_put(f, pages[1], 1);
	ht_put(f, pages[2], 1);
	ht_put(f, pages[4], 1);
	ht_put(f, pages[6], 1);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 40).page == pages[1]);
	ht_verify(f);
}

static void ht_case_pages_coalesce(struct ht_fixture *f)
{
	static u32 pages[HSPAN_BLOCK_PAGES];
	u32 i;

	for (i = 0; i < HSPAN_BLOCK_PAGES; i++)
		pages[i] = ht_get(f, HT_CLASS, 0).page;
	HT_ASSERT(f, f->gets == 1);
	for (i = 0; i < HSPAN_BLOCK_PAGES; i++)	/* 97 is odd: all, mixed up */
		ht_put(f, pages[i * 97 % HSPAN_BLOCK_PAGES], HT_CLASS_SLOTS);
	HT_ASSERT(f, f->control.blocks_free == 1);
	ht_verify(f);
	HT_ASSERT(f, ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES).page == 0);
	HT_ASSERT(f, f->gets == 1 && f->control.blocks_free == 0);
	ht_verify(f);
}

static void ht_case_large_over_blocks(struct ht_fixture *f)
{
	struct hspan_span small = ht_get(f, HT_CLASS, 0), large, tail;
	u32 i;

	large = ht_get(f, HT_LARGE, 2 * HSPAN_BLOCK_PAGES + 10);
	HT_ASSERT(f, large.page == HSPAN_BLOCK_PAGES);
	HT_ASSERT(f, large.flags == HSPAN_SPAN_FRESH && large.nfree == 1);
	HT_ASSERT(f, f->gets == 4);
	for (i = 0; i < large.npages; i++)
		HT_ASSERT(f, ht_entry(f, large.page + i) ==
			     HSPAN_PM_ENTRY(large.page, HT_LARGE));
	HT_ASSERT(f, ht_entry(f, large.page + i) == HSPAN_PM_NONE);
	ht_verify(f);
	tail = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES - 10);
	HT_ASSERT(f, tail.page == large.page + large.npages);
	ht_put(f, large.page, 1);
	HT_ASSERT(f, f->control.blocks_free == 2);
	HT_ASSERT(f, hspan_heap_put(f->heap, 1, large.page, 1, 1) == -ENOENT);
	ht_verify(f);
	large = ht_get(f, HT_LARGE, 2 * HSPAN_BLOCK_PAGES + 10);
	HT_ASSERT(f, large.flags == HSPAN_SPAN_EMPTY && f->gets == 4);
	ht_put(f, small.page, HT_CLASS_SLOTS);
	ht_verify(f);
}

static void ht_case_large_whole_range(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_LARGE, HT_PAGES);

	HT_ASSERT(f, span.page == 0 && f->gets == HT_BLOCKS);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, &span, 1) ==
		     -ENOSPC);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_LARGE, 300, 0, &span, 1) ==
		     -ENOSPC);
	ht_put(f, 0, 1);
	ht_verify(f);
	HT_ASSERT(f, hspan_heap_release(f->heap, 5) == 5);
	HT_ASSERT(f, f->backed[HT_BLOCKS - 6] && !f->backed[HT_BLOCKS - 5]);
	HT_ASSERT(f, hspan_heap_release(f->heap, ~0ULL) == HT_BLOCKS - 5);
	ht_verify(f);
}

/* A block that cannot be put stays free, and of use. */
static void ht_case_release_refused(struct ht_fixture *f)
{
	struct hspan_span span = ht_get(f, HT_LARGE, HT_PAGES);

	ht_put(f, span.page, 1);
	f->fail_puts = 1;
	HT_ASSERT(f, hspan_heap_try_release(f->heap, ~0ULL) == 0);
	HT_ASSERT(f, hspan_heap_nr_free(f->heap) == HT_BLOCKS);
	ht_verify(f);
	span = ht_get(f, HT_LARGE, HT_PAGES);
	HT_ASSERT(f, span.flags == HSPAN_SPAN_EMPTY && f->gets == HT_BLOCKS);
	ht_put(f, span.page, 1);
	HT_ASSERT(f, hspan_heap_try_release(f->heap, 3) == 3);
	HT_ASSERT(f, hspan_heap_try_release(f->heap, ~0ULL) == HT_BLOCKS - 3);
	HT_ASSERT(f, !hspan_heap_nr_free(f->heap));
	ht_verify(f);
}

static void ht_case_limit(struct ht_fixture *f)
{
	struct hspan_span a, b, span;

	hspan_heap_set_limit(f->heap, 2);
	HT_ASSERT(f, hspan_heap_limit(f->heap) == 2);
	a = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES);
	b = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, &span, 1) ==
		     -EDQUOT);
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_LARGE, 257, 0, &span, 1) ==
		     -EDQUOT);
	ht_verify(f);
	ht_put(f, a.page, 1);
	span = ht_get(f, HT_CLASS, 0);
	HT_ASSERT(f, span.page == a.page);
	hspan_heap_set_limit(f->heap, 1);	/* holds more: no harm */
	ht_put(f, b.page, 1);
	HT_ASSERT(f, ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES).page == b.page);
	ht_verify(f);
}

/* Free blocks in the wrong place give way to a large span at the limit. */
static void ht_case_limit_moves_free_blocks(struct ht_fixture *f)
{
	struct hspan_span a = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES);
	struct hspan_span b = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES);

	hspan_heap_set_limit(f->heap, 3);
	ht_put(f, a.page, 1);
	ht_get(f, HT_LARGE, 2 * HSPAN_BLOCK_PAGES);
	HT_ASSERT(f, ht_stats(f).blocks_held == 3 && f->puts == 1);
	ht_put(f, b.page, 1);
	ht_verify(f);
}

static void ht_case_small_growth_fails(struct ht_fixture *f)
{
	struct hspan_span span;

	f->fail_in = 1;
	f->fail_with = -ENOMEM;
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, &span, 1) ==
		     -ENOMEM);
	HT_ASSERT(f, f->control.blocks_held == 0);
	ht_verify(f);
	f->fail_map = true;
	HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_CLASS, 0, 0, &span, 1) ==
		     -ENOMEM);
	HT_ASSERT(f, f->gets == 1 && f->puts == 1);
	ht_verify(f);
	f->fail_map = false;
	HT_ASSERT(f, ht_get(f, HT_CLASS, 0).page == 0);
	ht_verify(f);
}

/* Whichever block of five cannot be had, everything is as it was before. */
static void ht_case_large_growth_fails(struct ht_fixture *f)
{
	struct hspan_span hole = ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES), span;
	struct hspan_arena_stats before, after;
	u32 i;

	ht_get(f, HT_LARGE, HSPAN_BLOCK_PAGES);
	ht_put(f, hole.page, 1);
	before = ht_stats(f);
	for (i = 1; i <= 5; i++) {
		f->fail_in = i;
		f->fail_with = -EDQUOT;
		HT_ASSERT(f, hspan_heap_get(f->heap, 1, HT_LARGE, 1100, 0,
					    &span, 1) == -EDQUOT);
		after = ht_stats(f);
		HT_ASSERT(f, !memcmp(&before, &after, sizeof(before)));
		HT_ASSERT(f, f->gets - f->puts == 2);
		ht_verify(f);
	}
	span = ht_get(f, HT_LARGE, 1100);
	HT_ASSERT(f, span.flags == HSPAN_SPAN_FRESH);
	ht_verify(f);
}

/* Taken from only if nothing else will do; a new block is better. */
static void ht_case_avoided_blocks(struct ht_fixture *f)
{
	unsigned long blocks[BITS_TO_LONGS(HT_BLOCKS)] = { 3 };
	u32 first = ht_get(f, HT_LARGE, 100).page;
	u32 nr_held = f->control.blocks_held;

	HT_ASSERT(f, !first && nr_held == 1);
	hspan_heap_avoid(f->heap, blocks);
	ht_verify(f);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 100).page == HSPAN_BLOCK_PAGES);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 156).page == HSPAN_BLOCK_PAGES + 100);
	hspan_heap_set_limit(f->heap, 2);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 50).page == 100);
	ht_verify(f);
	hspan_heap_avoid(f->heap, blocks);
	hspan_heap_avoid_not(f->heap, 0);
	HT_ASSERT(f, ht_get(f, HT_LARGE, 50).page == 150);
	hspan_heap_avoid(f->heap, NULL);
	ht_verify(f);
}

static void ht_case_drop_holder(struct ht_fixture *f)
{
	struct hspan_span mine = ht_get(f, HT_CLASS, 0), theirs[5], span;

	HT_ASSERT(f, hspan_heap_get(f->heap, 2, HT_CLASS, 0, 0, theirs, 5) == 5);
	HT_ASSERT(f, hspan_heap_put(f->heap, 2, theirs[0].page, 64, 1) == 0);
	HT_ASSERT(f, hspan_heap_put(f->heap, 2, theirs[1].page, 3, 1) == 0);
	HT_ASSERT(f, hspan_heap_drop_holder(f->heap, 2) == 3);
	HT_ASSERT(f, hspan_heap_drop_holder(f->heap, 2) == 0);
	HT_ASSERT(f, hspan_heap_drop_holder(f->heap, 0) == 0);
	HT_ASSERT(f, ht_stats(f).spans_held == 1);
	HT_ASSERT(f, f->control.nr_unswept == 0);
	HT_ASSERT(f, hspan_heap_put(f->heap, 2, theirs[2].page, 3, 1) ==
		     -EALREADY);
	ht_verify(f);
	ht_put(f, mine.page, HT_CLASS_SLOTS);
	HT_ASSERT(f, hspan_heap_get(f->heap, 3, HT_CLASS, 0, HSPAN_GET_FRESH,
				    &span, 1) == 1);
	ht_cycle(f);
	HT_ASSERT(f, hspan_heap_drop_holder(f->heap, 3) == 1);
	HT_ASSERT(f, f->control.nr_unswept == 5);
	ht_verify(f);
}

/* Held over several cycles and swept by nobody: joins the unswept. */
static void ht_case_drop_after_cycles(struct ht_fixture *f)
{
	ht_get(f, HT_CLASS, 0);
	ht_cycle(f);
	ht_cycle(f);
	ht_cycle(f);
	HT_ASSERT(f, hspan_heap_drop_holder(f->heap, 1) == 1);
	HT_ASSERT(f, f->control.nr_unswept == 1);
	ht_verify(f);
}

static void ht_case_sweep_sees_each_once(struct ht_fixture *f)
{
	static const u16 classes[] = { HT_CLASS, HT_WIDE, HT_LARGE, 1, 135 };
	static u8 seen[HT_PAGES];
	struct hspan_span spans[7];
	u32 i, total;
	int n, j;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 50; i++) {
		u32 span_class = classes[i % 5];
		u32 page = ht_get(f, span_class, span_class < 2 ? 3 : 0).page;

		ht_put(f, page, i % 2);	/* all of it, where it has one slot */
	}
	total = (u32)ht_stats(f).spans;
	ht_cycle(f);
	HT_ASSERT(f, f->control.nr_unswept == total);
	while ((n = hspan_heap_sweep_next(f->heap, 4, spans, 7)) > 0) {
		for (j = 0; j < n; j++) {
			HT_ASSERT(f, spans[j].flags == HSPAN_SPAN_UNSWEPT);
			HT_ASSERT(f, !seen[spans[j].page]++);
		}
		total -= n;
		HT_ASSERT(f, f->control.nr_unswept == total);
	}
	HT_ASSERT(f, n == 0 && total == 0);
	HT_ASSERT(f, hspan_heap_sweep_next(f->heap, 0, spans, 1) == -EINVAL);
	HT_ASSERT(f, hspan_heap_sweep_next(f->heap, 1, spans, 0) == -EINVAL);
	ht_verify(f);
}

static int ht_count_span(const struct hspan_span_info *info, void *arg)
{
	u32 *counts = arg;

	counts[info->state]++;
	return counts[0];
}

static int ht_stop_walk(const struct hspan_span_info *info, void *arg)
{
	*(u32 *)arg = info->page;
	return 7;
}

static void ht_case_walk(struct ht_fixture *f)
{
	u32 counts[4] = { 0 }, last, page;

	page = ht_get(f, HT_CLASS, 0).page;
	ht_get(f, HT_LARGE, 700);
	ht_put(f, ht_get(f, HT_WIDE, 0).page, 0);
	ht_put(f, page, 2);
	HT_ASSERT(f, hspan_heap_walk(f->heap, ht_count_span, counts) == 0);
	HT_ASSERT(f, counts[HSPAN_STATE_HELD] == 1 &&
		     counts[HSPAN_STATE_CACHED] == 1 &&
		     counts[HSPAN_STATE_LISTED] == 1);
	HT_ASSERT(f, hspan_heap_walk(f->heap, ht_stop_walk, &last) == 7);
	HT_ASSERT(f, last == page);
}

/* The obvious way: @best the shortest run that fits, @longest of all. */
static void ht_slow_runs(const unsigned long *used, u32 npages, u32 *best,
			 u32 *longest)
{
	u32 best_len = ~0U, len = 0, i;

	*best = HSPAN_BLOCK_PAGES;
	*longest = 0;
	for (i = 0; i <= HSPAN_BLOCK_PAGES; i++) {
		if (i < HSPAN_BLOCK_PAGES && !test_bit(i, used)) {
			len++;
			continue;
		}
		if (len >= npages && len < best_len) {
			best_len = len;
			*best = i - len;
		}
		*longest = max(*longest, len);
		len = 0;
	}
}

static void ht_case_runs_match_slow(struct ht_fixture *f)
{
	DECLARE_BITMAP(used, HSPAN_BLOCK_PAGES);
	u32 seed = 1, round, i, npages, best, longest;

	for (round = 0; round < 2000; round++) {
		bitmap_zero(used, HSPAN_BLOCK_PAGES);
		for (i = 0; i < round % 100; i++) {
			seed = seed * 1664525 + 1013904223;
			bitmap_set(used, seed >> 24, 1 + (seed >> 8) % 3 %
				   (HSPAN_BLOCK_PAGES - (seed >> 24)));
		}
		if (round % 10 == 9)
			bitmap_set(used, 0, 128 + round % 129);
		npages = 1 + (seed >> 4) % (round % 2 ? 4 : HSPAN_BLOCK_PAGES);
		ht_slow_runs(used, npages, &best, &longest);
		HT_ASSERT(f, hspan_runs_longest(used) == longest);
		HT_ASSERT(f, hspan_runs_best(used, npages) == best);
	}
}

static void ht_case_slots_and_classes(struct ht_fixture *f)
{
	u32 size, size_class, off, step;

	for (size = 1; size <= HSPAN_SMALL_MAX; size++) {
		size_class = hspan_size_class(size);
		HT_ASSERT(f, hspan_class_size[size_class] >= size);
		HT_ASSERT(f, hspan_class_size[size_class - 1] < size);
	}
	for (size_class = 1; size_class < HSPAN_NR_SIZE_CLASSES; size_class++) {
		size = hspan_class_size[size_class];
		step = size > 64 ? size / 8 - 1 : 1;
		for (off = 0; off < hspan_class_pages[size_class] *
				    HSPAN_PAGE_SIZE; off += step)
			HT_ASSERT(f, hspan_slot_of(size_class, off) ==
				     off / size);
	}
}

#define HT_CASES(X)				\
	X(new_heap_is_empty)			\
	X(get_refuses)				\
	X(fresh_until_handed_out)		\
	X(page_map_follows_spans)		\
	HT_CACHE_CASES(X)			\
	X(put_refuses)				\
	X(cycle_turns_swept_unswept)		\
	X(put_of_the_cycle_before)		\
	X(cycle_flushes_caches)			\
	X(get_order)				\
	X(fresh_skips_old)			\
	X(full_unswept_budget)			\
	X(batch_does_not_grow)			\
	X(best_fit)				\
	X(lower_block_first)			\
	X(pages_coalesce)			\
	X(large_over_blocks)			\
	X(large_whole_range)			\
	X(release_refused)			\
	X(limit)				\
	X(limit_moves_free_blocks)		\
	X(small_growth_fails)			\
	X(large_growth_fails)			\
	X(avoided_blocks)			\
	X(drop_holder)				\
	X(drop_after_cycles)			\
	X(sweep_sees_each_once)			\
	X(walk)					\
	X(runs_match_slow)			\
	X(slots_and_classes)

#endif /* _HUGESPAN_HEAP_CASES_H */
