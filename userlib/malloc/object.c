// SPDX-License-Identifier: MIT
/* Objects of any size and alignment: made, freed, measured, resized. */
#include "trace.h"

/*
 * Slots lie at multiples of their size from a page's beginning, so a size that
 * is a multiple of the alignment will do; 0 = none is small.
 */
static size_t aligned_small(size_t align, size_t size)
{
	if (align > HSPAN_PAGE_SIZE || size > HM_SMALL_MAX)
		return 0;
	for (size = (size + align - 1) & ~(align - 1); size <= HM_SMALL_MAX; size += align)
		if (hm_classes[hm_class_of(size)].size % align == 0)
			return size;
	return 0;
}

/* Memory with no checks in it. */
void *hm_raw_alloc(size_t align, size_t size, bool *zeroed)
{
	size_t small = size;

	if (align > HM_ALIGN) {
		size += !size;
		small = aligned_small(align, size);
		if (!small)
			return hm_large_alloc(align, size, zeroed);
	} else if (size < align) {
		small = align;
	}
	return small <= HM_SMALL_MAX ? hm_alloc_slow(small, zeroed)
				     : hm_large_alloc(align, size, zeroed);
}

static void *alloc(size_t align, size_t size, bool *zeroed)
{
	void *p;

	if (unlikely(hm_load(&hm_purge_wanted)))
		hm_purge_start();
	if (unlikely(!hm_init()))
		return NULL;
	p = hm.hardened ? hm_hardened_alloc(align, size, zeroed)
			: hm_raw_alloc(align, size, zeroed);
	if (unlikely(hm.traced) && p)
		hm_trace_alloc(p, size);
	return p;
}

/* What malloc() does when its fast path finds nothing. */
void *hm_alloc(size_t size, bool *zeroed)
{
	return alloc(1, size, zeroed);
}

void *hm_alloc_aligned(size_t align, size_t size)
{
	bool zeroed = false;

	return alloc(align, size, &zeroed);
}

/* An object with no checks in it, whoever's it is; false = it is none. */
bool hm_raw_free(void *p)
{
	struct hm_span *span = hm_span_at(p);
	struct hm_heap *heap;

	if (!span)
		return hm_huge_free(p);
	heap = hm_load(&span->heap);
	if (heap == &hm_large)
		hm_large_free(span, p);
	else if (heap == hm_heap_mine())
		hm_push(span, p);
	else
		hm_free_foreign(span, p);
	return true;
}

/* What free() does with what its fast path does not know. */
void hm_free_slow(void *p)
{
	int saved = errno;

	if (unlikely(hm_load(&hm_purge_wanted)))
		hm_purge_start();
	if (unlikely(hm.traced))
		hm_trace_free(p);
	if (unlikely(hm.hardened))
		hm_hardened_free(p);
	else if (!hm_raw_free(p))
		hs_die("free(): invalid pointer\n");
	errno = saved;
}

size_t hm_usable(void *p)
{
	struct hm_span *span = hm_span_at(p);

	if (unlikely(hm.hardened))
		return hm_hardened_usable(p);
	return span ? span->slot_size : hm_huge_usable(p);
}

/* Large objects grow by more than was asked for: they will again. */
static size_t with_slack(size_t size)
{
	return size > HM_SMALL_MAX && size < PTRDIFF_MAX / 2 ? size + size / 8 : size;
}

static void *move(void *p, size_t old, size_t size)
{
	bool zeroed = false;
	void *new = hm_alloc(size > old ? with_slack(size) : size, &zeroed);

	if (!new &&size > old)
		new = hm_alloc(size, &zeroed);
	if (!new)
		return NULL;
	memcpy(new, p, old < size ? old : size);
	hm_free(p);
	return new;
}

/* In place if it fits and would not waste more than half. */
void *hm_realloc(void *p, size_t size)
{
	struct hm_span *span = hm_span_at(p);
	size_t old;

	if (size > PTRDIFF_MAX)
		return NULL;
	if (unlikely(hm.traced))
		return move(p, hm_usable(p), size);
	if (unlikely(hm.hardened))
		return hm_hardened_realloc(p, size);
	old = span ? span->slot_size : hm_huge_usable(p);
	if (unlikely(!old))
		hs_die("realloc(): invalid pointer\n");
	if (size <= old && size >= old / 2)
		return p;
	if (!span && size >= hm_huge_min() / 2)
		return hm_huge_resize(p, size);
	if (span && size > old && hm_load(&span->heap) == &hm_large &&
	    (hm_large_grow(span, with_slack(size)) || hm_large_grow(span, size)))
		return p;
	return move(p, old, size);
}
