// SPDX-License-Identifier: MIT
/* See walk.h. */
#include <sys/mman.h>

#include "walk.h"

#define STACK_BYTES (16ul << 30) /* of addresses; touched as needed */

static size_t seen_size(void)
{
	return (hs.size >> HSPAN_PAGE_SHIFT) * HSPAN_BITS_STRIDE;
}

bool hs_walk_begin(struct hs_walk *w)
{
	w->depth = 0;
	w->in_object = false;
	if (w->seen) {
		madvise(w->seen, seen_size(), MADV_DONTNEED);
		return true;
	}
	w->seen = hs_map(seen_size());
	w->stack = hs_map(STACK_BYTES);
	if (w->seen && w->stack)
		return true;
	hs_walk_end(w);
	return false;
}

void hs_walk_end(struct hs_walk *w)
{
	hs_unmap(w->seen, seen_size());
	hs_unmap(w->stack, STACK_BYTES);
	w->seen = NULL;
	w->stack = NULL;
}

static uint64_t *word_of(const struct hs_walk *w, const struct hs_object *o)
{
	return (uint64_t *)(w->seen + (size_t)o->page * HSPAN_BITS_STRIDE) + (o->slot >> 6);
}

bool hs_walk_has_seen(const struct hs_walk *w, const struct hs_object *o)
{
	return *word_of(w, o) >> (o->slot & 63) & 1;
}

void hs_walk_word(struct hs_walk *w, uintptr_t word, uintptr_t where)
{
	struct hs_object o;

	if (!hs_find(word, &o) || !hs_is_allocated(&o) || hs_walk_has_seen(w, &o))
		return;
	*word_of(w, &o) |= 1ull << (o.slot & 63);
	w->found(w, &o, word, where);
	if (!(o.span_class & 1))
		w->stack[w->depth++] = o.base;
}

static bool is_pointer(const struct hs_object *o, const uintptr_t *p)
{
	size_t i = (size_t)((uintptr_t)p - (uintptr_t)hs_page_address(o->page)) >> 3;

	return !hs.typed || o->span_class >> 1 == 1 || !(hs_plane1(o->page)[i >> 6] >> (i & 63) & 1);
}

__attribute__((no_sanitize("address", "thread")))
void hs_walk_on(struct hs_walk *w)
{
	struct hs_object o;

	w->in_object = true;
	while (w->depth) {
		uintptr_t base = w->stack[--w->depth];
		uintptr_t *end;

		if (!hs_find(base, &o))
			continue;
		end = (uintptr_t *)(base + hs_object_size(&o));
		for (uintptr_t *p = (uintptr_t *)base; p < end; p++)
			if (is_pointer(&o, p))
				hs_walk_word(w, *(volatile uintptr_t *)p, (uintptr_t)p);
	}
	w->in_object = false;
}

__attribute__((no_sanitize("address", "thread")))
void hs_walk_range(struct hs_walk *w, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t *p = (uintptr_t *)(lo & ~7ul); p < (uintptr_t *)hi; p++)
		hs_walk_word(w, *(volatile uintptr_t *)p, (uintptr_t)p);
	hs_walk_on(w);
}
