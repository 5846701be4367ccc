// SPDX-License-Identifier: MIT
/*
 * Sweeping: what was not marked becomes free.  A span is swept by whoever
 * holds it: the background sweeper here, or a thread about to allocate from it.
 */
#include <string.h>

#include "bits.h"

#define SWEEP_BATCH 32 /* some microseconds, in a mutator's refill */

static uint64_t spans_swept; /* since the heap was made */

/* (clobber) overwrite the slots of word @w that a sweep frees */
static void clobber(uint32_t page, uint32_t sc, uint32_t w, uint64_t dead)
{
	uint32_t size = sc < 2 ? (uint32_t)hs_large_size(page) : hspan_class_size[sc >> 1];

	for (; dead; dead &= dead - 1) {
		uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(dead);

		memset(hs_page_address(page) + (size_t)slot * size, 0xdb, size);
	}
}

/* Allocation bits become mark bits. */
static void copy_marks(uint32_t page, uint32_t sc)
{
	uint64_t *mark = hs_mark_bits(page), *alloc = hs_alloc_bits(page, sc);

	for (uint32_t w = 0; w < hs_bit_words(sc); w++) {
		uint64_t marked = hs_load(&mark[w]);

		if (unlikely(hs.config.debug & HSPAN_DEBUG_CLOBBER))
			clobber(page, sc, w, hs_load(&alloc[w]) & ~marked);
		hs_set(&alloc[w], marked);
	}
}

static void clear_marks(uint32_t page, uint32_t sc)
{
	uint64_t *mark = hs_mark_bits(page);

	for (uint32_t w = 0; w < hs_bit_words(sc); w++)
		hs_set(&mark[w], 0);
}

/*
 * Allocation bits become mark bits, mark bits zero.  The span is held, and
 * @gen the cycle it is swept in.  A holder before us may have died at this:
 * what the notes are for is told in <linux/hugespan.h>.  Returns how many of its
 * slots are in use.
 */
uint32_t hs_sweep_span(uint32_t page, uint32_t sc, uint32_t gen)
{
	uint32_t *note = &hs.space.notes[page], was = hs_load_acquire(note);

	if (was != HSPAN_NOTE_SWEPT(gen)) {
		if (was != HSPAN_NOTE_COPIED(gen)) {
			copy_marks(page, sc);
			hs_set_release(note, HSPAN_NOTE_COPIED(gen));
		}
		hs_compiler_barrier(); /* killed in between, no mark may be gone yet */
		clear_marks(page, sc);
		hs_set_release(note, HSPAN_NOTE_SWEPT(gen));
		hs_compiler_barrier(); /* nor anything allocated */
	}
	hs_add(&spans_swept, 1);
	return hs_count_bits(hs_alloc_bits(page, sc), hs_bit_words(sc));
}

/* Sweep up to a batch of what is listed unswept; how many spans that were. */
uint32_t hs_sweep_some(void)
{
	struct hspan_span spans[SWEEP_BATCH];
	struct hspan_put puts[SWEEP_BATCH];
	int n = hs.backend->sweep_next(spans, SWEEP_BATCH);

	if (n < 0)
		hs_die("hugespan: the %s backend has no spans to sweep: errno %d\n",
		       hs.backend->name, -n);
	for (int i = 0; i < n; i++) {
		uint32_t sc = spans[i].span_class;
		uint32_t live = hs_sweep_span(spans[i].page, sc, spans[i].sweepgen + 1);

		puts[i] = (struct hspan_put){ .page = spans[i].page,
					      .nfree = hs_nelems(sc) - live,
					      .sweepgen = hs_sweepgen() };
	}
	if (n && hs.backend->span_put(puts, (uint32_t)n) < 0)
		hs_die("hugespan: a swept span was refused by the %s backend\n",
		       hs.backend->name);
	return (uint32_t)n;
}

/* Sweep all that is listed unswept. */
void hs_sweep_all(void)
{
	while (hs_sweep_some())
		;
}

/* No object is marked any more.  With every thread stopped. */
void hs_unmark_all(void)
{
	for (uint32_t page = 0; page < hs.size >> HSPAN_PAGE_SHIFT; page++) {
		uint32_t entry = hs_load(&hs.page_map[page]);

		if (entry != HSPAN_PM_NONE && HSPAN_PM_PAGE(entry) == page)
			clear_marks(page, HSPAN_PM_CLASS(entry));
	}
}

uint64_t hs_sweep_count(void)
{
	return hs_load(&spans_swept);
}

void hs_sweep_reset(void)
{
	hs_set(&spans_swept, 0);
}
