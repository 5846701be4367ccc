/* SPDX-License-Identifier: MIT */
/*
 * Where an object's bits are: from any word to its object, and from an object
 * to its mark, allocation and layout bits.
 *
 * In plane 0 a span has HSPAN_BITS_STRIDE bytes a page: mark bits of its
 * slots from the start, allocation bits in the next whole words.  Objects of
 * 8 bytes fill the plane with their mark bits, so their allocation bits are in
 * plane 1, which they have no other use for: one word is always a pointer or
 * never.  In plane 1 every other span has a bit for each 8-byte word: set = no
 * pointer.  A large span has one slot, and keeps in plane 0 its size.
 */
#ifndef HS_BITS_H
#define HS_BITS_H

#include <string.h>

#include "internal.h"

#define HS_LARGE_SIZE_WORD 2 /* bytes the caller asked for, rounded up to 8 */
#define HS_LARGE_PAGES_WORD 3

/** struct hs_object - an object found by hs_find() */
struct hs_object {
	uintptr_t base;
	uint32_t page; /* of its span */
	uint32_t slot;
	uint32_t span_class;
};

static inline uint64_t *hs_plane0(uint32_t page)
{
	return (uint64_t *)(hs.bits + (size_t)page * HSPAN_BITS_STRIDE);
}

static inline uint64_t *hs_plane1(uint32_t page)
{
	return (uint64_t *)(hs.bits + (hs.size >> HSPAN_PAGE_SHIFT) * HSPAN_BITS_STRIDE +
			    (size_t)page * HSPAN_BITS_STRIDE);
}

static inline uint32_t hs_nelems(uint32_t span_class)
{
	return span_class < 2 ? 1 : hspan_class_nelems[span_class >> 1];
}

static inline uint32_t hs_bit_words(uint32_t span_class)
{
	return (hs_nelems(span_class) + 63) / 64;
}

static inline uint64_t *hs_mark_bits(uint32_t page)
{
	return hs_plane0(page);
}

static inline uint64_t *hs_alloc_bits(uint32_t page, uint32_t span_class)
{
	if (unlikely(span_class >> 1 == 1))
		return hs_plane1(page);
	return hs_plane0(page) + hs_bit_words(span_class);
}

static inline char *hs_page_address(uint32_t page)
{
	return (char *)(hs.base + ((uintptr_t)page << HSPAN_PAGE_SHIFT));
}

static inline bool hs_in_heap(uintptr_t word)
{
	return word - hs.base < hs.size;
}

/* Which object, if any, does @word point into?  It need not be allocated. */
static inline bool hs_find(uintptr_t word, struct hs_object *o)
{
	uintptr_t off = word - hs.base;
	uint32_t entry, page, slot = 0, cls;

	if (off >= hs.size)
		return false;
	entry = hs_load(&hs.page_map[off >> HSPAN_PAGE_SHIFT]);
	if (entry == HSPAN_PM_NONE)
		return false;
	page = HSPAN_PM_PAGE(entry);
	o->span_class = HSPAN_PM_CLASS(entry);
	o->page = page;
	cls = o->span_class >> 1;
	if (likely(cls)) {
		slot = hspan_slot_of(cls, off - ((uintptr_t)page << HSPAN_PAGE_SHIFT));
		if (unlikely(slot >= hspan_class_nelems[cls]))
			return false;
	}
	o->slot = slot;
	o->base = (uintptr_t)hs_page_address(page) + (uintptr_t)slot * hspan_class_size[cls];
	return true;
}

static inline bool hs_test_bit(const uint64_t *bits, uint32_t i)
{
	return hs_load(&bits[i >> 6]) >> (i & 63) & 1;
}

static inline bool hs_is_allocated(const struct hs_object *o)
{
	const uint64_t *bits = hs_alloc_bits(o->page, o->span_class);

	return hs_load_acquire(&bits[o->slot >> 6]) >> (o->slot & 63) & 1;
}

static inline bool hs_is_marked(const struct hs_object *o)
{
	return hs_test_bit(hs_mark_bits(o->page), o->slot);
}

/* Set a mark bit; true when it was clear. */
static inline bool hs_mark(const struct hs_object *o)
{
	uint64_t *word = &hs_mark_bits(o->page)[o->slot >> 6];
	uint64_t bit = 1ull << (o->slot & 63);

	if (hs_load(word) & bit)
		return false;
	return !(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit);
}

/* The part of word @w that bits [@from, @to) cover. */
static inline uint64_t hs_word_mask(uint32_t w, uint32_t from, uint32_t to)
{
	uint64_t mask = ~0ull;

	if (w == from >> 6)
		mask &= ~0ull << (from & 63);
	if (w == to >> 6)
		mask &= (1ull << (to & 63)) - 1;
	return mask;
}

static inline void hs_set_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
	for (uint32_t w = from >> 6; w < (to + 63) >> 6; w++) {
		uint64_t mask = hs_word_mask(w, from, to);

		if (mask == ~0ull)
			hs_set_release(&bits[w], mask);
		else
			__atomic_fetch_or(&bits[w], mask, __ATOMIC_RELEASE);
	}
}

/* The same where nobody else writes: allocation bits of a span that we hold. */
static inline void hs_set_own_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
	for (uint32_t w = from >> 6; w < (to + 63) >> 6; w++)
		hs_set_release(&bits[w], hs_load(&bits[w]) | hs_word_mask(w, from, to));
}

/* Most words have all bits set or none, and counting is a call on old CPUs. */
static inline uint32_t hs_count_bits(const uint64_t *bits, uint32_t words)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < words; w++) {
		uint64_t word = hs_load(&bits[w]);

		if (word)
			n += word == ~0ull ? 64 : (uint32_t)__builtin_popcountll(word);
	}
	return n;
}

static inline void hs_clear_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
	for (uint32_t w = from >> 6; w < (to + 63) >> 6; w++)
		__atomic_fetch_and(&bits[w], ~hs_word_mask(w, from, to), __ATOMIC_RELAXED);
}

/* First bit at or after @from that is clear (or set), or @end. */
static inline uint32_t hs_next_bit(const uint64_t *bits, uint32_t from, uint32_t end, bool set)
{
	uint64_t flip = set ? 0 : ~0ull;

	while (from < end) {
		uint64_t word = (hs_load(&bits[from >> 6]) ^ flip) >> (from & 63);

		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from | 63) + 1;
	}
	return end;
}

/* Pages that so many bytes need. */
static inline uint64_t hs_pages(size_t size)
{
	return (size + HSPAN_PAGE_SIZE - 1) >> HSPAN_PAGE_SHIFT;
}

static inline size_t hs_large_size(uint32_t page)
{
	return hs_load(&hs_plane0(page)[HS_LARGE_SIZE_WORD]);
}

/* Bytes from the start of the object to the end of what may be scanned. */
static inline size_t hs_object_size(const struct hs_object *o)
{
	if (unlikely(o->span_class < 2))
		return hs_large_size(o->page);
	return hspan_class_size[o->span_class >> 1];
}

#endif /* HS_BITS_H */
