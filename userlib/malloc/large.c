// SPDX-License-Identifier: MIT
/* Large objects: each a span of its own, or a huge one. */
#include "hm.h"

/* Pages it takes so that an aligned address has @size bytes behind it. */
static size_t pages_for(size_t align, size_t size)
{
	size_t more = align > HSPAN_PAGE_SIZE ? align - HSPAN_PAGE_SIZE : 0;

	return (size + more + HSPAN_PAGE_SIZE - 1) >> HSPAN_PAGE_SHIFT;
}

static void *span_alloc(size_t align, size_t size, bool *zeroed)
{
	size_t npages = pages_for(align, size);
	struct hm_span *span = hm_span_new((uint32_t)npages, 0);
	char *p;

	if (!span)
		return NULL;
	p = (char *)(((uintptr_t)span->base + align - 1) & ~(align - 1));
	span->slot_size = (npages << HSPAN_PAGE_SHIFT) - (size_t)(p - span->base);
	span->nr_slots = 1;
	span->left = 1;
	span->heap = &hm_large;
	*zeroed = span->zeroed;
	hm_span_show(span, (uint32_t)(((uintptr_t)p - hm.base) >> HSPAN_PAGE_SHIFT));
	return p;
}

/**
 * hm_large_alloc() - an object with pages of its own
 * @align: a power of two
 * @size: bytes, not more than PTRDIFF_MAX together with @align
 * @zeroed: made true if it is known to be zero
 */
void *hm_large_alloc(size_t align, size_t size, bool *zeroed)
{
	void *p = NULL;

	if (!hm_init() || size > PTRDIFF_MAX || align > PTRDIFF_MAX - size)
		return NULL;
	if (pages_for(align, size) <= hm.size >> HSPAN_PAGE_SHIFT && size < hm_huge_min())
		p = span_alloc(align, size, zeroed);
	if (!p) {
		p = hm_huge_alloc(align, size);
		*zeroed = true;
	}
	return p;
}

/* Let an object have @size bytes where it is. */
bool hm_large_grow(struct hm_span *span, size_t size)
{
	size_t more = (size - span->slot_size + HSPAN_PAGE_SIZE - 1) >> HSPAN_PAGE_SHIFT;

	if (more >= HSPAN_BLOCK_PAGES || !hm_pages_extend(span->page, span->npages, (uint32_t)more))
		return false;
	span->npages += (uint32_t)more;
	span->slot_size += more << HSPAN_PAGE_SHIFT;
	return true;
}

void hm_large_free(struct hm_span *span, const void *p)
{
	hm_set(&hm.span_of[((uintptr_t)p - hm.base) >> HSPAN_PAGE_SHIFT], NULL);
	hm_span_delete(span);
}
