/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Size classes: which object sizes exist, how many pages a span of each has,
 * and how to get from a size or an offset to a class or a slot.
 *
 * The table itself is sizeclass_table.h, written by gen-sizeclasses.py.
 */
#ifndef _HUGESPAN_SIZECLASS_H
#define _HUGESPAN_SIZECLASS_H

#include "sizeclass_table.h"

/*
 * Provided by the generated table:
 *	HSPAN_NR_SIZE_CLASSES	including class 0 (large)
 *	HSPAN_NR_SPAN_CLASSES	twice that
 *	HSPAN_SMALL_MAX		largest small object (32768)
 *	hspan_class_size[]	bytes of an object, by size class
 *	hspan_class_pages[]	pages of a span
 *	hspan_class_nelems[]	objects in a span
 *	hspan_class_magic[]	u32: slot of byte offset @off in a span
 *				= ((u64)off * magic) >> 32, exact for every
 *				off < pages * 8 KiB
 *	hspan_size_to_class8[]	by (size + 7) / 8, for size <= 1024 - 8
 *	hspan_size_to_class128[]	by (size - 1024 + 127) / 128, for larger
 * all `static const`, of the narrowest unsigned type that holds them.
 */

static inline unsigned int hspan_size_class(unsigned long size)
{
	if (size <= 1024 - 8)
		return hspan_size_to_class8[(size + 7) >> 3];
	return hspan_size_to_class128[(size - 1024 + 127) >> 7];
}

static inline unsigned int hspan_slot_of(unsigned int size_class,
					 unsigned long off)
{
	return (unsigned int)(((unsigned long long)off *
			       hspan_class_magic[size_class]) >> 32);
}

#endif /* _HUGESPAN_SIZECLASS_H */
