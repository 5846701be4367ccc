// SPDX-License-Identifier: MIT
/*
 * Pages for spans: runs taken from a backend, a few of them kept at hand, and
 * how many lie idle.
 *
 * One lock is around all calls of the backend, so that who holds it at a fork
 * knows the backend to be at rest.  Only giving memory back goes without it,
 * as that takes long; the purging thread has a lock for it.
 */
#include "hm.h"

#define KEEP_BYTES (256u << 10) /* of runs of one length */
#define KEEP_MOST  (KEEP_BYTES >> HSPAN_PAGE_SHIFT)

/** struct kept - runs of one length, handed out last in, first out */
struct kept {
	uint32_t nr;
	uint32_t page[KEEP_MOST];
};

static struct {
	spinlock_t lock;
	const struct hs_backend *backend;
	struct hs_space space;
	uint32_t inherited; /* pages below this are no backend's, see fork */
	int64_t idle;	    /* free pages that may not be zero */
	int64_t low;	    /* least of that since last asked */
	int64_t used;
	struct kept kept[HM_SLAB_PAGES + 1];
} pages;

void hm_pages_lock(void)
{
	spin_lock(&pages.lock);
}

void hm_pages_unlock(void)
{
	spin_unlock(&pages.lock);
}

static bool take_kept(uint32_t npages, uint32_t *page)
{
	struct kept *k;

	if (npages > HM_SLAB_PAGES)
		return false;
	k = &pages.kept[npages];
	if (!k->nr)
		return false;
	*page = k->page[--k->nr];
	return true;
}

static bool keep(uint32_t page, uint32_t npages)
{
	struct kept *k;

	if (npages > HM_SLAB_PAGES)
		return false;
	k = &pages.kept[npages];
	if (k->nr >= KEEP_MOST / npages)
		return false;
	k->page[k->nr++] = page;
	return true;
}

/*
 * Pages from before a fork lie in a mapping that the child made of them; no
 * backend knows them.  Their memory goes, their addresses stay unused.
 */
static void put_backend(uint32_t page, uint32_t npages)
{
	struct hspan_put put = {.page = page, .nfree = 1, .sweepgen = 1};

	if (unlikely(page < pages.inherited)) {
		hm_drop_pages(page, npages);
		return;
	}
	put.sweepgen = pages.space.control->sweepgen;
	pages.backend->span_put(&put, 1);
}

static void drain(void)
{
	for (uint32_t npages = 1; npages <= HM_SLAB_PAGES; npages++)
		while (pages.kept[npages].nr)
			put_backend(pages.kept[npages].page[--pages.kept[npages].nr], npages);
}

static uint64_t kept_pages(void)
{
	uint64_t n = 0;

	for (uint32_t npages = 1; npages <= HM_SLAB_PAGES; npages++)
		n += (uint64_t)pages.kept[npages].nr * npages;
	return n;
}

static bool get_backend(uint32_t npages, uint32_t *page, bool *zeroed)
{
	struct hspan_span span;
	int n = pages.backend->span_get(HSPAN_CLASS_LARGE_NOSCAN, npages, 0, &span, 1);

	if (n < 1) {
		drain();
		n = pages.backend->span_get(HSPAN_CLASS_LARGE_NOSCAN, npages, 0, &span, 1);
	}
	if (n < 1)
		return false;
	*page = span.page;
	*zeroed = span.flags & HSPAN_SPAN_FRESH;
	return true;
}

/* A run of pages, and whether it is known to be zero. */
bool hm_pages_get(uint32_t npages, uint32_t *page, bool *zeroed)
{
	bool done;

	*zeroed = false;
	spin_lock(&pages.lock);
	done = take_kept(npages, page) || get_backend(npages, page, zeroed);
	if (done) {
		pages.used += npages;
		if (!*zeroed)
			pages.idle -= npages;
		if (pages.idle < pages.low)
			pages.low = pages.idle;
	}
	spin_unlock(&pages.lock);
	return done;
}

/* More pages behind a run that is in use, if they are free. */
bool hm_pages_extend(uint32_t page, uint32_t npages, uint32_t more)
{
	uint32_t dirty;
	bool done = false;

	spin_lock(&pages.lock);
	if (hm_pages_split() && page >= pages.inherited)
		done = hm_embedded_extend(page, npages, more, &dirty);
	if (done) {
		pages.used += more;
		pages.idle -= dirty;
		if (pages.idle < pages.low)
			pages.low = pages.idle;
	}
	spin_unlock(&pages.lock);
	return done;
}

void hm_pages_put(uint32_t page, uint32_t npages)
{
	spin_lock(&pages.lock);
	pages.used -= npages;
	pages.idle += npages;
	if (!keep(page, npages))
		put_backend(page, npages);
	hm_purge_look(pages.idle, pages.used);
	spin_unlock(&pages.lock);
}

/* Keep no runs at hand. */
void hm_pages_drain(void)
{
	spin_lock(&pages.lock);
	drain();
	spin_unlock(&pages.lock);
}

/* Idle pages: the least there were since this was last asked. */
struct hm_idle hm_pages_idle(void)
{
	struct hm_idle idle;

	spin_lock(&pages.lock);
	idle = (struct hm_idle){.low = pages.low, .used = pages.used};
	pages.low = pages.idle;
	spin_unlock(&pages.lock);
	return idle;
}

/* So many pages have become zero, or memory that is not there. */
void hm_pages_purged(uint64_t npages)
{
	spin_lock(&pages.lock);
	pages.idle -= (int64_t)npages;
	pages.low -= (int64_t)npages;
	spin_unlock(&pages.lock);
}

/* Count afresh, where that can be done: what was counted is not exact. */
void hm_pages_recount(void)
{
	int64_t off;

	if (!hm_pages_split())
		return;
	spin_lock(&pages.lock);
	off = (int64_t)(hm_embedded_idle() + kept_pages()) - pages.idle;
	pages.idle += off;
	pages.low += off;
	spin_unlock(&pages.lock);
}

/* Whole free blocks go back, at most @max; returns how many. */
uint64_t hm_pages_release(uint64_t max)
{
	int64_t n = pages.backend->release(max);

	return n > 0 ? (uint64_t)n : 0;
}

void hm_pages_stats(struct hspan_arena_stats *stats)
{
	spin_lock(&pages.lock);
	memset(stats, 0, sizeof(*stats));
	pages.backend->stats(stats);
	spin_unlock(&pages.lock);
}

bool hm_pages_split(void)
{
	return pages.backend == &hm_backend_embedded;
}

/* Open a backend that gives @size bytes of addresses, or less if it must. */
bool hm_pages_init(const struct hs_backend *backend, size_t size)
{
	for (; size >= HSPAN_BLOCK_SIZE; size /= 2) {
		if (backend->open(size, &pages.space))
			continue;
		pages.backend = backend;
		hm_set(&hm.base, (uintptr_t)pages.space.data);
		hm.size = pages.space.size;
		return true;
	}
	return false;
}

const char *hm_pages_backend(void)
{
	return pages.backend->name;
}

/* In the child: all so far is in memory of its own, and a backend begins behind. */
bool hm_pages_inherit(uint32_t npages)
{
	npages = (npages + HSPAN_BLOCK_PAGES - 1) / HSPAN_BLOCK_PAGES * HSPAN_BLOCK_PAGES;
	if (hm_embedded_open_at((char *)hm.base, hm.size, npages, &pages.space))
		return false;
	pages.backend = &hm_backend_embedded;
	pages.inherited = npages;
	return true;
}
