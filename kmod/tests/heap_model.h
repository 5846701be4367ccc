/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A shadow model of the heap, and random calls of which it knows the result.
 *
 * Where the numbers come from is the caller's: a generator for property
 * tests, the input for fuzzing.
 */
#ifndef _HUGESPAN_HEAP_MODEL_H
#define _HUGESPAN_HEAP_MODEL_H

#include "heap_fixture.h"

#define HM_HOLDERS	3
#define HM_BATCH	12

/**
 * struct hm_span - what the model knows of a page
 * @npages: of the span that starts here; 0 = none does
 * @holder: who has it, 0 = the heap
 * @nfree: as last put, or as told when handed out
 * @sweepgen: when it was last swept
 * @span_class: of the span
 * @owned: this page is in some span
 */
struct hm_span {
	u32 npages;
	u32 holder;
	u32 nfree;
	u32 sweepgen;
	u16 span_class;
	bool owned;
};

/**
 * struct hm_model - a heap as it should be
 * @f: the real one
 * @choose: a number below the argument
 * @source: where @choose has it from
 * @sweepgen: cycles
 * @pages: by page number
 * @spans: room for a batch
 * @fails: block_get failures injected
 */
struct hm_model {
	struct ht_fixture *f;
	u32 (*choose)(struct hm_model *m, u32 below);
	void *source;
	u32 sweepgen;
	struct hm_span pages[HT_PAGES];
	struct hspan_span spans[HM_BATCH];
	u32 fails;
};

struct hm_totals {
	u32 spans;
	u32 held;
	u32 unswept;
	u32 pages;
	u32 free_blocks;
};

static inline void hm_init(struct hm_model *m, struct ht_fixture *f,
			   u32 (*choose)(struct hm_model *m, u32 below),
			   void *source)
{
	memset(m, 0, sizeof(*m));
	m->f = f;
	m->choose = choose;
	m->source = source;
	m->sweepgen = 1;
}

static inline struct hm_totals hm_count(struct hm_model *m)
{
	struct hm_totals t = { 0 };
	u32 i, used = 0;

	for (i = 0; i < HT_PAGES; i++) {
		struct hm_span *s = &m->pages[i];

		t.pages += s->owned;
		used += s->owned;
		if (s->npages) {
			t.spans++;
			t.held += s->holder != 0;
			t.unswept += !s->holder && s->sweepgen != m->sweepgen;
		}
		if (i % HSPAN_BLOCK_PAGES == HSPAN_BLOCK_PAGES - 1) {
			t.free_blocks += !used &&
				m->f->backed[i / HSPAN_BLOCK_PAGES];
			used = 0;
		}
	}
	return t;
}

/* Compare all that can be seen from outside. */
static inline void hm_check(struct hm_model *m)
{
	struct hspan_arena_stats st = ht_stats(m->f);
	struct hm_totals t = hm_count(m);

	HT_ASSERT(m->f, st.spans == t.spans);
	HT_ASSERT(m->f, st.spans_held == t.held);
	HT_ASSERT(m->f, st.pages_used == t.pages);
	HT_ASSERT(m->f, st.nr_unswept == t.unswept);
	HT_ASSERT(m->f, st.blocks_free == t.free_blocks);
	HT_ASSERT(m->f, st.blocks_held == m->f->gets - m->f->puts);
	HT_ASSERT(m->f, m->f->control.nr_unswept == t.unswept);
	HT_ASSERT(m->f, m->f->control.sweepgen == m->sweepgen);
	ht_verify(m->f);
}

static inline u32 hm_holder(struct hm_model *m)
{
	return 1 + m->choose(m, HM_HOLDERS);
}

/* A span with a state we want, from a random page on; HT_PAGES if none. */
static inline u32 hm_pick(struct hm_model *m, bool held)
{
	u32 from = m->choose(m, HT_PAGES), i, page;

	for (i = 0; i < HT_PAGES; i++) {
		page = (from + i) % HT_PAGES;
		if (m->pages[page].npages && !m->pages[page].holder == !held)
			return page;
	}
	return HT_PAGES;
}

/* New pages: nobody's until now, and zero if that is what we are told. */
static inline void hm_made(struct hm_model *m, const struct hspan_span *span)
{
	u32 i;

	HT_ASSERT(m->f, span->nfree == hspan_nelems(span->span_class));
	HT_ASSERT(m->f, span->sweepgen == m->sweepgen);
	for (i = span->page; i < span->page + span->npages; i++) {
		HT_ASSERT(m->f, i < HT_PAGES && !m->pages[i].owned);
		HT_ASSERT(m->f, m->f->backed[i / HSPAN_BLOCK_PAGES]);
		HT_ASSERT(m->f, !m->f->dirty[i] ||
				span->flags == HSPAN_SPAN_EMPTY);
		m->f->dirty[i] = 1;
		m->pages[i].owned = true;
	}
	if (span->span_class > 1)
		HT_ASSERT(m->f, span->page / HSPAN_BLOCK_PAGES ==
				(i - 1) / HSPAN_BLOCK_PAGES);
	m->pages[span->page].npages = span->npages;
	m->pages[span->page].nfree = span->nfree;
	m->pages[span->page].sweepgen = span->sweepgen;
	m->pages[span->page].span_class = span->span_class;
}

