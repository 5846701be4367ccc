// SPDX-License-Identifier: MIT
/*
 * Allocation: a thread's runs of free slots, and where the next run comes
 * from when one is used up.
 *
 * The hit path is bump() in one screen: no atomic, no lock, no colour, no
 * clearing, no bits.  All of that was done for the whole run when it was
 * taken.  A handshake may interrupt it anywhere; that is why a flush from
 * outside (hs_cache_flush() with @interrupted) never gives back the slot that
 * the interrupted thread may be about to return.
 */
#include <errno.h>
#include <string.h>

#include "bits.h"
#include "classes.h"
#include "limit.h"
#include "pacer.h"
#include "sample.h"

#define RUN_BYTES 4096u /* cleared at once; stays in the first-level cache */
#define CLEAR_IN_SECTION (256u << 10)
#define POLL_BYTES 4096u /* taken since a thread last looked about */
#define RETRIES 2
#define RAISES 8 /* of the limit, for one allocation */

static void *alloc_slow(size_t size, bool noscan, const void *caller);

static inline __attribute__((always_inline)) void *bump(size_t size, bool noscan)
{
	struct hs_thread *t = hs_tls.self;

	if (likely(size - 1 < HSPAN_SMALL_MAX)) {
		unsigned int cls = hspan_size_class(size);
		struct hspan_run *run = &t->run[HSPAN_SPAN_CLASS(cls, noscan)];
		char *p = hs_load(&run->cur);
		char *next = p + hspan_class_size[cls];

		if (likely(next <= hs_load(&run->end))) {
			hs_set(&run->cur, next);
			return p;
		}
	}
	return alloc_slow(size, noscan, __builtin_return_address(0));
}

HS_EXPORT void *hspan_alloc(size_t size)
{
	return bump(size, false);
}

HS_EXPORT void *hspan_alloc_noscan(size_t size)
{
	return bump(size, true);
}

void hs_cache_init(struct hs_thread *t)
{
	for (int i = 0; i < HSPAN_NR_SPAN_CLASSES; i++)
		t->held[i].page = HS_NO_SPAN;
}

static uint32_t slot_at(uint32_t span_class, uint32_t page, const char *p)
{
	return hspan_slot_of(span_class >> 1, (uintptr_t)(p - hs_page_address(page)));
}

static uint32_t count_free(uint32_t page, uint32_t span_class)
{
	return hs_nelems(span_class) -
	       hs_count_bits(hs_alloc_bits(page, span_class), hs_bit_words(span_class));
}

/* Give spans back to the backend; refusal means our books are wrong. */
static void put_back(struct hspan_put *puts, uint32_t n)
{
	int ret;

	if (!n)
		return;
	ret = hs.backend->span_put(puts, n);
	if (ret < 0)
		hs_die("hugespan: a span was refused by the %s backend: errno %d\n",
		       hs.backend->name, -ret);
}

static void put_span(uint32_t page, uint32_t nfree, uint32_t sweepgen)
{
	struct hspan_put put = { .page = page, .nfree = nfree, .sweepgen = sweepgen };

	put_back(&put, 1);
}

/* What is left of a run is free again, but for its first @keep slots. */
static void return_run(struct hs_thread *t, uint32_t sc, uint32_t keep)
{
	struct hspan_run *run = &t->run[sc];
	uint32_t page = t->held[sc].page;
	uint32_t from, to;

	if (run->cur && run->cur < run->end) {
		from = slot_at(sc, page, run->cur) + keep;
		to = slot_at(sc, page, run->end - 1) + 1;
		if (from < to) {
			hs_clear_bits(hs_alloc_bits(page, sc), from, to);
			hs_clear_bits(hs_mark_bits(page), from, to);
			hs_pacer_refund((uint64_t)(to - from) * hspan_class_size[sc >> 1]);
			hs_classes_take(t, sc >> 1, -(int32_t)(to - from));
		}
	}
	hs_set(&run->end, NULL); /* .cur stays: bump() may be about to return it */
}

/*
 * Give spans back: all, or only those that the last cycle left unswept.  When
 * the thread may have been @interrupted in bump() it may still return the slot
 * at .cur, and store .cur: so that slot stays allocated, and .end is empty.
 */
