// SPDX-License-Identifier: MIT
/*
 * libgc's debugging allocation, with nothing to debug by: an object is one of the
 * plain calls', with no header before it.
 */
#include "hg.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

size_t GC_get_debug_header_size(void)
{
	return 0;
}

void *GC_debug_malloc(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc(size);
}

void *GC_debug_malloc_atomic(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc_atomic(size);
}

void *GC_debug_malloc_uncollectable(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc_uncollectable(size);
}

void *GC_debug_malloc_atomic_uncollectable(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc_atomic_uncollectable(size);
}

void *GC_debug_malloc_stubborn(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc(size);
}

void *GC_debug_malloc_ignore_off_page(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc(size);
}

void *GC_debug_malloc_atomic_ignore_off_page(size_t size, GC_EXTRA_PARAMS)
{
	return GC_malloc_atomic(size);
}

void *GC_debug_malloc_replacement(size_t size)
{
	return GC_malloc(size);
}

void *GC_debug_realloc_replacement(void *p, size_t size)
{
	return GC_realloc(p, size);
}

void *GC_debug_generic_or_special_malloc(size_t size, int kind, GC_EXTRA_PARAMS)
{
	return GC_generic_malloc(size, kind);
}

void *GC_debug_realloc(void *p, size_t size, GC_EXTRA_PARAMS)
{
	return GC_realloc(p, size);
}

void GC_debug_free(void *p)
{
	GC_free(p);
}

char *GC_debug_strdup(const char *text, GC_EXTRA_PARAMS)
{
	return GC_strdup(text);
}

char *GC_debug_strndup(const char *text, size_t most, GC_EXTRA_PARAMS)
{
	return GC_strndup(text, most);
}

void GC_debug_change_stubborn(const void *p)
{
}

void GC_debug_end_stubborn_change(const void *p)
{
}

void GC_debug_register_displacement(size_t n)
{
}

void GC_ptr_store_and_dirty(void *p, const void *q)
{
	*(const void **)p = q;
}

void GC_debug_ptr_store_and_dirty(void *p, const void *q)
{
	*(const void **)p = q;
}

void GC_debug_register_finalizer(void *obj, GC_finalization_proc fn, void *data,
				 GC_finalization_proc *old_fn, void **old_data)
{
	GC_register_finalizer(obj, fn, data, old_fn, old_data);
}

void GC_debug_register_finalizer_ignore_self(void *obj, GC_finalization_proc fn, void *data,
					     GC_finalization_proc *old_fn, void **old_data)
{
	GC_register_finalizer_ignore_self(obj, fn, data, old_fn, old_data);
}

void GC_debug_register_finalizer_no_order(void *obj, GC_finalization_proc fn, void *data,
					  GC_finalization_proc *old_fn, void **old_data)
{
	GC_register_finalizer_no_order(obj, fn, data, old_fn, old_data);
}

void GC_debug_register_finalizer_unreachable(void *obj, GC_finalization_proc fn, void *data,
					     GC_finalization_proc *old_fn, void **old_data)
{
	GC_register_finalizer_unreachable(obj, fn, data, old_fn, old_data);
}
