// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CPU caches: a few swept, partial spans of each class for each CPU, so that
 * the common get and put take no lock.
 *
 * Every slot stands by itself: it holds a page number or nothing, and who
 * exchanges a page number for nothing owns the span.  So a thread may be
 * moved or stopped between any two instructions, any CPU may empty any
 * cache, and no span can be in two hands or in none.  A get and a put on
 * their own CPU are one atomic operation each on a cache line that no other
 * CPU uses; that is as cheap as a lock of one's own, and cheaper than the
 * interrupts it would take to empty a cache that only its CPU may touch.
 *
 * A cached span is swept.  A put publishes the span and then looks at the
 * heap's sweepgen again; a cycle moves sweepgen and then looks into all
 * slots.  With a full barrier between each one's two steps, at least one
 * sees the other: when both are over, no span of the cycle before is left in
 * a slot.  In between, a get may find one and hands it out as unswept.
 *
 * How deep a cache is follows from what deeper or shallower would have
 * brought.  It grows by one when a get finds nothing that a put, since the
 * last such get, had no room for: one slot more, and this get would have hit.
 * It shrinks by one when a cycle ends in which the last slot was never
 * filled: without that slot, all would have been the same.  So a load that
 * repeats itself from cycle to cycle comes to rest: what it shrank by, it had
 * no use for, and does not grow by again.
 */
#include "cpucache.h"

/* A get missed what a put had no room for. */
static void hspan_cache_grow(const struct hspan_heap *heap,
			     struct hspan_cache_line *line)
{
	u32 limit = hspan_cache_limit(heap, line);

	WRITE_ONCE(line->overflowed, false);
	if (limit < READ_ONCE(heap->cache_max_depth)) {
		WRITE_ONCE(line->depth, limit + 1);
		WRITE_ONCE(line->topped, true);
	}
}

/* What a flush does about the depth a cache has come to. */
static void hspan_cache_adapt(struct hspan_cache_line *line,
			      enum hspan_flush how)
{
	u8 depth = READ_ONCE(line->depth);

	if (how == HSPAN_FLUSH_KEEP)
		return;
	if (how == HSPAN_FLUSH_RESET)
		WRITE_ONCE(line->depth, 0);
	else if (depth && !READ_ONCE(line->topped))
		WRITE_ONCE(line->depth, depth - 1);
	WRITE_ONCE(line->topped, false);
	WRITE_ONCE(line->overflowed, false);
}

/**
 * hspan_cpucache_get() - take spans from this CPU's cache
 * @heap: the heap
 * @holder: who gets them
 * @span_class: their class
 * @spans: filled in
 * @nr: how many are wanted
 *
 * Looks into every slot, as the depth may have been more when it was filled.
 *
 * Return: how many.
 */
u32 hspan_cpucache_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		       struct hspan_span *spans, u32 nr)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	struct hspan_cache_line *line = hspan_cache_line(cache, span_class);
	u32 *slot = line->slot, *end = slot + HSPAN_CACHE_DEPTH_MAX;
	struct hspan_span *span = spans, *last = spans + nr;
	u32 n;

	for (; slot < end && span < last; slot++) {
		u32 word = hspan_slot_take(slot);

		if (!word)
			continue;
		hspan_cache_hand_out(heap, word - 1, holder, span);
		span++;
	}
	n = span - spans;
	if (n)
		local64_add(n, &cache->hits);
	if (n < nr && READ_ONCE(line->overflowed))
		hspan_cache_grow(heap, line);
	put_cpu_ptr(heap->caches);
	return n;
}

/* Empty one slot to its central list; false if there is nothing in it. */
static bool hspan_cache_drain_slot(struct hspan_heap *heap, u32 *slot)
{
	u32 word = hspan_slot_take(slot);

	if (word)
		hspan_central_drain(heap, hspan_desc(heap, word - 1));
	return word;
}

static u32 hspan_cache_drain(struct hspan_heap *heap,
			     struct hspan_cache_line *line)
{
	u32 n = 0, i;

	for (i = 0; i < HSPAN_CACHE_DEPTH_MAX; i++)
		n += hspan_cache_drain_slot(heap, &line->slot[i]);
	return n;
}

