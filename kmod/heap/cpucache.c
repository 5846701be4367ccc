// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CPU caches: a few swept, partial spans of each class for each CPU, so that
 * the common get and put take no lock another CPU wants.
 *
 * A span may be cached when its sweepgen is the current one.  A cycle adds
 * one and then empties every cache; in between, a span popped from a cache
 * is one behind, and is handed out as unswept.
 */
#include "internal.h"

/**
 * hspan_cpucache_get() - take spans from this CPU's cache
 * @heap: the heap
 * @holder: who gets them
 * @span_class: their class
 * @spans: filled in
 * @nr: how many are wanted
 *
 * Return: how many.
 */
u32 hspan_cpucache_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		       struct hspan_span *spans, u32 nr)
{
	struct hspan_cpu_cache *cache = raw_cpu_ptr(heap->caches);
	u32 n, i;

	spin_lock(&cache->lock);
	n = min_t(u32, nr, cache->nr[span_class]);
	cache->nr[span_class] -= n;
	cache->total -= n;
	cache->hits += n;
	for (i = 0; i < n; i++) {
		u32 slot = cache->nr[span_class] + n - 1 - i;
		struct hspan_sdesc *desc =
			hspan_desc(heap, cache->page[span_class][slot]);
		u16 flags = 0;

		if (desc->sweepgen != READ_ONCE(heap->sweepgen))
			flags = HSPAN_SPAN_UNSWEPT;
		hspan_desc_tell(desc, flags, &spans[i]);
		hspan_desc_hand_over(desc, holder);
	}
	spin_unlock(&cache->lock);
	return n;
}

/**
 * hspan_cpucache_put() - keep a span in this CPU's cache
 * @heap: the heap
 * @desc: the span, claimed
 * @nfree: its free slots: some, but not all
 * @sweepgen: the cycle it was last swept in
 *
 * Return: true, or false if there is no room or it has to be swept.
 */
bool hspan_cpucache_put(struct hspan_heap *heap, struct hspan_sdesc *desc,
			u32 nfree, u32 sweepgen)
{
	struct hspan_cpu_cache *cache = raw_cpu_ptr(heap->caches);
	u8 *nr = &cache->nr[desc->span_class];
	bool kept;

	spin_lock(&cache->lock);
	kept = *nr < READ_ONCE(heap->cache_depth) &&
	       sweepgen == READ_ONCE(heap->sweepgen);
	if (kept) {
		WRITE_ONCE(desc->nfree, nfree);
		WRITE_ONCE(desc->sweepgen, sweepgen);
		WRITE_ONCE(desc->state, HSPAN_STATE_CACHED);
		cache->page[desc->span_class][(*nr)++] = desc->page;
		cache->total++;
		cache->puts++;
	}
	spin_unlock(&cache->lock);
	return kept;
}

static void hspan_cpucache_empty(struct hspan_heap *heap,
				 struct hspan_cpu_cache *cache)
{
	unsigned int i;

	spin_lock(&cache->lock);
	for (i = 0; cache->total && i < HSPAN_NR_SPAN_CLASSES; i++) {
		while (cache->nr[i]) {
			cache->nr[i]--;
			cache->total--;
			hspan_central_add(heap, hspan_desc(heap,
					  cache->page[i][cache->nr[i]]));
		}
	}
	spin_unlock(&cache->lock);
}

/* Afterwards no cache holds what was put before the call. */
void hspan_cpucache_flush(struct hspan_heap *heap)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hspan_cpucache_empty(heap, per_cpu_ptr(heap->caches, cpu));
}

int hspan_cpucache_init(struct hspan_heap *heap)
{
	int cpu;

	heap->caches = alloc_percpu_gfp(struct hspan_cpu_cache,
					GFP_KERNEL_ACCOUNT);
	if (!heap->caches)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(heap->caches, cpu)->lock);
	heap->cache_depth = HSPAN_CACHE_DEPTH_DEFAULT;
	return 0;
}

void hspan_cpucache_exit(struct hspan_heap *heap)
{
	free_percpu(heap->caches);
}
