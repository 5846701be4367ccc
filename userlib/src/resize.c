// SPDX-License-Identifier: MIT
/* Objects at an address asked for, and objects that become larger or smaller. */
#include <errno.h>
#include <string.h>

#include "bits.h"
#include "pacer.h"
#include "profile.h"

#define ALIGNMENT_MOST HSPAN_BLOCK_SIZE

static void *alloc(size_t size, bool noscan)
{
	return noscan ? hspan_alloc_noscan(size) : hspan_alloc(size);
}

/*
 * Spans begin on a page, so slots of a class whose size is a multiple of the
 * alignment are aligned, and so is a large object up to a page.  There is such a
 * class: the powers of two are.
 */
static size_t aligned_size(size_t alignment, size_t size)
{
	unsigned int cls;

	if (size > HSPAN_SMALL_MAX)
		return size;
	for (cls = hspan_size_class(size); hspan_class_size[cls] & (alignment - 1); cls++)
		;
	return hspan_class_size[cls];
}

/*
 * Beyond a page: enough for there to be such an address in it.  A span of a whole
 * block or more begins with a block.
 */
static size_t room_for(size_t alignment, size_t size)
{
	size_t any = size + alignment - HSPAN_PAGE_SIZE;

	if (size >= HSPAN_BLOCK_SIZE)
		return size;
	if (any <= HSPAN_SMALL_MAX) /* slots begin anywhere */
		return size + alignment;
	return any < HSPAN_BLOCK_SIZE ? any : HSPAN_BLOCK_SIZE;
}

static void *alloc_aligned(size_t alignment, size_t size, bool noscan)
{
	uintptr_t p;

	if (!alignment || alignment & (alignment - 1) || alignment > ALIGNMENT_MOST) {
		errno = EINVAL;
		return NULL;
	}
	if (!size)
		size = 1;
	if (alignment <= HSPAN_PAGE_SIZE)
		return alloc(aligned_size(alignment, size), noscan);
	if (size > SIZE_MAX - alignment) {
		errno = ENOMEM;
		return NULL;
	}
	p = (uintptr_t)alloc(room_for(alignment, size), noscan);
	return p ? (void *)((p + alignment - 1) & ~(alignment - 1)) : NULL;
}

HS_EXPORT void *hspan_alloc_aligned(size_t alignment, size_t size)
{
	return alloc_aligned(alignment, size, false);
}

HS_EXPORT void *hspan_alloc_noscan_aligned(size_t alignment, size_t size)
{
	return alloc_aligned(alignment, size, true);
}

/*
 * Take the @more pages behind the @have that a large object has, if they are
 * free.  Nobody looks at them before the object's size says that they are its.
 */
static bool add_pages(const struct hs_object *o, uint64_t have, uint64_t more, bool *zeroed)
{
	struct hs_thread *t = hs_tls.self;
	uint32_t dirty;
	bool done;

	if (!hs.backend->span_extend || t == &hs_nobody || hs.forked || more >= HSPAN_BLOCK_PAGES)
		return false;
	hs_enter();
	done = hs.backend->span_extend(o->page, (uint32_t)have, (uint32_t)more, &dirty);
	if (done) {
		if (!(o->span_class & 1) && hs_load(&hs.layout_used))
			memset(hs_plane1(o->page + (uint32_t)have), 0, more * HSPAN_BITS_STRIDE);
		hs_set(&hs_plane0(o->page)[HS_LARGE_PAGES_WORD], have + more);
		hs_pacer_charge(t, more << HSPAN_PAGE_SHIFT);
	}
	hs_leave();
	*zeroed = !dirty;
	return done;
}

/*
 * A large object grows within its pages, or into those behind; what it gains is
 * zero before a marker may look at it.  It is never told to be smaller: a marker
 * may be at its end.
 */
static bool grow_large(const struct hs_object *o, size_t old, size_t size)
{
	uint64_t *bits = hs_plane0(o->page), have = hs_load(&bits[HS_LARGE_PAGES_WORD]);
	size_t new = (size + 7) & ~7ul, room = have << HSPAN_PAGE_SHIFT, dirty = new;
	bool zeroed;

	if (new < size)
		return false; /* more than there is of anything */
	if (new > room) {
		if (!add_pages(o, have, hs_pages(new) - have, &zeroed))
			return false;
		if (zeroed)
			dirty = room;
	}
	if (!(o->span_class & 1) && dirty > old)
		memset((char *)o->base + old, 0, dirty - old);
	hs_set_release(&bits[HS_LARGE_SIZE_WORD], new);
	return true;
}

/* Is there room where it is, and not too much of it? */
static bool fits(const struct hs_object *o, size_t old, size_t size)
{
	if (size > old)
		return o->span_class < 2 && grow_large(o, old, size);
	return size > old / 2 || old <= 16;
}

/*
 * Stores into the new object need no barrier: nobody else sees it, and it is
 * zero.  The old one is on the caller's stack, so what it holds is seen there.
 */
HS_EXPORT void *hspan_realloc(void *ptr, size_t size)
{
	struct hs_object o;
	size_t old;
	void *new;

	if (!size)
		size = 1;
	if (!ptr)
		return hspan_alloc(size);
	if (!hs.ready || !hs_find((uintptr_t)ptr, &o) || !hs_is_allocated(&o) ||
	    o.base != (uintptr_t)ptr) {
		errno = EINVAL;
		return NULL;
	}
	old = hs_object_size(&o);
	if (fits(&o, old, size))
		return ptr;
	new = alloc(size, o.span_class & 1);
	if (new)
		hs_profile_given_up(o.base);
	return new ? memcpy(new, ptr, old < size ? old : size) : NULL;
}