/* Move the first spans of a chain to slots, as far as there are any of both. */
static void hspan_cache_fill(const struct hspan_heap *heap,
			     struct hspan_cache_line *line,
			     struct hspan_chain *chain)
{
	u32 *slot = line->slot, *end = slot + hspan_cache_limit(heap, line);
	struct hspan_sdesc *desc = chain->first, *next;
	u32 left = chain->nr;

	for (; left && slot < end; slot++) {
		if (READ_ONCE(*slot))
			continue;
		next = desc->next;	/* it is not ours in the slot */
		WRITE_ONCE(desc->state, HSPAN_STATE_CACHED);
		if (!hspan_slot_fill(slot, desc)) {
			WRITE_ONCE(desc->state, HSPAN_STATE_LISTED);
			continue;
		}
		desc = next;
		left--;
	}
	if (left < chain->nr && slot == end && !READ_ONCE(line->topped))
		WRITE_ONCE(line->topped, true);
	if (left && !READ_ONCE(line->overflowed))
		WRITE_ONCE(line->overflowed, true);
	chain->first = desc;
	chain->nr = left;
}

/**
 * hspan_cpucache_put() - keep spans in this CPU's cache
 * @heap: the heap
 * @batch: the spans; those for which there is room are taken from it
 *
 * The CPU cannot go away between being asked for and the spans being in its
 * cache: preemption is off.
 */
void hspan_cpucache_put(struct hspan_heap *heap, struct hspan_batch *batch)
{
	struct hspan_cpu_cache *cache = get_cpu_ptr(heap->caches);
	struct hspan_cache_line *line = hspan_cache_line(cache,
							 batch->span_class);
	u32 n = batch->partial.nr;

	if (!READ_ONCE(cache->used))
		WRITE_ONCE(cache->used, true);
	hspan_cache_fill(heap, line, &batch->partial);
	n -= batch->partial.nr;
	if (n)
		local64_add(n, &cache->puts);
	put_cpu_ptr(heap->caches);

	/* Not these spans, perhaps, but listing others does no harm. */
	if (n && READ_ONCE(heap->sweepgen) != batch->sweepgen)
		hspan_cache_drain(heap, line);
}

/**
 * hspan_cpucache_drain() - empty all CPUs' caches of one class
 * @heap: the heap
 * @span_class: the class
 *
 * Return: how many spans were listed.
 */
u32 hspan_cpucache_drain(struct hspan_heap *heap, u32 span_class)
{
	u32 n = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct hspan_cpu_cache *cache = per_cpu_ptr(heap->caches, cpu);

		if (READ_ONCE(cache->used))
			n += hspan_cache_drain(heap, &cache->line[span_class]);
	}
	return n;
}

/**
 * hspan_cpucache_flush_cpu() - empty one CPU's cache
 * @heap: the heap
 * @cpu: the CPU; it need not be there any more
 * @how: what becomes of its depth
 */
void hspan_cpucache_flush_cpu(struct hspan_heap *heap, int cpu,
			      enum hspan_flush how)
{
	struct hspan_cpu_cache *cache = per_cpu_ptr(heap->caches, cpu);
	unsigned int i;

	if (!READ_ONCE(cache->used))
		return;
	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++) {
		hspan_cache_drain(heap, &cache->line[i]);
		hspan_cache_adapt(&cache->line[i], how);
	}
}

/* Afterwards no cache holds what was put before the call. */
void hspan_cpucache_flush(struct hspan_heap *heap, enum hspan_flush how)
{
	int cpu;

	smp_mb();	/* a new sweepgen or depth, then slots: see above */
	for_each_possible_cpu(cpu)
		hspan_cpucache_flush_cpu(heap, cpu, how);
}

int hspan_cpucache_init(struct hspan_heap *heap)
{
	heap->caches = alloc_percpu_gfp(struct hspan_cpu_cache,
					HSPAN_HEAP_GFP);
	if (!heap->caches)
		return -ENOMEM;
	heap->cache_depth = HSPAN_CACHE_DEPTH_DEFAULT;
	heap->cache_max_depth = HSPAN_CACHE_DEPTH_MAX;
	return 0;
}

/* What hspan_cpucache_init() allocates. */
size_t hspan_cpucache_bytes(void)
{
	size_t bytes = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		bytes += sizeof(struct hspan_cpu_cache);
	return bytes;
}

void hspan_cpucache_exit(struct hspan_heap *heap)
{
	free_percpu(heap->caches);
}
