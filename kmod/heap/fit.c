// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Choosing a block: the one that fits most tightly among the first few, by
 * address, that fit at all.
 *
 * Going by address keeps high blocks out of use, so that they drain and can
 * be given back; a little choice among the low ones leaves longer runs whole.
 * Choosing the tightest or the fullest of all blocks sounds better and is
 * not: it spreads spans over every block that has a hole of the right size.
 * Documentation/span-heap.rst has the figures.
 */
#include "internal.h"

/* Blocks that are looked at; 1 would be first fit, a lot best fit. */
#define FIT_CHOICE	4

static u32 hspan_fit_width(u32 nr_blocks)
{
	u32 width = 1;

	while (width < nr_blocks)
		width *= 2;
	return width;
}

/* What hspan_fit_init() allocates. */
size_t hspan_fit_bytes(u32 nr_blocks)
{
	return (size_t)hspan_fit_width(nr_blocks) * 2 * sizeof(u16);
}

int hspan_fit_init(struct hspan_fit *fit, u32 nr_blocks)
{
	fit->width = hspan_fit_width(nr_blocks);
	fit->longest = kvcalloc((size_t)fit->width * 2, sizeof(*fit->longest),
				HSPAN_HEAP_GFP);
	return fit->longest ? 0 : -ENOMEM;
}

void hspan_fit_exit(struct hspan_fit *fit)
{
	kvfree(fit->longest);
}

u32 hspan_fit_get(const struct hspan_fit *fit, u32 block)
{
	return fit->longest[fit->width + block];
}

void hspan_fit_set(struct hspan_fit *fit, u32 block, u32 longest)
{
	u32 i = fit->width + block;

	while (fit->longest[i] != longest) {
		fit->longest[i] = longest;
		if (i == 1)
			break;
		longest = max(fit->longest[i], fit->longest[i ^ 1]);
		i /= 2;
	}
}

/**
 * hspan_fit_next() - find a block with room
 * @fit: the blocks
 * @from: lowest block of interest
 * @npages: how many pages in a run
 *
 * Climb and step right until a subtree has such a block, then go down to its
 * leftmost.
 *
 * Return: the lowest block from @from on, or HSPAN_FIT_NONE.
 */
u32 hspan_fit_next(const struct hspan_fit *fit, u32 from, u32 npages)
{
	u32 i = fit->width + from;

	if (from >= fit->width)
		return HSPAN_FIT_NONE;
	while (fit->longest[i] < npages) {
		while (i & 1)
			i /= 2;
		if (!i)
			return HSPAN_FIT_NONE;
		i++;
	}
	while (i < fit->width) {
		i *= 2;
		if (fit->longest[i] < npages)
			i++;
	}
	return i - fit->width;
}

/* The block to take @npages from, or HSPAN_FIT_NONE. */
u32 hspan_fit_best(const struct hspan_fit *fit, u32 npages)
{
	u32 best = HSPAN_FIT_NONE, best_len = ~0U, block = 0, n, len;

	for (n = 0; n < FIT_CHOICE && best_len > npages; n++) {
		block = hspan_fit_next(fit, block, npages);
		if (block == HSPAN_FIT_NONE)
			break;
		len = hspan_fit_get(fit, block);
		if (len < best_len) {
			best = block;
			best_len = len;
		}
		block++;
	}
	return best;
}

/* How many inner nodes are not what their children say. */
unsigned int hspan_fit_verify(const struct hspan_fit *fit)
{
	unsigned int faults = 0;
	u32 i;

	for (i = 1; i < fit->width; i++)
		faults += fit->longest[i] != max(fit->longest[2 * i],
						 fit->longest[2 * i + 1]);
	return faults;
}
