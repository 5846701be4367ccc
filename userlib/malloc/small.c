// SPDX-License-Identifier: MIT
/*
 * Slots: where the next one of a class comes from when the first span of its
 * bin has none at hand, and what becomes of a span that is full or empty.
 *
 * A thread's first few allocations of a class come from a heap that threads
 * share: those of thousands of threads that allocate little lie side by side
 * then, and only who goes on gets spans of his own.
 */
#include "hm.h"

#define TRIAL 8 /* allocations of a class from a shared heap */

struct hm_span hm_none;

void hm_heap_init(struct hm_heap *heap, bool shared)
{
	for (unsigned int i = 0; i < HM_NR_DIRECT; i++)
		heap->direct[i] = &hm_none;
	for (unsigned int i = 0; i < HM_NR_CLASSES; i++) {
		heap->bin[i].first = &hm_none;
		heap->bin[i].trial = shared ? 0 : TRIAL;
	}
}

static void set_first(struct hm_heap *heap, unsigned int size_class, struct hm_span *span)
{
	uint32_t size = hm_classes[size_class].size, i = hm_classes[size_class - 1].size / 8;

	heap->bin[size_class].first = span;
	if (size > HM_DIRECT_MAX)
		return;
	for (i += i > 0; i <= size / 8; i++)
		heap->direct[i] = span;
}

/* List a span behind the others, which are to be filled before it. */
static void bin_append(struct hm_heap *heap, struct hm_span *span)
{
	struct hm_bin *bin = &heap->bin[span->size_class];

	span->next = NULL;
	if (bin->first == &hm_none) {
		span->prev = NULL;
		set_first(heap, span->size_class, span);
	} else {
		span->prev = bin->last;
		bin->last->next = span;
	}
	bin->last = span;
}

void hm_bin_remove(struct hm_heap *heap, struct hm_span *span)
{
	struct hm_bin *bin = &heap->bin[span->size_class];

	if (span->next)
		span->next->prev = span->prev;
	else
		bin->last = span->prev;
	if (span->prev)
		span->prev->next = span->next;
	else
		set_first(heap, span->size_class, span->next ? span->next : &hm_none);
}

/* Take what others have freed; seldom is there something free already. */
static bool span_collect(struct hm_span *span)
{
	struct hm_slot *last;
	hm_remote_t remote;

	if (!hm_load(&span->remote))
		return false;
	remote = __atomic_exchange_n(&span->remote, 0, __ATOMIC_ACQUIRE);
	if (span->free) {
		for (last = hm_remote_first(remote); last->next;)
			last = last->next;
		last->next = span->free;
	}
	span->free = hm_remote_first(remote);
	span->left -= hm_remote_nr(remote);
	return true;
}

/*
 * Make fresh slots free ones, a few at a time, so that no memory is touched
 * long before it is used.
 */
static bool extend(struct hm_span *span)
{
	size_t size = span->slot_size;
	uint32_t n = hm_classes[span->size_class].extend;
	char *p = span->base + (span->nr_slots - span->fresh) * size;

	if (n > span->fresh)
		n = span->fresh;
	if (!n)
		return false;
	span->fresh -= n;
	span->free = (struct hm_slot *)p;
	for (; --n; p += size)
		((struct hm_slot *)p)->next = (struct hm_slot *)(p + size);
	((struct hm_slot *)p)->next = NULL;
	return true;
}

/* The first span has nothing left, unless someone frees into it right now. */
static void set_full(struct hm_heap *heap, struct hm_span *span)
{
	hm_remote_t none = 0;

	if (!__atomic_compare_exchange_n(&span->remote, &none, HM_FULL, false, __ATOMIC_RELEASE,
					 __ATOMIC_RELAXED))
		return;
	hm_bin_remove(heap, span);
	span->full = true;
	span->pinned = false;
	span->left = 1;
}

/* More pages at a time for a class of which there are many already. */
static struct hm_span *new_span(struct hm_heap *heap, unsigned int size_class)
{
	const struct hm_class *c = &hm_classes[size_class];
	struct hm_bin *bin = &heap->bin[size_class];
	uint32_t npages = c->pages;
	struct hm_span *span;

