/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies of whole words from and to user memory, for structs of the ABI.
 *
 * What the general functions do besides, for objects of any size and origin,
 * takes longer than the whole of a get or a put.  Here both are known: sizes
 * are multiples of 8 and checked by the caller, kernel memory is his own.
 */
#ifndef _HUGESPAN_USERCOPY_H
#define _HUGESPAN_USERCOPY_H

#include <linux/errno.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/uaccess.h>

/**
 * hspan_copy_in() - read words of user memory
 * @to: where they go
 * @from: where they are
 * @size: bytes, a multiple of 8
 *
 * Return: 0 or -EFAULT.
 */
static inline int hspan_copy_in(void *to, const void __user *from, size_t size)
{
	const u64 __user *src = from;
	u64 *dst = to;
	size_t i;

	might_fault();
	if (should_fail_usercopy() || !user_read_access_begin(src, size))
		return -EFAULT;
	for (i = 0; i < size / sizeof(*dst); i++)
		unsafe_get_user(dst[i], &src[i], fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/**
 * hspan_copy_out() - write words of user memory
 * @to: where they go
 * @from: where they are; no byte of it may be unset
 * @size: bytes, a multiple of 8
 *
 * Return: 0 or -EFAULT.
 */
static inline int hspan_copy_out(void __user *to, const void *from, size_t size)
{
	u64 __user *dst = to;
	const u64 *src = from;
	size_t i;

	might_fault();
	if (should_fail_usercopy() || !user_write_access_begin(dst, size))
		return -EFAULT;
	for (i = 0; i < size / sizeof(*src); i++)
		unsafe_put_user(src[i], &dst[i], fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

#endif /* _HUGESPAN_USERCOPY_H */