void hs_cache_flush(struct hs_thread *t, bool only_stale, bool interrupted)
{
	struct hspan_put puts[HSPAN_NR_SPAN_CLASSES];
	uint32_t n = 0, now = hs_sweepgen();

	for (uint32_t sc = 0; sc < HSPAN_NR_SPAN_CLASSES; sc++) {
		struct hs_held *held = &t->held[sc];

		if (held->page == HS_NO_SPAN || (only_stale && held->sweepgen == now))
			continue;
		return_run(t, sc, interrupted);
		puts[n++] = (struct hspan_put){ .page = held->page,
						.nfree = count_free(held->page, sc),
						.sweepgen = held->sweepgen };
		held->page = HS_NO_SPAN;
	}
	/* Nothing may become unused pages while a mark looks at them. */
	for (uint32_t i = 0; i < n && hs_load(&hs.marking); i++)
		if (puts[i].nfree)
			puts[i].nfree--;
	put_back(puts, n);
}

/* From now on what is left of this generation's runs is black. */
void hs_cache_blacken(struct hs_thread *t, uint32_t gen)
{
	for (uint32_t sc = 0; sc < HSPAN_NR_SPAN_CLASSES; sc++) {
		struct hspan_run *run = &t->run[sc];
		uint32_t page = t->held[sc].page;

		if (page == HS_NO_SPAN || !run->cur || run->cur >= run->end)
			continue;
		hs_set_bits(hs_mark_bits(page), slot_at(sc, page, run->cur),
			    slot_at(sc, page, run->end - 1) + 1);
	}
	t->black_gen = gen;
}

/* Take slots [@from, @to) of the held span as the run of its class. */
static void take_run(struct hs_thread *t, uint32_t sc, uint32_t from, uint32_t to)
{
	struct hs_held *held = &t->held[sc];
	uint32_t size = hspan_class_size[sc >> 1];
	char *base = hs_page_address(held->page);
	char *lo = base + (size_t)from * size;
	char *hi = base + (size_t)to * size;

	if (!held->zeroed && !(sc & 1))
		memset(lo, 0, (size_t)(hi - lo));
	if (!(sc & 1) && unlikely(hs_load(&hs.layout_used)) && sc >> 1 != 1)
		hs_clear_bits(hs_plane1(held->page), (uint32_t)((lo - base) >> 3),
			      (uint32_t)((hi - base) >> 3));
	if (t->black_gen == held->sweepgen)
		hs_set_bits(hs_mark_bits(held->page), from, to);
	hs_set_own_bits(hs_alloc_bits(held->page, sc), from, to);
	held->next = to;
	hs_set(&t->run[sc].cur, lo);
	hs_set(&t->run[sc].end, hi);
	hs_pacer_charge(t, (uint64_t)(hi - lo));
	hs_classes_take(t, sc >> 1, (int32_t)(to - from));
}

/* The next free run of the held span; false when there is none. */
static bool next_run(struct hs_thread *t, uint32_t sc)
{
	struct hs_held *held = &t->held[sc];
	const uint64_t *bits = hs_alloc_bits(held->page, sc);
	uint32_t n = hs_nelems(sc), size = hspan_class_size[sc >> 1];
	uint32_t from = hs_next_bit(bits, held->next, n, false);
	uint32_t most, to;

	if (from == n)
		return false;
	to = hs_next_bit(bits, from, n, true);
	most = held->zeroed ? n : RUN_BYTES / size;
	if (to - from > (most ? most : 1))
		to = from + (most ? most : 1);
	take_run(t, sc, from, hs_sample_cut(t, held, from, to, size));
	return true;
}

/*
 * Has a cycle ended since the span was swept?  What the control page shows may
 * lag behind the span: a new cycle is told there last.
 */
static bool is_stale(const struct hs_held *held)
{
	return (int32_t)(hs_sweepgen() - held->sweepgen) > 0;
}

/*
 * A held span from before the last cycle: sweep it, it is ours.  It cannot be
 * older than that, for it would have been flushed.
 */
static void sweep_held(struct hs_held *held, uint32_t sc)
{
	held->sweepgen++;
	hs_sweep_span(held->page, sc, held->sweepgen);
	held->next = 0;
	held->zeroed = false;
}

