/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies of the ABI's small structs from and to user memory, one or an array.
 *
 * What the general functions do besides, for objects of any size and origin,
 * takes longer than the whole of a get or a put.  Here both are known: structs
 * are of two or three words, and kernel memory is the caller's own.
 */
#ifndef _HUGESPAN_USERCOPY_H
#define _HUGESPAN_USERCOPY_H

#include <linux/errno.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#define HSPAN_WORDS_OK(size)	((size) == 2 * sizeof(u64) || \
				 (size) == 3 * sizeof(u64))

/**
 * hspan_copy_in() - read structs of user memory
 * @to: where they go
 * @from: where they are
 * @nr: how many
 * @size: bytes of one, a constant
 *
 * Return: 0 or -EFAULT.
 */
static __always_inline int hspan_copy_in(void *to, const void __user *from,
					 u32 nr, size_t size)
{
	const u64 __user *src = from;
	u64 *dst = to;

	BUILD_BUG_ON(!HSPAN_WORDS_OK(size));
	might_fault();
	if (should_fail_usercopy() || !user_read_access_begin(src, nr * size))
		return -EFAULT;
	for (; nr; nr--) {
		unsafe_get_user(dst[0], &src[0], fault);
		unsafe_get_user(dst[1], &src[1], fault);
		if (size > 2 * sizeof(*dst))
			unsafe_get_user(dst[2], &src[2], fault);
		src += size / sizeof(*src);
		dst += size / sizeof(*dst);
	}
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/**
 * hspan_copy_out() - write structs to user memory
 * @to: where they go
 * @from: where they are; no byte of them may be unset
 * @nr: how many
 * @size: bytes of one, a constant
 *
 * Return: 0 or -EFAULT.
 */
static __always_inline int hspan_copy_out(void __user *to, const void *from,
					  u32 nr, size_t size)
{
	u64 __user *dst = to;
	const u64 *src = from;

	BUILD_BUG_ON(!HSPAN_WORDS_OK(size));
	might_fault();
	if (should_fail_usercopy() || !user_write_access_begin(dst, nr * size))
		return -EFAULT;
	for (; nr; nr--) {
		unsafe_put_user(src[0], &dst[0], fault);
		unsafe_put_user(src[1], &dst[1], fault);
		if (size > 2 * sizeof(*src))
			unsafe_put_user(src[2], &dst[2], fault);
		src += size / sizeof(*src);
		dst += size / sizeof(*dst);
	}
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

#endif /* _HUGESPAN_USERCOPY_H */