	while (npages * 2 <= c->max_pages && npages * 4 <= bin->pages)
		npages *= 2;
	span = hm_span_new(npages, npages);
	if (!span && npages > c->pages)
		span = hm_span_new(c->pages, c->pages);
	if (!span)
		return NULL;
	span->slot_size = c->size;
	span->nr_slots = (span->npages << HSPAN_PAGE_SHIFT) / c->size;
	span->fresh = span->nr_slots;
	span->size_class = (uint8_t)size_class;
	hm_set(&span->heap, heap);
	return span;
}

/* A listed span for an empty bin: another heap's, or a new one. */
static struct hm_span *refill(struct hm_heap *heap, unsigned int size_class)
{
	struct hm_span *span = hm_heap_steal(heap, size_class);

	if (!span)
		span = new_span(heap, size_class);
	if (!span)
		return NULL;
	heap->bin[size_class].pages += span->npages;
	bin_append(heap, span);
	return span;
}

/**
 * hm_heap_alloc() - a slot from a heap
 * @heap: whose user we are
 * @size_class: of the slot
 * @zeroed: made true if all but its first word is known to be zero
 */
void *hm_heap_alloc(struct hm_heap *heap, unsigned int size_class, bool *zeroed)
{
	struct hm_bin *bin = &heap->bin[size_class];

	if (unlikely(hm_load(&heap->delayed)))
		hm_heap_collect(heap);
	for (;;) {
		struct hm_span *span = bin->first;

		if (span->free)
			return hm_pop(span);
		if (span == &hm_none) {
			if (!refill(heap, size_class))
				return NULL;
			continue;
		}
		if (span_collect(span))
			return hm_pop(span);
		if (extend(span)) {
			*zeroed = span->zeroed;
			return hm_pop(span);
		}
		set_full(heap, span);
	}
}

static void delete_span(struct hm_heap *heap, struct hm_span *span)
{
	hm_bin_remove(heap, span);
	heap->bin[span->size_class].pages -= span->npages;
	hm_span_delete(span);
}

/*
 * A slot was freed in a span that was full, or the last one in use: the span
 * is listed, or goes.  A bin keeps its only span.
 */
void hm_left_zero(struct hm_span *span)
{
	struct hm_heap *heap = span->heap;
	hm_remote_t full = HM_FULL;

	if (span->full) {
		span->full = false;
		span->left = span->nr_slots - 1;
		__atomic_compare_exchange_n(&span->remote, &full, 0, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
		bin_append(heap, span);
		if (span->left)
			return;
	}
	if (heap->bin[span->size_class].first == span && !span->next) {
		span->pinned = true;
		span->left = 1;
	} else {
		delete_span(heap, span);
	}
}

/* Look at each listed span: take what was freed in it, give back empty ones. */
void hm_heap_trim(struct hm_heap *heap)
{
	struct hm_span *span, *next;

	if (hm_load(&heap->delayed))
		hm_heap_collect(heap);
	for (unsigned int i = 1; i < HM_NR_CLASSES; i++) {
		if (heap->bin[i].first == &hm_none)
			continue;
		for (span = heap->bin[i].first; span; span = next) {
			next = span->next;
			span_collect(span);
			if (span->left == span->pinned)
				delete_span(heap, span);
		}
	}
}

/* What malloc() does when its fast path finds nothing. */
void *hm_alloc_slow(size_t size, bool *zeroed)
{
	struct hm_heap *heap = hm_heap_mine(); /* fills the classes, too */
	unsigned int size_class = hm_class_of(size);
	void *p;

	if (likely(heap && !heap->bin[size_class].trial))
		return hm_heap_alloc(heap, size_class, zeroed);
	if (unlikely(!hm_init()))
		return NULL;
	if (heap)
		heap->bin[size_class].trial--;
	heap = hm_heap_shared();
	spin_lock(&heap->lock);
	p = hm_heap_alloc(heap, size_class, zeroed);
	hm_heap_unlock(heap);
	return p;
}