/* No object of the span is in use: forget what its bits said. */
static void clear_span_bits(const struct hspan_span *s)
{
	size_t bytes = (size_t)hs_bit_words(s->span_class) * 8;

	memset(hs_mark_bits(s->page), 0, bytes);
	memset(hs_alloc_bits(s->page, s->span_class), 0, bytes);
}

static void hold(struct hs_held *held, const struct hspan_span *s)
{
	*held = (struct hs_held){ .page = s->page, .sweepgen = s->sweepgen };
	if (s->span_class >> 1 == 1)
		hs_set(&hs.layout_used, true);
	if (s->flags & HSPAN_SPAN_UNSWEPT) {
		sweep_held(held, s->span_class);
	} else if (s->flags & (HSPAN_SPAN_FRESH | HSPAN_SPAN_EMPTY)) {
		clear_span_bits(s);
		held->zeroed = s->flags & HSPAN_SPAN_FRESH;
	}
}

/*
 * Where the heap holds as much as it is to hold, space is made by sweeping and
 * not by growing.
 */
static void sweep_before_growing(void)
{
	const volatile struct hspan_control *c = hs.space.control;

	if (hs_load(&c->nr_unswept) && !hs_load(&c->blocks_free) &&
	    hs_pacer_is_full((uint64_t)hs_load(&c->blocks_held) << HSPAN_BLOCK_SHIFT))
		hs_sweep_some();
}

/* Give the class a run that is not empty.  0 or a negative errno. */
static int refill(struct hs_thread *t, uint32_t sc)
{
	struct hs_held *held = &t->held[sc];
	struct hspan_span s;
	int ret;

	for (;;) {
		if (held->page != HS_NO_SPAN) {
			if (is_stale(held))
				sweep_held(held, sc);
			if (next_run(t, sc))
				return 0;
			put_span(held->page, 0, held->sweepgen);
			held->page = HS_NO_SPAN;
		}
		sweep_before_growing();
		ret = hs.backend->span_get(sc, 0, 0, &s, 1);
		if (ret < 0)
			return ret;
		hold(held, &s);
	}
}

static void *alloc_small(struct hs_thread *t, size_t size, bool noscan, int *ret)
{
	unsigned int cls = hspan_size_class(size);
	uint32_t sc = HSPAN_SPAN_CLASS(cls, noscan);
	struct hspan_run *run = &t->run[sc];
	char *p = NULL;

	hs_enter();
	*ret = 0;
	if (!run->end || run->cur + hspan_class_size[cls] > run->end)
		*ret = refill(t, sc);
	if (!*ret) {
		p = run->cur;
		run->cur = p + hspan_class_size[cls];
	}
	hs_leave();
	return p;
}

/*
 * A large object's span is put back, full, at once: nobody holds it.  Its
 * colour is settled last, so that a mark that began meanwhile is heeded.
 */
static void *alloc_large(struct hs_thread *t, size_t size, bool noscan, int *ret)
{
	uint32_t npages = (uint32_t)((size + HSPAN_PAGE_SIZE - 1) >> HSPAN_PAGE_SHIFT);
	struct hspan_span s;
	uint64_t *bits;
	bool clear, late;
	char *p;

	hs_enter();
	*ret = hs.backend->span_get(noscan, npages, 0, &s, 1);
	if (*ret < 0) {
		hs_leave();
		return NULL;
	}
	p = hs_page_address(s.page);
	clear = !noscan && !(s.flags & HSPAN_SPAN_FRESH);
	late = size > CLEAR_IN_SECTION && !(hs.config.debug & HSPAN_DEBUG_CHECKMARK);
	if (clear && !late)
		memset(p, 0, (size + 7) & ~7ul);
	if (!noscan && hs_load(&hs.layout_used))
		memset(hs_plane1(s.page), 0, (size_t)npages * HSPAN_BITS_STRIDE);
	bits = hs_plane0(s.page);
	hs_set(&bits[0], (uint64_t)(t->black_gen == s.sweepgen));
	hs_set(&bits[HS_LARGE_SIZE_WORD], (size + 7) & ~7ull);
	hs_set(&bits[HS_LARGE_PAGES_WORD], npages);
	hs_set_release(&bits[1], 1);
	put_span(s.page, 0, s.sweepgen);
	hs_pacer_charge(t, (uint64_t)npages << HSPAN_PAGE_SHIFT);
	hs_classes_take(t, 0, 1);
	hs_sample_large(t, (size + 7) & ~7ull);
	hs_leave();
	if (clear && late)
		memset(p, 0, (size + 7) & ~7ul); /* till then a marker may read what was there: harmless */
	return p;
}

