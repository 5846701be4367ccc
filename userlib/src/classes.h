/* SPDX-License-Identifier: MIT */
/* Figures by size class: what the allocator tells of what it takes. */
#ifndef HS_CLASSES_H
#define HS_CLASSES_H

#include "internal.h"

/* @t takes @n objects of a size class, or, if negative, gives some back unused. */
static inline void hs_classes_take(struct hs_thread *t, uint32_t size_class, int32_t n)
{
	hs_set(&t->taken[size_class], t->taken[size_class] + (uint64_t)(int64_t)n);
}

/* @t is leaving; with hs.threads_lock held. */
void hs_classes_leave(const struct hs_thread *t);

void hs_classes_reset(void);

#endif /* HS_CLASSES_H */
