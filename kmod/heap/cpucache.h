/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Slots and lines of a CPU cache.  How caches work is told in cpucache.c.
 */
#ifndef _HUGESPAN_HEAP_CPUCACHE_H
#define _HUGESPAN_HEAP_CPUCACHE_H

#include "internal.h"

/*
 * The class is known to be one.  Not an index, as the compiler would check it
 * again on kernels with CONFIG_UBSAN_BOUNDS, and save registers for that.
 */
static inline struct hspan_cache_line *
hspan_cache_line(struct hspan_cpu_cache *cache, u32 span_class)
{
	return cache->line + span_class;
}

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

	if (unlikely(desc->sweepgen != sweepgen)) {
		WRITE_ONCE(desc->sweepgen, sweepgen - 1);
		flags = HSPAN_SPAN_UNSWEPT;
	}
	hspan_desc_tell(desc, flags, span);
	hspan_desc_hand_over(desc, holder);
}

#endif /* _HUGESPAN_HEAP_CPUCACHE_H */