/* Between two allocations: a handshake, a new cycle, a share of the marking. */
static void poll(struct hs_thread *t)
{
	hs_handshake_poll(t);
	if (unlikely(hs_pacer_wants_cycle()))
		hs_collector_request();
	if (unlikely(hs_load(&hs.marking)))
		hs_pacer_assist(t);
	t->owing = 0;
	if (unlikely(hs_pacer_at_ceiling()))
		hs_collector_yield(true);
	else if (unlikely(hs_pacer_overdrawn()))
		hs_collector_yield(false);
}

/** struct effort - what an allocation has tried so far */
struct effort {
	unsigned int raises;
	unsigned int collections;
	bool waited;
};

/*
 * Find memory for @size bytes, which the backend refused with @error: a limit
 * that has moved, a cycle under way, a cycle of our own.  False when all was
 * tried, or cycles take too much already and another would find little.
 */
static bool make_room(struct effort *e, size_t size, int error)
{
	uint64_t blocks = (size + HSPAN_BLOCK_SIZE - 1) >> HSPAN_BLOCK_SHIFT;

	if (error == -EDQUOT && e->raises++ < RAISES && hs_limit_raise(blocks))
		return true;
	if (!e->waited) {
		e->waited = true;
		if (hs_collector_yield(true))
			return true;
	}
	if (e->collections == RETRIES || (hs_pacer_is_capped() && !hs_pacer_grown()))
		return false;
	e->collections++;
	hs_collect();
	return true;
}

static __attribute__((noinline)) void *alloc_somehow(struct hs_thread *t, size_t size,
							 bool noscan)
{
	struct effort effort = { 0 };
	int ret = 0;
	void *p;

	if (unlikely(hs.forked)) {
		errno = ENOTSUP;
		return NULL;
	}
	if (!size)
		size = 1;
	if (size > hs.size) {
		errno = ENOMEM;
		return NULL;
	}
	do {
		poll(t);
		p = size <= HSPAN_SMALL_MAX ? alloc_small(t, size, noscan, &ret) :
					      alloc_large(t, size, noscan, &ret);
		if (p)
			return p;
	} while (make_room(&effort, size, ret));
	errno = ENOMEM;
	return NULL;
}

/*
 * The next run of the span in hand, if that is all it takes: short runs between
 * survivors are not worth a look about each.
 */
static void *alloc_nearby(struct hs_thread *t, size_t size, bool noscan)
{
	unsigned int cls = hspan_size_class(size);
	uint32_t sc = HSPAN_SPAN_CLASS(cls, noscan);
	struct hs_held *held = &t->held[sc];
	struct hspan_run *run = &t->run[sc];
	char *p = NULL;

	hs_enter();
	if (held->page != HS_NO_SPAN && !is_stale(held) && next_run(t, sc)) {
		p = run->cur;
		run->cur = p + hspan_class_size[cls];
	}
	hs_leave();
	return p;
}

static void *sampled(struct hs_thread *t, void *p, const void *caller)
{
	if (unlikely(t->chosen))
		hs_sample_record(t, p, caller);
	return p;
}

/* @caller: whom the call returns to */
static __attribute__((noinline)) void *alloc_slow(size_t size, bool noscan, const void *caller)
{
	struct hs_thread *t = hs_tls.self;
	void *p;

	/* Who takes no part may be the one to make the heap: there is none to look at. */
	if (likely(size - 1 < HSPAN_SMALL_MAX && t != &hs_nobody && t->owing < POLL_BYTES &&
		   !hs.config.debug && !hs.forked)) {
		p = alloc_nearby(t, size, noscan);
		if (p)
			return sampled(t, p, caller);
	}
	t = hs_thread_join();
	if (!t)
		return NULL;
	hs_begin_slow();
	p = sampled(t, alloc_somehow(t, size, noscan), caller);
	hs_end_slow();
	return p;
}
