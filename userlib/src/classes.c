// SPDX-License-Identifier: MIT
/*
 * Figures by size class: how many spans and objects there are, and how many
 * objects there have been.
 *
 * What there is now is counted when it is asked for, from the page map and the
 * allocation bits, while the program runs.  What was taken is counted by each
 * thread for itself, a run at a time.
 */
#include <errno.h>
#include <string.h>

#include "bits.h"
#include "classes.h"

/* By threads that are gone; hs.threads_lock. */
static uint64_t taken_before[HSPAN_NR_SIZE_CLASSES];

void hs_classes_leave(const struct hs_thread *t)
{
	for (int i = 0; i < HSPAN_NR_SIZE_CLASSES; i++)
		taken_before[i] += t->taken[i];
}

void hs_classes_reset(void)
{
	memset(taken_before, 0, sizeof(taken_before));
}

static void count_taken(struct hspan_class_stats *classes)
{
	hs_lock_threads();
	for (int i = 0; i < HSPAN_NR_SIZE_CLASSES; i++) {
		classes[i].allocs = taken_before[i];
		for (const struct hs_thread *t = hs.threads; t; t = t->next)
			classes[i].allocs += hs_load(&t->taken[i]);
	}
	pthread_mutex_unlock(&hs.threads_lock);
}

static void count_large(uint32_t page, struct hspan_class_stats *class)
{
	const uint64_t *bits = hs_plane0(page);

	if (!hs_test_bit(hs_alloc_bits(page, 0), 0))
		return; /* of an object that is gone, or not there yet */
	class->spans++;
	class->span_bytes += hs_load(&bits[HS_LARGE_PAGES_WORD]) << HSPAN_PAGE_SHIFT;
	class->objects++;
	class->object_bytes += hs_large_size(page);
}

static void count_small(uint32_t page, uint32_t sc, struct hspan_class_stats *class)
{
	uint32_t n = hs_count_bits(hs_alloc_bits(page, sc), hs_bit_words(sc));

	class->spans++;
	class->span_bytes += (uint64_t)hspan_class_pages[sc >> 1] << HSPAN_PAGE_SHIFT;
	class->objects += n;
	class->object_bytes += (uint64_t)n * hspan_class_size[sc >> 1];
}

/* The spans that begin in a block; false if it has no page of any. */
static bool count_block(uint32_t block, struct hspan_class_stats *classes)
{
	uint32_t first = block * HSPAN_BLOCK_PAGES;
	bool used = false;

	for (uint32_t page = first; page < first + HSPAN_BLOCK_PAGES; page++) {
		uint32_t entry = hs_load(&hs.page_map[page]), sc = HSPAN_PM_CLASS(entry);

		if (entry == HSPAN_PM_NONE)
			continue;
		used = true;
		if (HSPAN_PM_PAGE(entry) != page)
			continue;
		if (sc < 2)
			count_large(page, &classes[0]);
		else
			count_small(page, sc, &classes[sc >> 1]);
	}
	return used;
}

/* As far as there are blocks in use: most of the page map was never touched. */
static void count_spans(struct hspan_class_stats *classes)
{
	const volatile struct hspan_control *c = hs.space.control;
	uint32_t blocks = (uint32_t)(hs.size >> HSPAN_BLOCK_SHIFT);
	uint32_t held = hs_load(&c->blocks_held), empty = hs_load(&c->blocks_free);
	uint32_t left = held > empty ? held - empty : 0;

	for (uint32_t block = 0; block < blocks && left; block++)
		left -= count_block(block, classes);
}

HS_EXPORT int hspan_stats_classes(struct hspan_class_stats *classes, size_t n)
{
	struct hspan_class_stats known[HSPAN_NR_SIZE_CLASSES] = { 0 };

	if (n && !classes)
		return -EINVAL;
	if (hs.forked)
		return -ENOTSUP;
	for (int i = 0; i < HSPAN_NR_SIZE_CLASSES; i++)
		known[i].size = hspan_class_size[i];
	if (hs_load_acquire(&hs.ready)) {
		count_spans(known);
		count_taken(known);
	}
	for (int i = 0; i < HSPAN_NR_SIZE_CLASSES; i++)
		known[i].frees = known[i].allocs > known[i].objects ?
					 known[i].allocs - known[i].objects : 0;
	if (n)
		memcpy(classes, known,
		       (n < HSPAN_NR_SIZE_CLASSES ? n : HSPAN_NR_SIZE_CLASSES) * sizeof(*known));
	return HSPAN_NR_SIZE_CLASSES;
}
