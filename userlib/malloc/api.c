// SPDX-License-Identifier: MIT
/* The calls of malloc() and its kin, with the paths that are taken mostly. */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "hm.h"

#define API HM_EXPORT __attribute__((used))

static HM_COLD void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static __attribute__((__noinline__)) void *malloc_slow(size_t size)
{
	bool zeroed = false;
	void *p = hm_alloc(size, &zeroed);

	return likely(p) ? p : no_memory();
}

/* Sizes above HM_DIRECT_MAX that have a class. */
static inline struct hm_span *first_span(size_t size)
{
	return hm_self->bin[hm_class_of128[(size + 127) / 128]].first;
}

API void *malloc(size_t size)
{
	struct hm_span *span;
	void *p;

	if (likely(size <= HM_DIRECT_MAX))
		span = hm_self->direct[(size + 7) / 8];
	else if (size <= HM_SMALL_MAX)
		span = first_span(size);
	else
		return malloc_slow(size);
	p = hm_pop(span);
	return likely(p) ? p : malloc_slow(size);
}

/* The last slot in use of a span, or the first freed of a full one. */
static __attribute__((__noinline__)) void freed_last(struct hm_span *span)
{
	hm_left_zero(span);
	if (unlikely(hm_load(&hm_purge_wanted)))
		hm_purge_start();
}

static inline __attribute__((always_inline)) void free_inline(void *p)
{
	size_t size = hm_load_acquire(&hm.fast_size); /* before base: see init.c */
	uintptr_t off = (uintptr_t)p - hm_load(&hm.base);
	struct hm_slot *slot = p;
	struct hm_span *span;

	if (unlikely(off >= size)) {
		if (p)
			hm_free_slow(p);
		return;
	}
	span = hm_load(&hm.span_of[off >> HSPAN_PAGE_SHIFT]);
	if (unlikely(hm_load(&span->heap) != hm_self)) {
		hm_free_other(span, p);
		return;
	}
	slot->next = span->free;
	span->free = slot;
	if (unlikely(--span->left == 0))
		freed_last(span);
}

void hm_free(void *p)
{
	free_inline(p);
}

API void free(void *p)
{
	free_inline(p);
}

/* Fresh memory is zero but for the link of a free slot. */
static void *calloc_slow(size_t size)
{
	bool zeroed = false;
	void *p = hm_alloc(size, &zeroed);

	if (!p)
		return no_memory();
	return memset(p, 0,
		      zeroed && size > sizeof(struct hm_slot) ? sizeof(struct hm_slot) : size);
}

API void *calloc(size_t n, size_t each)
{
	size_t size;
	void *p = NULL;

	if (__builtin_mul_overflow(n, each, &size))
		return no_memory();
	if (likely(size <= HM_DIRECT_MAX))
		p = hm_pop(hm_self->direct[(size + 7) / 8]);
	else if (size <= HM_SMALL_MAX)
		p = hm_pop(first_span(size));
	return likely(p) ? memset(p, 0, size) : calloc_slow(size);
}

API void *realloc(void *p, size_t size)
{
	if (!p)
		return malloc(size);
	if (!size) {
		free(p);
		return NULL;
	}
	p = hm_realloc(p, size);
	return likely(p) ? p : no_memory();
}

API void *reallocarray(void *p, size_t n, size_t each)
{
	size_t size;

	return __builtin_mul_overflow(n, each, &size) ? no_memory() : realloc(p, size);
}

static bool power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

static void *aligned(size_t align, size_t size)
{
	void *p;

	if (!power_of_two(align)) {
		errno = EINVAL;
		return NULL;
	}
	p = hm_alloc_aligned(align, size);
	return likely(p) ? p : no_memory();
}

API void *aligned_alloc(size_t align, size_t size)
{
	return aligned(align, size);
}

API void *memalign(size_t align, size_t size)
{
	return aligned(align, size);
}

API int posix_memalign(void **out, size_t align, size_t size)
{
	int saved = errno;
	void *p;

	if (!power_of_two(align) || align % sizeof(void *))
		return EINVAL;
	p = aligned(align, size);
	errno = saved;
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

API void *valloc(size_t size)
{
	return aligned((size_t)sysconf(_SC_PAGESIZE), size);
}

API void *pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return size > SIZE_MAX - page ? no_memory()
				      : aligned(page, (size + page - 1) & ~(page - 1));
}

API size_t malloc_usable_size(void *p)
{
	return p ? hm_usable(p) : 0;
}
