// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Searching a block's bitmap for runs of free pages.
 *
 * Let F(n) be the set of pages from which on n pages are free.  F(1) is the
 * complement of the used bitmap, and F(a + b) = F(a) & F(a) >> b for b <= a,
 * so F(n) takes about log2(n) steps over a few words, however many runs there
 * are.  A walk from run to run costs as much as there are runs, and blocks
 * that have been in use for a while have dozens.
 */
#include "internal.h"
#include "runs.h"

#define NR_WORDS	BITS_TO_LONGS(HSPAN_BLOCK_PAGES)

/* Lengths for which all runs are looked at in parallel, before one by one. */
#define EXACT_TRIES	4

struct hspan_runs {
	unsigned long bits[NR_WORDS];
};

static void hspan_runs_init(struct hspan_runs *runs, const unsigned long *used)
{
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++)
		runs->bits[i] = ~used[i];
}

/* @to = @from & @from >> @by: F(n + @by) from F(n).  False if it is empty. */
static bool hspan_runs_narrow(struct hspan_runs *to,
			      const struct hspan_runs *from, unsigned int by)
{
	unsigned int skip = by / BITS_PER_LONG, shift = by % BITS_PER_LONG, i;
	unsigned long any = 0, word;

	for (i = 0; i < NR_WORDS; i++) {
		word = i + skip < NR_WORDS ? from->bits[i + skip] >> shift : 0;
		if (shift && i + skip + 1 < NR_WORDS)
			word |= from->bits[i + skip + 1] <<
				(BITS_PER_LONG - shift);
		to->bits[i] = from->bits[i] & word;
		any |= to->bits[i];
	}
	return any;
}

unsigned int hspan_runs_longest(const unsigned long *used)
{
	struct hspan_runs fits, longer;
	unsigned int len, step;

	if (bitmap_full(used, HSPAN_BLOCK_PAGES))
		return 0;
	hspan_runs_init(&fits, used);
	for (len = 1; len < HSPAN_BLOCK_PAGES; len *= 2) {
		if (!hspan_runs_narrow(&longer, &fits, len))
			break;
		fits = longer;
	}
	for (step = len / 2; step; step /= 2) {
		if (!hspan_runs_narrow(&longer, &fits, step))
			continue;
		fits = longer;
		len += step;
	}
	return len;
}

/* Keep those pages of @fits where a run begins: the page before is used. */
static void hspan_runs_keep_first(struct hspan_runs *fits,
				  const unsigned long *used)
{
	unsigned long before = 1;	/* nothing is free before page 0 */
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++) {
		fits->bits[i] &= used[i] << 1 | before;
		before = used[i] >> (BITS_PER_LONG - 1);
	}
}

/* First page that is in @a and not in @b. */
static unsigned int hspan_runs_first_not(const struct hspan_runs *a,
					 const struct hspan_runs *b)
{
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++)
		if (a->bits[i] & ~b->bits[i])
			return i * BITS_PER_LONG +
			       __ffs(a->bits[i] & ~b->bits[i]);
	return HSPAN_BLOCK_PAGES;
}

/* The shortest of the runs that begin at the pages in @first. */
static unsigned int hspan_runs_shortest(const struct hspan_runs *first,
					const unsigned long *used)
{
	unsigned int best = HSPAN_BLOCK_PAGES, best_len = UINT_MAX, at, len;

	for_each_set_bit(at, first->bits, HSPAN_BLOCK_PAGES) {
		len = find_next_bit(used, HSPAN_BLOCK_PAGES, at) - at;
		if (len < best_len) {
			best = at;
			best_len = len;
		}
	}
	return best;
}

unsigned int hspan_runs_best(const unsigned long *used, unsigned int npages)
{
	struct hspan_runs fits, longer, first;
	unsigned int len, step, at;

	hspan_runs_init(&fits, used);
	for (len = 1; len < npages; len += step) {
		step = min(len, npages - len);
		if (!hspan_runs_narrow(&longer, &fits, step))
			return HSPAN_BLOCK_PAGES;
		fits = longer;
	}
	first = fits;
	hspan_runs_keep_first(&first, used);
	for (len = 0; len < EXACT_TRIES; len++) {
		hspan_runs_narrow(&longer, &fits, 1);
		at = hspan_runs_first_not(&first, &longer);
		if (at < HSPAN_BLOCK_PAGES)
			return at;
		fits = longer;
	}
	return hspan_runs_shortest(&first, used);
}
