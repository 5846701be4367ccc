// SPDX-License-Identifier: MIT
/*
 * Marking a span at a time.
 *
 * A word that points into a span is only *seen*: it sets a bit of that span in
 * a table, and the span's page waits in a set (pages.h).  When its turn comes, many
 * of its objects have been seen, and all is done at once:
 *
 *	fresh = seen & allocated & ~marked;   marked |= fresh;   scan fresh
 *
 * Here a marker meets others and mutators that assist, and mutators that allocate
 * black: so the mark bits, and they alone, are changed by atomics, a word of 64
 * objects at a time.  Who sets a mark bit scans the object.
 *
 * A bit once set in "seen" stays for the cycle: what is seen again costs
 * nothing.  That is why an object given to mutators is unseen again: it may come
 * back.  What else is to hold is in shards.h.
 */
#include "shards.h"

#define FEW	     4 /* objects that are better followed one by one when nothing else waits */
#define BATCH	     64
#define NOSCAN_BATCH 64 /* spans */

/* Seeing ------------------------------------------------------------------- */

static void enqueue(struct hs_spans *s, uint32_t page, bool noscan)
{
	uint8_t *touched = &s->touched[page >> HS_PAGES_BLOCK_SHIFT];

	hs_pages_put(noscan ? &s->noscan : &s->scan, page);
	if (!*touched) /* the line is others' as well */
		*touched = 1;
}

static void see(struct hs_spans *s, const uint64_t *slots, unsigned int n)
{
	uint64_t *seen = &s->seen[0][0];

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(&seen[(slots[i] & ~HS_SLOT_NOSCAN) >> 6], 1);
	for (unsigned int i = 0; i < n; i++) {
		bool noscan = slots[i] & HS_SLOT_NOSCAN;
		uint64_t slot = slots[i] & ~HS_SLOT_NOSCAN, *word = &seen[slot >> 6], was = *word;
		uint64_t bit = 1ull << (slot & 63);
		uint32_t page = (uint32_t)(slot >> HS_SLOTS_SHIFT);

		if (was & bit)
			continue;
		*word = was | bit;
		if (!hs_pages_has(noscan ? &s->noscan : &s->scan, page))
			enqueue(s, page, noscan);
	}
}

void hs_spans_see_slots(struct hs_spans *s, const uint64_t *slots, unsigned int n)
{
	for (unsigned int done = 0; done < n; done += BATCH)
		see(s, slots + done, n - done < BATCH ? n - done : BATCH);
}

/*
 * So little is to be done, a list perhaps, that it is not worth while to wait for
 * more objects of a span.
 */
static bool is_sparse(const struct hs_marker *m, size_t n)
{
	const struct hs_spans *s = m->spans;

	return !s->scan.count && !s->count && n + (m->chunk ? m->chunk->count : 0) <= FEW;
}

/* Of a word only the bits in @keep become a grey one: see work.h. */
static void see_words(struct hs_marker *m, const uintptr_t *words, size_t n, uintptr_t keep)
{
	uint64_t slot[BATCH + HS_SLOTS_SLACK], away[BATCH + HS_SLOTS_SLACK];
	uintptr_t other[BATCH + HS_SLOTS_SLACK];
	struct hs_spans *s = m->spans;

	if (is_sparse(m, n)) {
		for (size_t i = 0; i < n; i++)
			hs_chunk_put(&m->chunk, words[i] & keep);
		return;
	}
	for (size_t done = 0; done < n; done += BATCH) {
		unsigned int batch = n - done < BATCH ? (unsigned int)(n - done) : BATCH;
		struct hs_located found = {
			.mine = s->mine, .slot = slot, .away = away, .other = other
		};

		s->locate(words + done, batch, &found);
		see(s, slot, found.slots);
		hs_shards_send(s, away, found.aways);
		for (unsigned int i = 0; i < found.others; i++)
			hs_chunk_put(&m->chunk, other[i] & keep);
	}
}

/* What comes off the work list has its tags. */
void hs_spans_see(struct hs_marker *m, const uintptr_t *words, size_t n)
{
	see_words(m, words, n, UINTPTR_MAX);
}

/* What an object holds may be odd: that is no tag. */
void hs_spans_see_found(struct hs_marker *m, const uintptr_t *words, size_t n)
{
	see_words(m, words, n, ~(uintptr_t)7);
}

/* Visiting ----------------------------------------------------------------- */

