/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user address space for KUnit tests: that of the process which loads the
 * module.  Suites run in it, but each test in a kernel thread that borrows it.
 */
#ifndef HUGESPAN_TEST_USER_MM_H
#define HUGESPAN_TEST_USER_MM_H

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

static struct mm_struct *user_mm;

static int user_mm_suite_init(struct kunit_suite *suite)
{
	user_mm = current->mm;
	if (user_mm)
		mmget(user_mm);
	return 0;
}

static void user_mm_suite_exit(struct kunit_suite *suite)
{
	if (user_mm)
		mmput(user_mm);
	user_mm = NULL;
}

static int user_mm_init(struct kunit *test)
{
	if (!user_mm)
		kunit_skip(test, "no process to borrow an address space from");
	return 0;
}

/* Anonymous memory with nothing mapped behind its end. */
static inline unsigned long user_mm_map(struct kunit *test, unsigned long size)
{
	unsigned long addr;

	addr = vm_mmap(NULL, 0, size + PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, vm_munmap(addr + size, PAGE_SIZE), 0);
	return addr;
}

#endif /* HUGESPAN_TEST_USER_MM_H */