/* @span has come from the heap for @holder. */
static inline void hm_received(struct hm_model *m, u32 holder,
			       const struct hspan_span *span)
{
	struct hm_span *s = &m->pages[span->page];
	bool unswept;

	HT_ASSERT(m->f, span->page < HT_PAGES);
	if (span->flags & (HSPAN_SPAN_FRESH | HSPAN_SPAN_EMPTY))
		hm_made(m, span);
	unswept = s->sweepgen != m->sweepgen;
	HT_ASSERT(m->f, s->npages == span->npages && s->npages);
	HT_ASSERT(m->f, s->holder == 0 && s->nfree == span->nfree);
	HT_ASSERT(m->f, s->span_class == span->span_class);
	HT_ASSERT(m->f, s->sweepgen == span->sweepgen);
	HT_ASSERT(m->f, unswept == !!(span->flags & HSPAN_SPAN_UNSWEPT));
	s->holder = holder;
}

static inline void hm_get(struct hm_model *m)
{
	static const u16 classes[] = { HT_CLASS, HT_WIDE, 2, 40, 133, 0, 1 };
	u32 holder = hm_holder(m), nr = 1 + m->choose(m, HM_BATCH), i;
	u32 span_class = classes[m->choose(m, 7)], npages = 0;
	u32 flags = m->choose(m, 4) ? 0 : HSPAN_GET_FRESH;
	u32 gets = m->f->gets;
	int n;

	if (span_class < 2) {
		npages = 1 + m->choose(m, m->choose(m, 4) ? 40 : 1500);
		nr = 1 + nr % 2;
	}
	n = hspan_heap_get(m->f->heap, holder, span_class, npages, flags,
			   m->spans, nr);
	HT_ASSERT(m->f, n != 0 && n <= (int)nr);
	HT_ASSERT(m->f, n > 0 || n == -ENOMEM || n == -EDQUOT || n == -ENOSPC);
	HT_ASSERT(m->f, n <= 1 || gets == m->f->gets);
	for (i = 0; (int)i < n; i++) {
		HT_ASSERT(m->f, m->spans[i].span_class == span_class);
		HT_ASSERT(m->f, !flags || m->spans[i].flags &
				(HSPAN_SPAN_FRESH | HSPAN_SPAN_EMPTY));
		hm_received(m, holder, &m->spans[i]);
	}
}

static inline void hm_ended(struct hm_model *m, u32 page)
{
	u32 npages = m->pages[page].npages;

	memset(&m->pages[page], 0, npages * sizeof(m->pages[0]));
}

/* Its holder puts it: swept, or with the sweepgen of the cycle before. */
static inline void hm_put_page(struct hm_model *m, u32 page, u32 nfree,
			       bool swept)
{
	struct hm_span *s = &m->pages[page];
	u32 sweepgen = swept ? m->sweepgen : s->sweepgen;
	bool old = sweepgen != m->sweepgen;
	int err = hspan_heap_put(m->f->heap, s->holder, page, nfree, sweepgen);

	if (sweepgen + 1 < m->sweepgen) {
		HT_ASSERT(m->f, err == -EINVAL);
		return;
	}
	HT_ASSERT(m->f, err == 0);
	if (!old && nfree == hspan_nelems(s->span_class)) {
		hm_ended(m, page);
		return;
	}
	s->holder = 0;
	s->nfree = old ? 0 : nfree;
	s->sweepgen = sweepgen;
}

static inline void hm_put(struct hm_model *m)
{
	u32 page = hm_pick(m, true), slots, nfree;

	if (page == HT_PAGES)
		return;
	slots = hspan_nelems(m->pages[page].span_class);
	nfree = m->choose(m, 3) ? m->choose(m, slots + 1) : slots;
	hm_put_page(m, page, nfree, m->choose(m, 4));
}

/* Puts that must be refused: of nothing, of another's, of too much. */
static inline void hm_put_wrong(struct hm_model *m)
{
	u32 page = m->choose(m, HT_PAGES + 10);
	struct hm_span *s = page < HT_PAGES ? &m->pages[page] : NULL;
	u32 holder = hm_holder(m), nfree = m->choose(m, 2000);
	int err;

	if (s && s->npages && s->holder == holder)
		nfree += hspan_nelems(s->span_class) + 1;
	err = hspan_heap_put(m->f->heap, holder, page, nfree, m->sweepgen);
	if (!s || !s->npages)
		HT_ASSERT(m->f, err == -ENOENT);
	else if (!s->holder)
		HT_ASSERT(m->f, err == -EALREADY);
	else
		HT_ASSERT(m->f, err == (s->holder == holder ? -EINVAL :
							      -EPERM));
}