/* Mark what was seen and is white.  False when there was none. */
static bool settle(struct hs_marker *m, uint32_t page, struct hs_visit *v)
{
	const uint64_t *seen = m->spans->seen[page];
	uint32_t sc = HSPAN_PM_CLASS(hs_load(&hs.page_map[page])), n = hs_bit_words(sc);
	const uint64_t *alloc = hs_alloc_bits(page, sc);
	uint64_t *mark = hs_mark_bits(page), objects = 0;

	v->page = page;
	v->span_class = sc;
	for (uint32_t w = 0; w < n; w++) {
		uint64_t fresh = seen[w] & hs_load_acquire(&alloc[w]) & ~hs_load(&mark[w]);

		if (fresh) {
			fresh &= ~__atomic_fetch_or(&mark[w], fresh, __ATOMIC_RELAXED);
			objects += (uint64_t)__builtin_popcountll(fresh);
		}
		v->fresh[w] = fresh;
	}
	v->count = (uint32_t)objects;
	m->objects += objects;
	m->bytes += objects * hspan_class_size[sc >> 1];
	return objects;
}

/* Of the slots of @size bytes in @bits, one for each cache line. */
static uint64_t lines_of(uint64_t bits, uint32_t size)
{
	if (size == 16)
		bits |= (bits | bits >> 1) >> 2 | bits >> 1, bits &= 0x1111111111111111;
	else if (size == 32)
		bits = (bits | bits >> 1) & 0x5555555555555555;
	return bits;
}

static void prefetch_page(uint32_t page)
{
	const char *p = hs_page_address(page);

	for (size_t at = 0; at < HSPAN_PAGE_SIZE; at += 64)
		__builtin_prefetch(p + at);
}

static void prefetch_objects(const struct hs_visit *v)
{
	uint32_t size = hspan_class_size[v->span_class >> 1];
	const char *p = hs_page_address(v->page);

	for (uint32_t w = 0; w < hs_bit_words(v->span_class); w++, p += 64 * (size_t)size)
		for (uint64_t f = lines_of(v->fresh[w], size); f; f &= f - 1)
			__builtin_prefetch(p + (size_t)__builtin_ctzll(f) * size);
}

/* First comes a span's line of bits, then it is marked and its objects come. */
static void fill_ring(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;

	while (s->count < HS_RING && s->scan.count) {
		uint32_t page = hs_pages_take(&s->scan);

		__builtin_prefetch(hs_plane0(page), 1);
		__builtin_prefetch(hs_plane0(page) + HS_SEEN_WORDS);
		if (unlikely(hs_load(&hs.typed))) {
			__builtin_prefetch(hs_plane1(page));
			__builtin_prefetch(hs_plane1(page) + HS_SEEN_WORDS);
		}
		s->ring[(s->head + s->count++) % HS_RING].page = page;
	}
	while (s->ready < HS_READY && s->ready < s->count) {
		struct hs_visit *v = &s->ring[(s->head + s->ready++) % HS_RING];

		if (!settle(m, v->page, v))
			continue;
		if (s->local)
			prefetch_page(v->page);
		else
			prefetch_objects(v);
	}
}

bool hs_spans_visit(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	uint64_t before, first;
	struct hs_visit *v;
	struct hs_scan scan;
	uint32_t size;

	fill_ring(m);
	if (!s->count) {
		hs_shards_post(s);
		return false;
	}
	v = &s->ring[s->head];
	s->head = (s->head + 1) % HS_RING;
	s->count--;
	s->ready--;
	scan = hs_scan_of(v->page, v->span_class);
	size = hspan_class_size[v->span_class >> 1];
	before = m->objects;
	first = v->count;
	do {
		size_t n = s->scanner->objects(&scan, size, v->fresh,
					       hs_bit_words(v->span_class), s->found);

		m->words += v->count * size / 8;
		hs_spans_see_found(m, s->found, n);
	} while (settle(m, v->page, v)); /* it may have pointed to others of its span */
	hs_pages_remove(&s->scan, v->page);
	s->local = m->objects - before > first;
	return true;
}

bool hs_spans_mark_noscan(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	struct hs_visit v;

	if (!s->noscan.count)
		return false;
	for (int i = 0; i < NOSCAN_BATCH && s->noscan.count; i++)
		settle(m, hs_pages_take(&s->noscan), &v);
	return true;
}
