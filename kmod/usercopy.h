/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies of the ABI's small structs from and to user memory, one or an array.
 *
 * What the general functions do besides, for objects of any size and origin,
 * takes longer than the whole of a get or a put.  Here both are known: structs
 * are of two or three words, and kernel memory is the caller's own.  Arrays go
 * by pairs, as counting takes a good part of a copy this small.
 */
#ifndef _HUGESPAN_USERCOPY_H
#define _HUGESPAN_USERCOPY_H

#include <linux/errno.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/hugespan.h>

/**
 * hspan_words_in() - read a struct of two or three words
 * @word: that many, where gcc may keep them in registers
 * @from: where it is
 * @nr: how many, a constant
 *
 * Return: 0 or -EFAULT.
 */
static __always_inline int hspan_words_in(u64 *word, const void __user *from,
					  unsigned int nr)
{
	const u64 __user *src = from;

	BUILD_BUG_ON(nr != 2 && nr != 3);
	might_fault();
	if (should_fail_usercopy() ||
	    !user_read_access_begin(src, nr * sizeof(*src)))
		return -EFAULT;
	unsafe_get_user(word[0], &src[0], fault);
	unsafe_get_user(word[1], &src[1], fault);
	if (nr > 2)
		unsafe_get_user(word[2], &src[2], fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/* Write one span, field by field, from wherever gcc has them. */
static __always_inline int hspan_span_out(struct hspan_span __user *to,
					  const struct hspan_span *from)
{
	might_fault();
	if (should_fail_usercopy() || !user_write_access_begin(to, sizeof(*to)))
		return -EFAULT;
	unsafe_put_user(from->page, &to->page, fault);
	unsafe_put_user(from->npages, &to->npages, fault);
	unsafe_put_user(from->span_class, &to->span_class, fault);
	unsafe_put_user(from->flags, &to->flags, fault);
	unsafe_put_user(from->nfree, &to->nfree, fault);
	unsafe_put_user(from->sweepgen, &to->sweepgen, fault);
	unsafe_put_user(0, &to->reserved, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

#define hspan_word_out(i)	unsafe_put_user(src[i], &dst[i], fault)

/**
 * hspan_spans_out() - write spans
 * @to: where they go
 * @from: where they are; no byte of them may be unset
 * @nr: how many
 *
 * Return: 0 or -EFAULT.
 */
static inline int hspan_spans_out(struct hspan_span __user *to,
				  const struct hspan_span *from, u32 nr)
{
	const u64 *src = (const u64 *)from, *end;
	u64 __user *dst = (u64 __user *)to;

	BUILD_BUG_ON(sizeof(*from) != 3 * sizeof(*src));
	might_fault();
	if (should_fail_usercopy() ||
	    !user_write_access_begin(to, nr * sizeof(*to)))
		return -EFAULT;
	for (end = src + (nr & ~1U) * 3; src < end; src += 6) {
		hspan_word_out(0);
		hspan_word_out(1);
		hspan_word_out(2);
		hspan_word_out(3);
		hspan_word_out(4);
		hspan_word_out(5);
		dst += 6;
	}
	if (nr & 1) {
		hspan_word_out(0);
		hspan_word_out(1);
		hspan_word_out(2);
	}
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

#undef hspan_word_out

#define hspan_word_in(i) do {					\
	u64 word_;						\
								\
	unsafe_get_user(word_, &src[i], fault);			\
	dst[i] = word_;						\
	if ((i) & 1)						\
		seen |= word_;					\
} while (0)

/**
 * hspan_puts_in() - read entries to put
 * @to: where they go
 * @from: where they are
 * @nr: how many
 * @clear: set if each says already that it was not refused
 *
 * Return: 0 or -EFAULT.
 */
static inline int hspan_puts_in(struct hspan_put *to,
				const struct hspan_put __user *from, u32 nr,
				bool *clear)
{
	const u64 __user *src = (const u64 __user *)from;
	u64 *dst = (u64 *)to, *end = (u64 *)(to + (nr & ~1U)), seen = 0;

	BUILD_BUG_ON(sizeof(*to) != 2 * sizeof(*dst));
	might_fault();
	if (should_fail_usercopy() ||
	    !user_read_access_begin(from, nr * sizeof(*from)))
		return -EFAULT;
	for (; dst < end; dst += 4) {
		hspan_word_in(0);
		hspan_word_in(1);
		hspan_word_in(2);
		hspan_word_in(3);
		src += 4;
	}
	if (nr & 1) {
		hspan_word_in(0);
		hspan_word_in(1);
	}
	user_read_access_end();
	*clear = !upper_32_bits(seen);
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

#undef hspan_word_in

/* Write all that may have changed in entries. */
static inline int hspan_puts_out(struct hspan_put __user *to,
				 const struct hspan_put *from, u32 nr)
{
	u32 i;

	might_fault();
	if (should_fail_usercopy() ||
	    !user_write_access_begin(to, nr * sizeof(*to)))
		return -EFAULT;
	for (i = 0; i < nr; i++)
		unsafe_put_user(from[i].error, &to[i].error, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

#endif /* _HUGESPAN_USERCOPY_H */
