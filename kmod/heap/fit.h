/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Blocks by the length of their longest free run: where is the next one with
 * room for a span?
 */
#ifndef _HUGESPAN_HEAP_FIT_H
#define _HUGESPAN_HEAP_FIT_H

/**
 * struct hspan_fit - a tournament of blocks, won by the longest free run
 * @longest: a binary tree in an array: the block itself at @width + block, 0
 *	while it is not to be used; at n, the larger of 2 n and 2 n + 1
 * @width: a power of two, at least the number of blocks
 *
 * The heap lock protects it.
 */
struct hspan_fit {
	u16 *longest;
	u32 width;
};

#define HSPAN_FIT_NONE	(~0U)

int hspan_fit_init(struct hspan_fit *fit, u32 nr_blocks);
size_t hspan_fit_bytes(u32 nr_blocks);
void hspan_fit_exit(struct hspan_fit *fit);
void hspan_fit_set(struct hspan_fit *fit, u32 block, u32 longest);
u32 hspan_fit_get(const struct hspan_fit *fit, u32 block);
u32 hspan_fit_next(const struct hspan_fit *fit, u32 from, u32 npages);
u32 hspan_fit_best(const struct hspan_fit *fit, u32 npages);
unsigned int hspan_fit_verify(const struct hspan_fit *fit);

#endif /* _HUGESPAN_HEAP_FIT_H */
