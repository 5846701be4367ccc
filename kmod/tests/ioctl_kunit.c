// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of how ioctl structs of other sizes come in and go out.
 */
#include <linux/uaccess.h>

#include "../hugespan.h"
#include "user_mm.h"

/* The kernel's struct has 24 bytes here, the caller's 8 to 40. */
#define KSIZE	24

static struct hspan_call *new_call(struct kunit *test, unsigned long uarg,
				   size_t usize)
{
	struct hspan_call *call = kunit_kzalloc(test, sizeof(*call), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, call);
	memset(&call->arg, 0x77, sizeof(call->arg));
	call->uarg = (void __user *)uarg;
	call->usize = usize;
	call->ksize = KSIZE;
	return call;
}

static void read_sizes(struct kunit *test)
{
	static const size_t sizes[] = { 8, 16, 23, 24, 25, 32, 40 };
	unsigned long user;
	struct hspan_call *call;
	const u8 *bytes;
	unsigned int i;
	size_t at;

	kthread_use_mm(user_mm);
	user = user_mm_map(test, PAGE_SIZE);
	for (i = 0; i < KSIZE; i++)
		KUNIT_ASSERT_EQ(test, put_user(i + 1, (u8 __user *)user + i), 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		call = new_call(test, user, sizes[i]);
		bytes = (const u8 *)&call->arg;
		KUNIT_EXPECT_EQ(test, hspan_call_read(call), 0);
		for (at = 0; at < KSIZE; at++)
			KUNIT_EXPECT_EQ(test, (size_t)bytes[at],
					at < sizes[i] ? at + 1 : 0);
		KUNIT_EXPECT_EQ(test, bytes[KSIZE], 0x77);
	}
	vm_munmap(user, PAGE_SIZE);
	kthread_unuse_mm(user_mm);
}

static void read_unknown_tail(struct kunit *test)
{
	unsigned long user;
	size_t at;

	kthread_use_mm(user_mm);
	user = user_mm_map(test, PAGE_SIZE);
	for (at = KSIZE; at < 40; at++) {
		u8 __user *byte = (u8 __user *)user + at;

		KUNIT_ASSERT_EQ(test, put_user(1, byte), 0);
		KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, user, 40)),
				-E2BIG);
		KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, user, at)),
				0);
		KUNIT_ASSERT_EQ(test, put_user(0, byte), 0);
	}
	vm_munmap(user, PAGE_SIZE);
	kthread_unuse_mm(user_mm);
}

static void read_faults(struct kunit *test)
{
	unsigned long user, end;

	kthread_use_mm(user_mm);
	user = user_mm_map(test, PAGE_SIZE);
	end = user + PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, 0, 24)), -EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, end - 23, 24)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, end - 24, 24)), 0);
	KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, end - 24, 25)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_read(new_call(test, end - 8, 8)), 0);
	vm_munmap(user, PAGE_SIZE);
	kthread_unuse_mm(user_mm);
}

static void write_sizes(struct kunit *test)
{
	static const size_t sizes[] = { 8, 16, 23, 24, 25, 32, 40 };
	unsigned long user;
	unsigned int i;
	size_t at;
	u8 byte;

	kthread_use_mm(user_mm);
	user = user_mm_map(test, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (at = 0; at < 48; at++)
			KUNIT_ASSERT_EQ(test,
					put_user(0xee, (u8 __user *)user + at),
					0);
		KUNIT_EXPECT_EQ(test,
				hspan_call_write(new_call(test, user, sizes[i])),
				0);
		for (at = 0; at < 48; at++) {
			KUNIT_ASSERT_EQ(test,
					get_user(byte, (u8 __user *)user + at),
					0);
			KUNIT_EXPECT_EQ(test, byte, at >= sizes[i] ? 0xee :
						    at >= KSIZE ? 0 : 0x77);
		}
	}
	vm_munmap(user, PAGE_SIZE);
	kthread_unuse_mm(user_mm);
}

static void write_faults(struct kunit *test)
{
	struct hspan_call *call;
	unsigned long user, end;

	kthread_use_mm(user_mm);
	user = user_mm_map(test, PAGE_SIZE);
	end = user + PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, hspan_call_write(new_call(test, 0, 24)), -EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_write(new_call(test, end - 8, 24)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_write(new_call(test, end - 24, 32)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, hspan_call_write(new_call(test, end - 24, 24)), 0);
	/* Once only, and not at all if there is nothing to tell. */
	call = new_call(test, 0, 24);
	call->written = true;
	KUNIT_EXPECT_EQ(test, hspan_call_write(call), 0);
	vm_munmap(user, PAGE_SIZE);
	kthread_unuse_mm(user_mm);
}

static struct kunit_case ioctl_cases[] = {
	KUNIT_CASE(read_sizes),
	KUNIT_CASE(read_unknown_tail),
	KUNIT_CASE(read_faults),
	KUNIT_CASE(write_sizes),
	KUNIT_CASE(write_faults),
	{}
};

static struct kunit_suite ioctl_suite = {
	.name = "hugespan-ioctl",
	.suite_init = user_mm_suite_init,
	.suite_exit = user_mm_suite_exit,
	.init = user_mm_init,
	.test_cases = ioctl_cases,
};

kunit_test_suite(ioctl_suite);
