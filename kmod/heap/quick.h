/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The shortest way of a span: one, from or to this CPU's cache.
 *
 * Most gets and puts end here.  So it is inline, for callers that count
 * instructions, and what comes if it does not serve is theirs: they need not
 * save registers for that.
 */
#ifndef _HUGESPAN_HEAP_QUICK_H
#define _HUGESPAN_HEAP_QUICK_H

#include "cpucache.h"

/**
 * hspan_cpucache_get_one() - take a span from this CPU's cache
 * @heap: the heap
 * @holder: who gets it
 * @span_class: its class
 * @span: filled in
 *
 * Return: false if there is none, which hspan_cpucache_get() would make
 * something of.
 */
static __always_inline bool hspan_cpucache_get_one(struct hspan_heap *heap,
						   u32 holder, u32 span_class,
						   struct hspan_span *span)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	u32 *slot = hspan_cache_line(cache, span_class)->slot;
	u32 *end = slot + HSPAN_CACHE_DEPTH_MAX;
	u32 word;

	do {
		word = hspan_slot_take(slot);
	} while (!word && ++slot < end);
	if (word) {
		hspan_cache_hand_out(heap, word - 1, holder, span);
		local64_add(1, &cache->hits);
	}
	put_cpu_ptr(heap->caches);
	return word;
}

/**
 * hspan_cpucache_put_one() - keep a span in this CPU's cache
 * @heap: the heap
 * @desc: claimed, with a free slot and its new nfree and sweepgen
 * @sweepgen: the latter, which was the heap's a moment ago
 *
 * Return: false if there is no room, which hspan_cpucache_put() would make
 * something of.
 */
static __always_inline bool hspan_cpucache_put_one(struct hspan_heap *heap,
						   struct hspan_sdesc *desc,
						   u32 sweepgen)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	u32 span_class = desc->span_class;
	struct hspan_cache_line *line = hspan_cache_line(cache, span_class);
	u32 *slot = line->slot, *end = slot + hspan_cache_limit(heap, line);

	if (!READ_ONCE(cache->used))
		WRITE_ONCE(cache->used, true);
	WRITE_ONCE(desc->state, HSPAN_STATE_CACHED);
	for (; slot < end; slot++) {
		if (!hspan_slot_fill(slot, desc))
			continue;
		local64_add(1, &cache->puts);
		if (slot + 1 == end && !READ_ONCE(line->topped))
			WRITE_ONCE(line->topped, true);
		put_cpu_ptr(heap->caches);

		/* Not this span, perhaps, but listing another does no harm. */
		if (unlikely(READ_ONCE(heap->sweepgen) != sweepgen))
			hspan_cpucache_drain(heap, span_class);
		return true;
	}
	put_cpu_ptr(heap->caches);
	return false;
}

/**
 * hspan_get_quick() - hspan_heap_get() of one span
 * @heap: the heap
 * @holder: who gets it
 * @span_class: its class
 * @npages: as for hspan_heap_get()
 * @flags: likewise
 * @span: filled in
 *
 * Return: false if nothing was done; hspan_heap_get() knows why.
 */
static __always_inline bool hspan_get_quick(struct hspan_heap *heap, u32 holder,
					    u32 span_class, u32 npages,
					    u32 flags, struct hspan_span *span)
{
	if ((flags | npages) || !holder || span_class >= HSPAN_NR_SPAN_CLASSES)
		return false;
	span_class = array_index_nospec(span_class, HSPAN_NR_SPAN_CLASSES);
	return hspan_cpucache_get_one(heap, holder, span_class, span);
}

/**
 * hspan_put_quick() - hspan_heap_put() of a swept span with slots in use
 * @heap: the heap
 * @holder: who had it
 * @page: its first page
 * @nfree: its free slots
 * @sweepgen: when it was last swept
 *
 * Return: false if nothing was done; hspan_heap_put() knows why.
 */
static __always_inline bool hspan_put_quick(struct hspan_heap *heap, u32 holder,
					    u32 page, u32 nfree, u32 sweepgen)
{
	struct hspan_block *block = hspan_block_find(heap,
						     hspan_block_of(page));
	struct hspan_sdesc *desc;

	if (!block || !holder)
		return false;
	desc = hspan_block_desc(block, page);
	if (cmpxchg(&desc->holder, holder, 0) != holder)
		return false;
	if (sweepgen != READ_ONCE(heap->sweepgen) ||
	    nfree >= hspan_nelems(desc->span_class)) {
		smp_store_release(&desc->holder, holder);
		return false;
	}
	WRITE_ONCE(desc->nfree, nfree);
	WRITE_ONCE(desc->sweepgen, sweepgen);
	if (!nfree || !hspan_cpucache_put_one(heap, desc, sweepgen))
		hspan_put_swept(heap, desc);
	return true;
}

#endif /* _HUGESPAN_HEAP_QUICK_H */
