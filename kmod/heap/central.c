// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Central lists: the spans of one class that are in nobody's hands, partial
 * and full, each by the parity of the span's sweepgen.
 *
 * A listed span has the current sweepgen (swept) or the one before (unswept),
 * so its own parity says where it is, and a cycle, which adds one to the
 * heap's sweepgen, turns swept into unswept without touching a list.  Every
 * addition reads the heap's sweepgen under the central's lock, and a cycle
 * passes through all these locks (hspan_central_sync()) before another may
 * start, so sweepgen moves by at most one while a lock is held.
 */
#include "internal.h"

void hspan_central_init(struct hspan_central *central)
{
	spin_lock_init(&central->lock);
	central->full_budget = HSPAN_FULL_BUDGET;
}

static void hspan_slist_push(struct hspan_slist *stack,
			     struct hspan_sdesc *desc)
{
	desc->next = stack->top;
	stack->top = desc;
	WRITE_ONCE(stack->nr, stack->nr + 1);
}

/*
 * Show clients how many spans are unswept.  No lock orders the stores of
 * different CPUs, so whoever stored looks again: the last one to store saw
 * every change before it, and every change after it has a store of its own.
 */
void hspan_control_unswept(struct hspan_heap *heap)
{
	struct hspan_control *control = READ_ONCE(heap->control);
	u32 shown;

	if (!control)
		return;
	do {
		shown = hspan_nr_unswept(heap);
		WRITE_ONCE(control->nr_unswept, shown);
		smp_mb();
	} while (shown != hspan_nr_unswept(heap));
}

/* The span's sweepgen, nfree and class are set. */
static void hspan_central_push(struct hspan_heap *heap,
			       struct hspan_central *central,
			       struct hspan_sdesc *desc)
{
	unsigned int parity = desc->sweepgen & 1;

	lockdep_assert_held(&central->lock);
	atomic_inc(&heap->nr_listed[parity]);
	WRITE_ONCE(desc->state, HSPAN_STATE_LISTED);
	hspan_slist_push(desc->nfree ? &central->partial[parity] :
				       &central->full[parity], desc);
}

/*
 * List a span that was last swept in @sweepgen.  If that is the cycle before,
 * check and count are one step as a cycle sees it, which holds the heap lock
 * too and does not start while unswept spans are counted.
 */
static int hspan_central_list(struct hspan_heap *heap,
			      struct hspan_central *central,
			      struct hspan_sdesc *desc, u32 nfree, u32 sweepgen)
{
	int err = 0;

	lockdep_assert_held(&central->lock);
	if (sweepgen == READ_ONCE(heap->sweepgen)) {
		WRITE_ONCE(desc->nfree, nfree);
		WRITE_ONCE(desc->sweepgen, sweepgen);
		hspan_central_push(heap, central, desc);
		return 0;
	}
	spin_lock(&heap->lock);
	if (sweepgen + 1 == heap->sweepgen) {
		WRITE_ONCE(desc->nfree, nfree);
		WRITE_ONCE(desc->sweepgen, sweepgen);
		hspan_central_push(heap, central, desc);
	} else {
		err = -EINVAL;
	}
	spin_unlock(&heap->lock);
	if (!err)
		hspan_control_unswept(heap);
	return err;
}

/*
 * List a span of ours by its own nfree and sweepgen, which was the heap's when
 * we got it.  Cycles may have begun since: then it is unswept, and that it
 * missed more than one of them only means that its marks are of them all.
 */
static void hspan_central_list_own(struct hspan_heap *heap,
				   struct hspan_central *central,
				   struct hspan_sdesc *desc)
{
	u32 sweepgen = desc->sweepgen;

	while (hspan_central_list(heap, central, desc, desc->nfree, sweepgen))
		sweepgen = READ_ONCE(heap->sweepgen) - 1;
}

/* List a chain's spans but do not count them; their state is set. */
static void hspan_slist_push_chain(struct hspan_slist *stack,
				   const struct hspan_chain *chain)
{
	if (!chain->nr)
		return;
	*chain->link = stack->top;
	stack->top = chain->first;
	WRITE_ONCE(stack->nr, stack->nr + chain->nr);
}

/* The same one by one, each by what the heap's sweepgen is then. */
static void hspan_central_list_chain(struct hspan_heap *heap,
				     struct hspan_central *central,
				     const struct hspan_chain *chain)
{
	struct hspan_sdesc *desc = chain->first, *next;
	u32 i;

	for (i = 0; i < chain->nr; i++, desc = next) {
		next = desc->next;
		hspan_central_list_own(heap, central, desc);
	}
}

/**
 * hspan_central_put() - take swept spans back from their holder
 * @heap: the heap
 * @batch: the spans
 */
void hspan_central_put(struct hspan_heap *heap, struct hspan_batch *batch)
{
	struct hspan_central *central = &heap->central[batch->span_class];
	unsigned int parity = batch->sweepgen & 1;
	u32 n = batch->partial.nr + batch->full.nr;

	spin_lock(&central->lock);
	if (batch->sweepgen == READ_ONCE(heap->sweepgen)) {
		hspan_slist_push_chain(&central->partial[parity],
				       &batch->partial);
		hspan_slist_push_chain(&central->full[parity], &batch->full);
		atomic_add(n, &heap->nr_listed[parity]);
	} else {
		hspan_central_list_chain(heap, central, &batch->partial);
		hspan_central_list_chain(heap, central, &batch->full);
	}
	central->puts += n;
	spin_unlock(&central->lock);
}

/**
 * hspan_central_put_unswept() - take an unswept span back from its holder
 * @heap: the heap
 * @desc: the span, claimed
 * @sweepgen: the cycle it was last swept in
 *
 * Return: 0, or -EINVAL if @sweepgen is neither the current one nor the one
 * before; the span is untouched then.
 */