static inline void hm_sweep(struct hm_model *m)
{
	u32 holder = hm_holder(m), nr = 1 + m->choose(m, HM_BATCH);
	u32 unswept = hm_count(m).unswept, slots;
	int n, i;

	n = hspan_heap_sweep_next(m->f->heap, holder, m->spans, nr);
	HT_ASSERT(m->f, n == (int)min(nr, unswept));
	for (i = 0; i < n; i++) {
		HT_ASSERT(m->f, m->spans[i].flags == HSPAN_SPAN_UNSWEPT);
		hm_received(m, holder, &m->spans[i]);
	}
	for (i = 0; i < n; i++) {
		if (!m->choose(m, 8))
			continue;	/* keeps it for a while */
		slots = hspan_nelems(m->spans[i].span_class);
		hm_put_page(m, m->spans[i].page, m->choose(m, slots + 1), true);
	}
}

static inline void hm_cycle(struct hm_model *m)
{
	u32 unswept = hm_count(m).unswept, sweepgen = 0;
	int err = hspan_heap_cycle(m->f->heap, &sweepgen);

	HT_ASSERT(m->f, err == (unswept ? -EBUSY : 0));
	if (!err)
		HT_ASSERT(m->f, sweepgen == ++m->sweepgen);
}

static inline void hm_release(struct hm_model *m)
{
	u32 nr_free = hm_count(m).free_blocks, max = m->choose(m, HT_BLOCKS);

	HT_ASSERT(m->f, hspan_heap_release(m->f->heap, max) ==
			min(max, nr_free));
}

static inline void hm_drop(struct hm_model *m)
{
	u32 holder = hm_holder(m), n = 0, i;

	for (i = 0; i < HT_PAGES; i++) {
		struct hm_span *s = &m->pages[i];

		if (!s->npages || s->holder != holder)
			continue;
		s->holder = 0;
		s->nfree = 0;
		if (s->sweepgen != m->sweepgen)
			s->sweepgen = m->sweepgen - 1;
		n++;
	}
	HT_ASSERT(m->f, hspan_heap_drop_holder(m->f->heap, holder) == n);
}

static inline void hm_settings(struct hm_model *m)
{
	switch (m->choose(m, 4)) {
	case 0:
		hspan_heap_set_limit(m->f->heap, 1 + m->choose(m, HT_BLOCKS));
		break;
	case 1:
		hspan_heap_set_limit(m->f->heap, HT_BLOCKS);
		break;
	case 2:
		hspan_heap_set_cache_depth(m->f->heap, m->choose(m, 10),
					   m->choose(m, 20));
		break;
	default:
		hspan_heap_flush(m->f->heap);
	}
}

/* Let a block_get fail before long. */
static inline void hm_inject(struct hm_model *m)
{
	m->f->fail_in = 1 + m->choose(m, 6);
	m->f->fail_with = m->choose(m, 2) ? -ENOMEM : -EDQUOT;
	m->fails++;
}

/* One random call, compared with the model. */
static inline void hm_step(struct hm_model *m)
{
	u32 what = m->choose(m, 64);

	if (what < 22)
		hm_get(m);
	else if (what < 46)
		hm_put(m);
	else if (what < 50)
		hm_put_wrong(m);
	else if (what < 56)
		hm_sweep(m);
	else if (what < 59)
		hm_cycle(m);
	else if (what < 60)
		hm_drop(m);
	else if (what < 61)
		hm_release(m);
	else if (what < 63)
		hm_settings(m);
	else
		hm_inject(m);
}

/* Everything can be taken back, and then nothing is left. */
static inline void hm_drain(struct hm_model *m)
{
	u32 page;

	m->f->fail_in = 0;
	while ((page = hm_pick(m, true)) < HT_PAGES)
		hm_put_page(m, page,
			    hspan_nelems(m->pages[page].span_class), true);
	while (hm_count(m).unswept)
		hm_sweep(m);
	while ((page = hm_pick(m, true)) < HT_PAGES)
		hm_put_page(m, page, 0, true);
	hm_cycle(m);
	while (hspan_heap_sweep_next(m->f->heap, 1, m->spans, 1) == 1) {
		hm_received(m, 1, &m->spans[0]);
		page = m->spans[0].page;
		hm_put_page(m, page,
			    hspan_nelems(m->pages[page].span_class), true);
	}
	hm_check(m);
	HT_ASSERT(m->f, ht_stats(m->f).spans == 0);
	hspan_heap_release(m->f->heap, ~0ULL);
	HT_ASSERT(m->f, m->f->gets == m->f->puts);
	hm_check(m);
}

#endif /* _HUGESPAN_HEAP_MODEL_H */
