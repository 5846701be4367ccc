/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The shortest way of a span: one, from or to this CPU's cache.  How caches
 * work is told in cpucache.c, which does the same for many.
 *
 * Most calls end here.  So nothing is called from here, and who includes it
 * need not save registers for what comes if they do not.
 */
#ifndef _HUGESPAN_HEAP_CPUCACHE_H
#define _HUGESPAN_HEAP_CPUCACHE_H

#include "internal.h"

/* Slots of the line that a put may fill. */
static inline u32 hspan_cache_limit(const struct hspan_heap *heap,
				    const struct hspan_cache_line *line)
{
	u32 depth = max_t(u32, READ_ONCE(line->depth),
			  READ_ONCE(heap->cache_depth));

	return min(depth, READ_ONCE(heap->cache_max_depth));
}

/* Empty the slot: the page number + 1 of a span that is ours now, or 0. */
static inline u32 hspan_slot_take(u32 *slot)
{
	return READ_ONCE(*slot) ? xchg(slot, 0) : 0;
}

/* Publish the span, unless the slot is filled.  Full barrier if it was not. */
static inline bool hspan_slot_fill(u32 *slot, const struct hspan_sdesc *desc)
{
	return !READ_ONCE(*slot) && !cmpxchg(slot, 0, desc->page + 1);
}

/* The span was in a slot and is ours; it becomes @holder's. */
static inline void hspan_cache_hand_out(struct hspan_heap *heap, u32 page,
					u32 holder, struct hspan_span *span)
{
	struct hspan_sdesc *desc = hspan_desc(heap, page);
	u32 sweepgen = READ_ONCE(heap->sweepgen);
	u16 flags = 0;

	if (desc->sweepgen != sweepgen) {
		WRITE_ONCE(desc->sweepgen, sweepgen - 1);
		flags = HSPAN_SPAN_UNSWEPT;
	}
	hspan_desc_tell(desc, flags, span);
	hspan_desc_hand_over(desc, holder);
}

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
static inline bool hspan_cpucache_get_one(struct hspan_heap *heap, u32 holder,
					  u32 span_class,
					  struct hspan_span *span)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	u32 *slot = cache->line[span_class].slot;
	u32 *end = slot + HSPAN_CACHE_DEPTH_MAX;
	u32 word = 0;

	while (slot < end && !(word = hspan_slot_take(slot)))
		slot++;
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
 * @desc: with a free slot; otherwise as for hspan_cpucache_put()
 *
 * Return: false if there is no room, which hspan_cpucache_put() would make
 * something of.
 */
static inline bool hspan_cpucache_put_one(struct hspan_heap *heap,
					  struct hspan_sdesc *desc)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	u32 span_class = desc->span_class, sweepgen = desc->sweepgen;
	struct hspan_cache_line *line = &cache->line[span_class];
	u32 *slot = line->slot, *end = slot + hspan_cache_limit(heap, line);
	bool done;

	if (!READ_ONCE(cache->used))
		WRITE_ONCE(cache->used, true);
	WRITE_ONCE(desc->state, HSPAN_STATE_CACHED);
	while (slot < end && !hspan_slot_fill(slot, desc))
		slot++;
	done = slot < end;
	if (done) {
		local64_add(1, &cache->puts);
		if (slot + 1 == end && !READ_ONCE(line->topped))
			WRITE_ONCE(line->topped, true);
	}
	put_cpu_ptr(heap->caches);

	/* Not this span, perhaps, but who lists a cached one does no harm. */
	if (done && READ_ONCE(heap->sweepgen) != sweepgen)
		hspan_cpucache_drain(heap, span_class);
	return done;
}

#endif /* _HUGESPAN_HEAP_CPUCACHE_H */
