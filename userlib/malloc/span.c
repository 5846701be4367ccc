// SPDX-License-Identifier: MIT
/*
 * Spans: their descriptors, and the table that leads from a page to its span.
 *
 * Descriptors come from one row that is mapped but not touched until it is
 * used, and go back to a list: their memory stays theirs, so that a stale
 * pointer to one still points to one.
 */
#include "hm.h"

static struct {
	spinlock_t lock;
	struct hm_span *row;
	size_t nr_used;
	size_t nr;
	struct hm_span *unused; /* linked by next */
} spans;

void hm_span_lock(void)
{
	spin_lock(&spans.lock);
}

void hm_span_unlock(void)
{
	spin_unlock(&spans.lock);
}

bool hm_span_init(void)
{
	spans.nr = hm.size >> HSPAN_PAGE_SHIFT;
	spans.row = hs_map(spans.nr * sizeof(*spans.row));
	hm.span_of = hs_map(spans.nr * sizeof(struct hm_span *));
	return spans.row && hm.span_of;
}

/* All that it is about, to who looks for pointers that are the program's. */
const void *hm_span_memory(size_t *size)
{
	*size = spans.nr_used * sizeof(*spans.row);
	return spans.row;
}

static struct hm_span *take_descriptor(void)
{
	struct hm_span *span;

	spin_lock(&spans.lock);
	span = spans.unused;
	if (span)
		spans.unused = span->next;
	else if (spans.nr_used < spans.nr)
		span = &spans.row[spans.nr_used++];
	spin_unlock(&spans.lock);
	return span;
}

static void give_descriptor(struct hm_span *span)
{
	spin_lock(&spans.lock);
	span->npages = 0;
	span->next = spans.unused;
	spans.unused = span;
	spin_unlock(&spans.lock);
}

/* Lead from a page to the span. */
void hm_span_show(struct hm_span *span, uint32_t page)
{
	hm_set_release(&hm.span_of[page], span);
}

/* A span of so many pages, the first @nr_entries of which lead to it. */
struct hm_span *hm_span_new(uint32_t npages, uint32_t nr_entries)
{
	struct hm_span *span = take_descriptor();
	bool zeroed = false;
	uint32_t page;

	if (!span)
		return NULL;
	if (!hm_pages_get(npages, &page, &zeroed)) {
		give_descriptor(span);
		return NULL;
	}
	/* It is there at once, or not yet: a fork may look at all spans meanwhile. */
	spin_lock(&spans.lock);
	*span = (struct hm_span){
		.base = (char *)hm.base + ((size_t)page << HSPAN_PAGE_SHIFT),
		.page = page,
		.npages = npages,
		.zeroed = zeroed,
	};
	for (uint32_t i = 0; i < nr_entries; i++)
		hm_span_show(span, page + i);
	spin_unlock(&spans.lock);
	return span;
}

/* Its pages become free; nothing may lead to it but entries of slots' pages. */
void hm_span_delete(struct hm_span *span)
{
	uint32_t page = span->page, npages = span->npages;

	for (uint32_t i = 0; i < npages && hm_load(&hm.span_of[page + i]); i++)
		hm_set(&hm.span_of[page + i], NULL);
	give_descriptor(span);
	hm_pages_put(page, npages);
}

/* For fork: no other thread may be about. */
void hm_span_each(void (*fn)(struct hm_span *span))
{
	for (size_t i = 0; i < spans.nr_used; i++)
		if (spans.row[i].npages)
			fn(&spans.row[i]);
}