int hspan_central_put_unswept(struct hspan_heap *heap, struct hspan_sdesc *desc,
			      u32 sweepgen)
{
	struct hspan_central *central = &heap->central[desc->span_class];
	int err;

	spin_lock(&central->lock);
	err = hspan_central_list(heap, central, desc, 0, sweepgen);
	if (!err)
		central->puts++;
	spin_unlock(&central->lock);
	return err;
}

/* Take a span out of a CPU cache, whose slot is empty already. */
void hspan_central_drain(struct hspan_heap *heap, struct hspan_sdesc *desc)
{
	struct hspan_central *central = &heap->central[desc->span_class];

	spin_lock(&central->lock);
	hspan_central_list_own(heap, central, desc);
	central->drained++;
	spin_unlock(&central->lock);
}

/*
 * Take a span whose holder is gone.  What it did with the span is not known:
 * full, and unswept if a cycle began since it was handed out.
 */
void hspan_central_adopt(struct hspan_heap *heap, struct hspan_sdesc *desc)
{
	struct hspan_central *central = &heap->central[desc->span_class];

	spin_lock(&central->lock);
	WRITE_ONCE(desc->nfree, 0);
	hspan_central_list_own(heap, central, desc);
	spin_unlock(&central->lock);
}

/*
 * Hand spans of one stack out; whether they are swept the receiver must know.
 * A cycle that begins meanwhile began after that.
 */
static u32 hspan_central_take(struct hspan_heap *heap, u32 holder,
			      struct hspan_slist *stack, unsigned int parity,
			      struct hspan_span *spans, u32 nr)
{
	struct hspan_sdesc *desc = stack->top, *next;
	u32 n;
	u16 flags = 0;

	if (!desc)
		return 0;
	if ((READ_ONCE(heap->sweepgen) & 1) != parity)
		flags = HSPAN_SPAN_UNSWEPT;
	for (n = 0; n < nr && desc; n++, desc = next) {
		next = desc->next;
		hspan_desc_tell(desc, flags, spans);
		spans++;
		hspan_desc_hand_over(desc, holder);
	}
	stack->top = desc;
	WRITE_ONCE(stack->nr, stack->nr - n);
	atomic_sub(n, &heap->nr_listed[parity]);
	return n;
}

/*
 * Full unswept spans may turn out to have free slots.  After a budget of them
 * that get handed out, one turn goes to free pages, so that no allocation has
 * to sweep through a whole heap of live objects.
 */
static u32 hspan_central_take_full(struct hspan_heap *heap,
				   struct hspan_central *central, u32 holder,
				   unsigned int parity,
				   struct hspan_span *spans, u32 nr)
{
	u32 n;

	if (!central->full_budget) {
		central->full_budget = HSPAN_FULL_BUDGET;
		return 0;
	}
	n = hspan_central_take(heap, holder, &central->full[parity], parity,
			       spans, min(nr, central->full_budget));
	central->full_budget -= n;
	return n;
}

/**
 * hspan_central_get() - hand out spans that may have free slots
 * @heap: the heap
 * @holder: who gets them
 * @span_class: their class
 * @spans: filled in
 * @nr: how many are wanted
 *
 * Return: how many: swept ones first, then unswept, then full unswept if
 * there is nothing else.
 */
u32 hspan_central_get(struct hspan_heap *heap, u32 holder, u32 span_class,
		      struct hspan_span *spans, u32 nr)
{
	struct hspan_central *central = &heap->central[span_class];
	unsigned int swept, unswept;
	u32 n, stale = 0;

	spin_lock(&central->lock);
	swept = READ_ONCE(heap->sweepgen) & 1;
	unswept = swept ^ 1;
	n = hspan_central_take(heap, holder, &central->partial[swept], swept,
			       spans, nr);
	if (n < nr)
		stale = hspan_central_take(heap, holder,
					   &central->partial[unswept], unswept,
					   spans + n, nr - n);
	if (!n && !stale)
		stale = hspan_central_take_full(heap, central, holder, unswept,
						spans, nr);
	n += stale;
	central->hits += n;
	spin_unlock(&central->lock);
	if (stale)
		hspan_control_unswept(heap);
	return n;
}

/**
 * hspan_central_sweep() - hand out unswept spans of one class
 * @heap: the heap
 * @holder: who gets them
 * @span_class: their class
 * @spans: filled in
 * @nr: how many are wanted
 *
 * Return: how many.
 */
u32 hspan_central_sweep(struct hspan_heap *heap, u32 holder, u32 span_class,
			struct hspan_span *spans, u32 nr)
{
	struct hspan_central *central = &heap->central[span_class];
	unsigned int unswept = (READ_ONCE(heap->sweepgen) + 1) & 1;
	u32 n;

	if (!READ_ONCE(central->full[unswept].nr) &&
	    !READ_ONCE(central->partial[unswept].nr))
		return 0;
	spin_lock(&central->lock);
	unswept = (READ_ONCE(heap->sweepgen) + 1) & 1;
	n = hspan_central_take(heap, holder, &central->full[unswept], unswept,
			       spans, nr);
	n += hspan_central_take(heap, holder, &central->partial[unswept],
				unswept, spans + n, nr - n);
	central->hits += n;
	spin_unlock(&central->lock);
	return n;
}

/* Wait until nobody works with a sweepgen read before now. */
void hspan_central_sync(struct hspan_heap *heap)
{
	unsigned int i;

	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++) {
		spin_lock(&heap->central[i].lock);
		spin_unlock(&heap->central[i].lock);
	}
}
