// SPDX-License-Identifier: MIT
/*
 * The sizes of slots, and how many pages a span of each has.
 *
 * Eight sizes to a doubling up to 2 KiB, four above: what is asked for fills a
 * slot to 8/9 or 4/5 at worst.  Every size of 16 and more is a multiple of 16,
 * as malloc() has to align for any type.
 */
#include "hm.h"

struct hm_class hm_classes[HM_NR_CLASSES];
uint8_t hm_class_of8[HM_NR_DIRECT];
uint8_t hm_class_of128[HM_SMALL_MAX / 128 + 1];

#define EXTEND	  4096u /* bytes of fresh slots to put on the free list at once */
#define FEW_SLOTS 4	/* a span has at least as many if it can */

static uint32_t next_size(uint32_t size)
{
	uint32_t doubling = 31 - (uint32_t)__builtin_clz(size);

	if (size < 16)
		return 16;
	if (size < 128)
		return size + 16;
	return size + (1u << (doubling - (size < 2048 ? 3 : 2)));
}

/* No more than an eighth of the span is left over behind the last slot. */
static bool fits(uint32_t pages, uint32_t size)
{
	uint32_t bytes = pages << HSPAN_PAGE_SHIFT;

	return bytes >= size && bytes % size <= bytes / 8;
}

static void settle(struct hm_class *c)
{
	uint32_t pages = 1;

	while (pages < HM_SLAB_PAGES / 2 &&
	       (!fits(pages, c->size) || (pages << HSPAN_PAGE_SHIFT) / c->size < FEW_SLOTS))
		pages++;
	while (!fits(pages, c->size))
		pages++;
	c->extend = (uint16_t)(c->size < EXTEND ? EXTEND / c->size : 1);
	c->pages = (uint8_t)pages;
	while (pages * 2 <= HM_SLAB_PAGES / 2)
		pages *= 2;
	c->max_pages = (uint8_t)pages;
}

static void fill_lookup(unsigned int size_class, uint32_t above, uint32_t size)
{
	for (uint32_t n = above + 1; n <= size; n++) {
		if (n <= HM_DIRECT_MAX)
			hm_class_of8[(n + 7) / 8] = (uint8_t)size_class;
		else
			hm_class_of128[(n + 127) / 128] = (uint8_t)size_class;
	}
}

void hm_classes_init(void)
{
	uint32_t size = 8, above = 0;

	for (unsigned int i = 1; i < HM_NR_CLASSES; i++) {
		hm_classes[i].size = size;
		settle(&hm_classes[i]);
		fill_lookup(i, above, size);
		above = size;
		size = next_size(size);
	}
	hm_class_of8[0] = 1;
}
