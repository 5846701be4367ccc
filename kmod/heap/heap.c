// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The span heap's calls: making and ending a heap, getting and sweeping spans,
 * and starting a cycle.  The order of locks and the life of a span are told in
 * heap.h.
 */
#include "quick.h"

struct hspan_heap *hspan_heap_create(const struct hspan_heap_ops *ops,
				     void *priv, u32 nr_blocks)
{
	struct hspan_heap *heap;
	unsigned int i;

	heap = kvzalloc(sizeof(*heap), HSPAN_HEAP_GFP);
	if (!heap)
		return NULL;
	heap->ops = ops;
	heap->priv = priv;
	heap->nr_blocks = nr_blocks;
	heap->limit = nr_blocks;
	heap->sweepgen = 1;
	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++)
		hspan_central_init(&heap->central[i]);
	if (hspan_pageheap_init(heap))
		goto out_free_pageheap;
	if (hspan_cpucache_init(heap))
		goto out_free_pageheap;
	return heap;

out_free_pageheap:
	hspan_pageheap_exit(heap);
	kvfree(heap);
	return NULL;
}

void hspan_heap_destroy(struct hspan_heap *heap)
{
	if (!heap)
		return;
	hspan_cpucache_exit(heap);
	hspan_pageheap_exit(heap);
	kvfree(heap);
}

void *hspan_heap_priv(const struct hspan_heap *heap)
{
	return heap->priv;
}

size_t hspan_heap_bytes(u32 nr_blocks)
{
	return sizeof(struct hspan_heap) + hspan_pageheap_bytes(nr_blocks) +
	       hspan_cpucache_bytes();
}

static int hspan_get_small(struct hspan_heap *heap, u32 holder, u32 span_class,
			   u32 flags, struct hspan_span *spans, u32 nr)
{
	u32 npages = hspan_class_pages[span_class / 2], n = 0;
	bool fresh = flags & HSPAN_GET_FRESH;

	if (!fresh) {
		n = hspan_cpucache_get(heap, holder, span_class, spans, nr);
		if (n < nr)
			n += hspan_central_get(heap, holder, span_class,
					       spans + n, nr - n);
		if (n == nr)
			return n;
	}
	n += hspan_pageheap_get(heap, holder, span_class, npages, spans + n,
				nr - n, false);
	if (!n && !fresh && hspan_cpucache_drain(heap, span_class))
		n = hspan_central_get(heap, holder, span_class, spans, nr);
	if (n)
		return n;
	might_sleep();
	return hspan_pageheap_get(heap, holder, span_class, npages, spans, nr,
				  true);
}

/* Spans of free pages only; one that was swept is free or has no use. */
static int hspan_get_large(struct hspan_heap *heap, u32 holder, u32 span_class,
			   u32 npages, struct hspan_span *spans, u32 nr)
{
	if (npages > (u64)heap->nr_blocks * HSPAN_BLOCK_PAGES)
		return -ENOSPC;
	might_sleep();
	return hspan_pageheap_get(heap, holder, span_class, npages, spans, nr,
				  true);
}

/* No part of its caller, which otherwise has no registers to save. */
static noinline int hspan_get_any(struct hspan_heap *heap, u32 holder,
				  u32 span_class, u32 npages, u32 flags,
				  struct hspan_span *spans, u32 nr)
{
	bool large = span_class / 2 == 0;

	if (!holder || !nr || nr > HSPAN_BATCH_MAX ||
	    span_class >= HSPAN_NR_SPAN_CLASSES || flags & ~HSPAN_GET_FRESH ||
	    large != !!npages)
		return -EINVAL;
	span_class = array_index_nospec(span_class, HSPAN_NR_SPAN_CLASSES);
	if (large)
		return hspan_get_large(heap, holder, span_class, npages, spans,
				       nr);
	return hspan_get_small(heap, holder, span_class, flags, spans, nr);
}

int hspan_heap_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		   u32 npages, u32 flags, struct hspan_span *spans, u32 nr)
{
	if (nr == 1 &&
	    hspan_get_quick(heap, holder, span_class, npages, flags, spans))
		return 1;
	return hspan_get_any(heap, holder, span_class, npages, flags, spans,
			     nr);
}

