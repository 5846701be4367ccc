// SPDX-License-Identifier: MIT
/* Objects that exist: their start and size, types, and giving them up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "pacer.h"
#include "profile.h"

/**
 * struct hspan_type - which words hold pointers
 * @size: bytes of one object
 * @words: of @layout
 * @noscan: none does
 * @layout: a set bit = no pointer, as plane 1 has it
 */
struct hspan_type {
	size_t size;
	size_t words;
	bool noscan;
	uint64_t layout[];
};

static bool find_allocated(const void *ptr, struct hs_object *o)
{
	return hs.ready && hs_find((uintptr_t)ptr, o) && hs_is_allocated(o) &&
	       (uintptr_t)ptr - o->base < hs_object_size(o);
}

HS_EXPORT void *hspan_base(const void *ptr)
{
	struct hs_object o;

	return find_allocated(ptr, &o) ? (void *)o.base : NULL;
}

HS_EXPORT size_t hspan_usable_size(const void *ptr)
{
	struct hs_object o;

	return find_allocated(ptr, &o) ? hs_object_size(&o) : 0;
}

/*
 * A free slot of a span that this thread allocates from is used again soon;
 * any other waits for the next sweep, which is going to find it white.
 */
HS_EXPORT void hspan_free(void *ptr)
{
	struct hs_thread *t = hs_tls.self;
	struct hs_object o;

	if (!ptr || t == &hs_nobody || hs.forked)
		return;
	hs_profile_freed((uintptr_t)ptr);
	hs_enter();
	if (!hs_load(&hs.marking) && find_allocated(ptr, &o) && o.base == (uintptr_t)ptr &&
	    o.span_class > 1) {
		struct hs_held *held = &t->held[o.span_class];

		if (held->page == o.page && held->sweepgen == hs_sweepgen()) {
			if (hs.config.debug & HSPAN_DEBUG_CLOBBER)
				memset(ptr, 0xdb, hs_object_size(&o));
			hs_clear_bits(hs_alloc_bits(o.page, o.span_class), o.slot, o.slot + 1);
			held->zeroed = false;
			if (o.slot < held->next)
				held->next = o.slot;
			hs_pacer_refund(hs_object_size(&o));
		}
	}
	hs_leave();
}

HS_EXPORT struct hspan_type *hspan_type_create(size_t size, const uint64_t *bitmap, size_t nbits)
{
	size_t words = size / 8;
	struct hspan_type *type;

	if (!size || (nbits && !bitmap) || nbits > words) {
		errno = EINVAL;
		return NULL;
	}
	type = malloc(sizeof(*type) + (words + 63) / 64 * 8);
	if (!type)
		return NULL;
	type->size = size;
	type->words = words;
	type->noscan = true;
	memset(type->layout, 0xff, (words + 63) / 64 * 8);
	for (size_t i = 0; i < nbits; i++) {
		if (bitmap[i / 64] >> (i % 64) & 1) {
			type->layout[i / 64] &= ~(1ull << (i % 64));
			type->noscan = false;
		}
	}
	return type;
}

HS_EXPORT void hspan_type_destroy(struct hspan_type *type)
{
	free(type);
}

/*
 * Until its layout is written an object is scanned conservatively, which is
 * safe at any time: it is zero.  Neighbours share layout words, hence atomics.
 */
static __attribute__((noinline)) void write_layout(const struct hspan_type *type, const void *p, size_t n)
{
	struct hs_object o;
	uint64_t *bits;
	size_t at;

	if (!hs_find((uintptr_t)p, &o) || o.span_class >> 1 == 1)
		return;
	bits = hs_plane1(o.page);
	at = (o.base - (uintptr_t)hs_page_address(o.page)) >> 3;
	for (size_t k = 0; k < n; k++) {
		for (size_t w = 0; w < type->words; w += 64) {
			size_t left = type->words - w;
			uint64_t word = type->layout[w / 64] & (left < 64 ? (1ull << left) - 1 : ~0ull);
			size_t pos = at + k * type->words + w;

			__atomic_fetch_or(&bits[pos >> 6], word << (pos & 63), __ATOMIC_RELAXED);
			if (pos & 63 && word >> (64 - (pos & 63)))
				__atomic_fetch_or(&bits[(pos >> 6) + 1], word >> (64 - (pos & 63)),
						  __ATOMIC_RELAXED);
		}
	}
}

HS_EXPORT void *hspan_alloc_array(const struct hspan_type *type, size_t n)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(type->size, n, &bytes) || (n > 1 && type->size % 8)) {
		errno = n > 1 && type->size % 8 ? EINVAL : ENOMEM;
		return NULL;
	}
	if (type->noscan) {
		p = hspan_alloc_noscan(bytes);
		return p ? memset(p, 0, bytes) : NULL;
	}
	if (unlikely(!hs_load(&hs.typed))) {
		__atomic_store_n(&hs.layout_used, true, __ATOMIC_SEQ_CST);
		__atomic_store_n(&hs.typed, true, __ATOMIC_SEQ_CST);
	}
	p = hspan_alloc(bytes);
	if (p) {
		hs_begin_slow();
		write_layout(type, p, n);
		hs_end_slow();
	}
	return p;
}

HS_EXPORT void *hspan_alloc_typed(const struct hspan_type *type)
{
	return hspan_alloc_array(type, 1);
}
