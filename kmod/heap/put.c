// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How spans come back from their holders: one, many, or all of one holder.
 *
 * Swept spans that have something in them are collected while they are of one
 * class, and go to this CPU's cache and to the central list together.
 */
#include "quick.h"

/* A holder that has no span: 0 is what is there while nobody has it. */
#define HSPAN_NOBODY	(~0U)

static void hspan_chain_init(struct hspan_chain *chain)
{
	chain->link = &chain->first;
	chain->nr = 0;
}

static void hspan_chain_add(struct hspan_chain *chain, struct hspan_sdesc *desc)
{
	*chain->link = desc;
	chain->link = &desc->next;
	chain->nr++;
}

static void hspan_batch_init(struct hspan_batch *batch, u32 span_class,
			     u32 nelems, u32 sweepgen)
{
	batch->span_class = span_class;
	batch->nelems = nelems;
	batch->sweepgen = sweepgen;
	hspan_chain_init(&batch->partial);
	hspan_chain_init(&batch->full);
}

/* Put a span into a batch that is of its class and of @sweepgen. */
static void hspan_batch_add(struct hspan_batch *batch, struct hspan_sdesc *desc,
			    u32 nfree, u32 sweepgen)
{
	WRITE_ONCE(desc->nfree, nfree);
	WRITE_ONCE(desc->sweepgen, sweepgen);
	WRITE_ONCE(desc->state, HSPAN_STATE_LISTED);
	if (likely(nfree))
		hspan_chain_add(&batch->partial, desc);
	else
		hspan_chain_add(&batch->full, desc);
}

/* What this CPU's cache has no room for goes to the central list. */
static void hspan_batch_end(struct hspan_heap *heap, struct hspan_batch *batch)
{
	if (batch->partial.nr)
		hspan_cpucache_put(heap, batch);
	if (batch->partial.nr + batch->full.nr)
		hspan_central_put(heap, batch);
}

/* One claimed span that the short way has no room for; it is as it will be. */
void hspan_put_swept(struct hspan_heap *heap, struct hspan_sdesc *desc)
{
	struct hspan_batch batch;

	hspan_batch_init(&batch, desc->span_class,
			 hspan_nelems(desc->span_class), desc->sweepgen);
	hspan_batch_add(&batch, desc, desc->nfree, desc->sweepgen);
	hspan_batch_end(heap, &batch);
}

/*
 * Take the span from @holder, not 0.  Only one of several that try gets it, and
 * what it reads of the descriptor afterwards does not change under it.
 */
static int hspan_desc_claim(struct hspan_sdesc *desc, u32 holder)
{
	u32 now = cmpxchg(&desc->holder, holder, 0);

	if (now == holder)
		return 0;
	if (now)
		return -EPERM;
	if (READ_ONCE(desc->state) == HSPAN_STATE_FREE)
		return -ENOENT;
	return -EALREADY;
}

/*
 * The span is not one of the batch.  Sweepgen only grows, so one that is
 * neither the current nor the one before is wrong for good.  One that is
 * current here, or was so when the batch began, may be overtaken before the
 * span is listed, which then is unswept.
 */
static int hspan_batch_turn(struct hspan_heap *heap, struct hspan_batch *batch,
			    struct hspan_sdesc *desc, u32 nfree, u32 sweepgen)
{
	u32 now = READ_ONCE(heap->sweepgen);
	u32 nelems = hspan_nelems(desc->span_class);

	if (sweepgen != now)
		return sweepgen + 1 == now ?
		       hspan_central_put_unswept(heap, desc, sweepgen) :
		       -EINVAL;
	if (nfree > nelems)
		return -EINVAL;
	if (nfree == nelems) {
		hspan_pageheap_put(heap, desc);
		return 0;
	}
	hspan_batch_end(heap, batch);
	hspan_batch_init(batch, desc->span_class, nelems, now);
	hspan_batch_add(batch, desc, nfree, now);
	return 0;
}

static int hspan_put_one(struct hspan_heap *heap, struct hspan_batch *batch,
			 struct hspan_sdesc *desc, u32 holder,
			 const struct hspan_put *put)
{
	u32 nfree = put->nfree, sweepgen = put->sweepgen;
	int err = hspan_desc_claim(desc, holder);

	if (unlikely(err))
		return err;
	if (likely(sweepgen == batch->sweepgen &&
		   desc->span_class == batch->span_class &&
		   nfree < batch->nelems)) {
		hspan_batch_add(batch, desc, nfree, sweepgen);
		return 0;
	}
	err = hspan_batch_turn(heap, batch, desc, nfree, sweepgen);
	if (err)	/* refused: it stays with its holder */
		smp_store_release(&desc->holder, holder);
	return err;
}

static u32 hspan_put_batch(struct hspan_heap *heap, u32 holder,
			   struct hspan_put *puts, u32 nr)
{
	struct hspan_put *put = puts, *end = puts + nr;
	struct hspan_block *block = NULL, *found;
	u32 index = ~0U, done = nr;	/* no page is in that block */
	struct hspan_batch batch;

	hspan_batch_init(&batch, HSPAN_NR_SPAN_CLASSES, 0, 0);
	for (; put < end; put++) {
		/* Most are near the last one. */
		if (unlikely(hspan_block_of(put->page) != index)) {
			found = hspan_block_find(heap,
						 hspan_block_of(put->page));
			if (!found) {
				put->error = -ENOENT;
				done--;
				continue;
			}
			index = hspan_block_of(put->page);
			block = found;
		}
		put->error = hspan_put_one(heap, &batch,
					   hspan_block_desc(block, put->page),
					   holder, put);
		if (put->error)
			done--;
	}
	hspan_batch_end(heap, &batch);
	return done;
}

u32 hspan_heap_put_many(struct hspan_heap *heap, u32 holder,
			struct hspan_put *puts, u32 nr)
{
	if (nr != 1 || !hspan_put_quick(heap, holder, puts->page, puts->nfree,
					puts->sweepgen))
		return hspan_put_batch(heap, holder ? holder : HSPAN_NOBODY,
				       puts, nr);
	puts->error = 0;
	return 1;
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

/*
 * Take the span at @page from @holder, who is gone, if it has one there.
 *
 * Return: pages to go on by.  No span of @holder can begin inside another one
 * that is held: his have been there all the time.
 */
static u32 hspan_drop_at(struct hspan_heap *heap, struct hspan_sdesc *desc,
			 u32 holder, u64 *n)
{
	u32 now = smp_load_acquire(&desc->holder), npages;

	if (!now)
		return 1;
	npages = READ_ONCE(desc->npages);
	if (now == holder && !hspan_desc_claim(desc, holder)) {
		hspan_central_adopt(heap, desc);
		++*n;
	}
	return npages;
}

u64 hspan_heap_drop_holder(struct hspan_heap *heap, u32 holder)
{
	u64 end = (u64)heap->nr_blocks * HSPAN_BLOCK_PAGES, page = 0, n = 0;

	might_sleep();
	while (holder && page < end) {
		struct hspan_block *block = hspan_block(heap,
							hspan_block_of(page));
		u32 i = page % HSPAN_BLOCK_PAGES;

		page += HSPAN_BLOCK_PAGES - i;
		if (!block)
			continue;
		while (i < HSPAN_BLOCK_PAGES)
			i += hspan_drop_at(heap, &block->sdesc[i], holder, &n);
		page += i - HSPAN_BLOCK_PAGES;
		cond_resched();
	}
	return n;
}
