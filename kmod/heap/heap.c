// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The span heap's calls: making and ending a heap, getting, putting and
 * sweeping spans, and starting a cycle.  The order of locks and the life of
 * a span are told in heap.h.
 */
#include "internal.h"

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
	return hspan_pageheap_get(heap, holder, span_class, npages, spans, nr,
				  true);
}

/* Spans of free pages only; one that was swept is free or has no use. */
static int hspan_get_large(struct hspan_heap *heap, u32 holder, u32 span_class,
			   u32 npages, struct hspan_span *spans, u32 nr)
{
	if (npages > (u64)heap->nr_blocks * HSPAN_BLOCK_PAGES)
		return -ENOSPC;
	return hspan_pageheap_get(heap, holder, span_class, npages, spans, nr,
				  true);
}

int hspan_heap_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		   u32 npages, u32 flags, struct hspan_span *spans, u32 nr)
{
	bool large = span_class / 2 == 0;

	might_sleep();
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

/* The descriptor of any page number, or NULL. */
static struct hspan_sdesc *hspan_desc_find(struct hspan_heap *heap, u32 page)
{
	struct hspan_block *block;
	u32 index = hspan_block_of(page);

	if (index >= heap->nr_blocks)
		return NULL;
	index = array_index_nospec(index, heap->nr_blocks);
	block = hspan_block(heap, index);
	return block ? &block->sdesc[page % HSPAN_BLOCK_PAGES] : NULL;
}

/*
 * Take the span from @holder.  Only one of several that try gets it, and
 * what it reads of the descriptor afterwards does not change under it.
 */
static int hspan_desc_claim(struct hspan_sdesc *desc, u32 holder)
{
	u32 now = READ_ONCE(desc->holder);

	if (now == holder && holder)
		now = cmpxchg(&desc->holder, holder, 0);
	if (now == holder && holder)
		return 0;
	if (now)
		return -EPERM;
	if (READ_ONCE(desc->state) == HSPAN_STATE_FREE)
		return -ENOENT;
	return -EALREADY;
}

/* May the claimed span be put back like this?  It is not touched yet. */
static int hspan_put_check(u32 now, const struct hspan_sdesc *desc,
			   const struct hspan_put *put)
{
	if (put->sweepgen + 1 == now)
		return 0;
	if (put->sweepgen != now ||
	    put->nfree > hspan_nelems(desc->span_class))
		return -EINVAL;
	return 0;
}

/**
 * struct hspan_batch - swept spans on their way to one central list
 * @first: linked by next
 * @span_class: of them all
 * @cache_full: this CPU's cache of the class had no room
 */
struct hspan_batch {
	struct hspan_sdesc *first;
	u32 span_class;
	bool cache_full;
};

static void hspan_batch_end(struct hspan_heap *heap, struct hspan_batch *batch)
{
	if (batch->first)
		hspan_central_put(heap, batch->first);
	batch->first = NULL;
}

/* A swept span that is ours, with free slots or without, but not empty. */
static void hspan_batch_put(struct hspan_heap *heap, struct hspan_batch *batch,
			    struct hspan_sdesc *desc)
{
	if (desc->span_class != batch->span_class) {
		hspan_batch_end(heap, batch);
		batch->span_class = desc->span_class;
		batch->cache_full = false;
	}
	if (desc->nfree && !batch->cache_full) {
		if (hspan_cpucache_put(heap, desc))
			return;
		batch->cache_full = true;
	}
	desc->next = batch->first;
	batch->first = desc;
}

/*
 * Sweepgen only grows, so one that is neither the current nor the one before
 * is wrong for good.  One that is current here may be overtaken before the
 * span is listed, which then is unswept.
 */
static int hspan_put_claimed(struct hspan_heap *heap, struct hspan_batch *batch,
			     struct hspan_sdesc *desc,
			     const struct hspan_put *put)
{
	u32 now = READ_ONCE(heap->sweepgen);
	int err = hspan_put_check(now, desc, put);

	if (err)
		return err;
	if (put->sweepgen != now)
		return hspan_central_put_unswept(heap, desc, put->sweepgen);
	if (put->nfree == hspan_nelems(desc->span_class)) {
		hspan_pageheap_put(heap, desc);
		return 0;
	}
	WRITE_ONCE(desc->nfree, put->nfree);
	WRITE_ONCE(desc->sweepgen, put->sweepgen);
	hspan_batch_put(heap, batch, desc);
	return 0;
}

static int hspan_put_one(struct hspan_heap *heap, struct hspan_batch *batch,
			 u32 holder, const struct hspan_put *put)
{
	struct hspan_sdesc *desc = hspan_desc_find(heap, put->page);
	int err;

	if (!desc)
		return -ENOENT;
	err = hspan_desc_claim(desc, holder);
	if (err)
		return err;
	err = hspan_put_claimed(heap, batch, desc, put);
	if (err)	/* refused: it stays with its holder */
		smp_store_release(&desc->holder, holder);
	return err;
}

u32 hspan_heap_put_many(struct hspan_heap *heap, u32 holder,
			struct hspan_put *puts, u32 nr)
{
	struct hspan_batch batch = { 0 };
	u32 done = 0, i;

	for (i = 0; i < nr; i++) {
		puts[i].error = hspan_put_one(heap, &batch, holder, &puts[i]);
		done += !puts[i].error;
	}
	hspan_batch_end(heap, &batch);
	return done;
}

int hspan_heap_put(struct hspan_heap *heap, u32 holder, u32 page, u32 nfree,
		   u32 sweepgen)
{
	struct hspan_put put = {
		.page = page,
		.nfree = nfree,
		.sweepgen = sweepgen,
	};

	hspan_heap_put_many(heap, holder, &put, 1);
	return put.error;
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

u64 hspan_heap_drop_holder(struct hspan_heap *heap, u32 holder)
{
	u64 n = 0;
	u32 i, j;

	might_sleep();
	for (i = 0; holder && i < heap->nr_blocks; i++) {
		struct hspan_block *block = hspan_block(heap, i);

		for (j = 0; block && j < HSPAN_BLOCK_PAGES; j++) {
			struct hspan_sdesc *desc = &block->sdesc[j];

			if (hspan_desc_claim(desc, holder))
				continue;
			hspan_central_adopt(heap, desc);
			n++;
		}
		cond_resched();
	}
	return n;
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