int hspan_heap_sweep_next(struct hspan_heap *heap, u32 holder,
			  struct hspan_span *spans, u32 nr)
{
	u32 first = READ_ONCE(heap->sweep_hint), i, n = 0;

	if (!holder || !nr || nr > HSPAN_BATCH_MAX)
		return -EINVAL;
	if (!hspan_nr_unswept(heap))
		return 0;
	for (i = 0; i < HSPAN_NR_SPAN_CLASSES && n < nr; i++) {
		u32 span_class = (first + i) % HSPAN_NR_SPAN_CLASSES;
		u32 got = hspan_central_sweep(heap, holder, span_class,
					      spans + n, nr - n);

		if (got)
			WRITE_ONCE(heap->sweep_hint, span_class);
		n += got;
	}
	if (n)
		hspan_control_unswept(heap);
	return n;
}

/* Nothing of the cycle before may be left unswept. */
static int hspan_cycle_begin(struct hspan_heap *heap)
{
	int err = 0;

	spin_lock(&heap->lock);
	if (heap->cycling || hspan_nr_unswept(heap))
		err = -EBUSY;
	else
		heap->cycling = true;
	spin_unlock(&heap->lock);
	return err;
}

/* A span may have joined the unswept since; then there is no new cycle. */
static int hspan_cycle_advance(struct hspan_heap *heap, u32 *sweepgen)
{
	int err = 0;

	spin_lock(&heap->lock);
	if (hspan_nr_unswept(heap)) {
		err = -EBUSY;
	} else {
		*sweepgen = heap->sweepgen + 1;
		WRITE_ONCE(heap->sweepgen, *sweepgen);
		if (heap->control) {
			hspan_control_unswept(heap);
			smp_store_release(&heap->control->sweepgen, *sweepgen);
		}
	}
	spin_unlock(&heap->lock);
	return err;
}

/*
 * The first flush makes the count of the unswept nearly complete when clients
 * learn of the new cycle, the second catches what was cached meanwhile.  Once
 * all caches and centrals have been passed through, no one works with an
 * older sweepgen any more.
 */
int hspan_heap_cycle(struct hspan_heap *heap, u32 *sweepgen)
{
	int err;

	err = hspan_cycle_begin(heap);
	if (err)
		return err;
	hspan_cpucache_flush(heap, HSPAN_FLUSH_KEEP);
	err = hspan_cycle_advance(heap, sweepgen);
	if (!err) {
		WRITE_ONCE(heap->sweep_hint, 0);
		hspan_cpucache_flush(heap, HSPAN_FLUSH_AGE);
		hspan_central_sync(heap);
		hspan_control_unswept(heap);
	}
	spin_lock(&heap->lock);
	heap->cycling = false;
	spin_unlock(&heap->lock);
	return err;
}

void hspan_heap_flush(struct hspan_heap *heap)
{
	hspan_cpucache_flush(heap, HSPAN_FLUSH_RESET);
}

void hspan_heap_flush_cpu(struct hspan_heap *heap, int cpu)
{
	hspan_cpucache_flush_cpu(heap, cpu, HSPAN_FLUSH_RESET);
}

void hspan_heap_set_pressure(struct hspan_heap *heap, u32 level)
{
	struct hspan_control *control = READ_ONCE(heap->control);

	if (control)
		WRITE_ONCE(control->pressure, level);
}

void hspan_heap_set_control(struct hspan_heap *heap,
			    struct hspan_control *control)
{
	spin_lock(&heap->lock);
	WRITE_ONCE(heap->control, control);
	if (control)
		WRITE_ONCE(control->sweepgen, heap->sweepgen);
	hspan_control_blocks(heap);
	spin_unlock(&heap->lock);
	hspan_control_unswept(heap);
}

void hspan_heap_set_cache_depth(struct hspan_heap *heap, u32 depth,
				u32 max_depth)
{
	WRITE_ONCE(heap->cache_depth,
		   min_t(u32, depth, HSPAN_CACHE_DEPTH_MAX));
	WRITE_ONCE(heap->cache_max_depth,
		   min_t(u32, max_depth, HSPAN_CACHE_DEPTH_MAX));
	hspan_cpucache_flush(heap, HSPAN_FLUSH_RESET);
}
