// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of regions, faults and the way blocks leave an arena.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "../hugespan.h"
#include "user_mm.h"

#define TEST_BLOCKS	3

/**
 * struct mapping_test - an arena with a pool of its own, mapped
 * @pool: the pool
 * @arena: the arena
 * @file: its only client
 * @data: address of all of its data
 */
struct mapping_test {
	struct hspan_pool pool;
	struct hspan_arena *arena;
	struct file *file;
	unsigned long data;
};

static void mapping_start(struct kunit *test)
{
	const struct hspan_arena_create args = {
		.size = TEST_BLOCKS * HSPAN_BLOCK_SIZE,
		.limit = TEST_BLOCKS,
	};
	struct mapping_test *t = test->priv;

	kthread_use_mm(user_mm);
	t->arena = hspan_arena_create(&t->pool, &args);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->arena));
	t->file = hspan_client_open(t->arena, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->file));
	hspan_arena_put(t->arena);
	t->data = vm_mmap(t->file, 0, args.size, PROT_READ | PROT_WRITE,
			  MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(t->data));
}

/* A kernel thread's last fput() is done by a work item: wait for it. */
static void mapping_stop(struct kunit *test)
{
	unsigned long before = hspan_arenas_count();
	struct mapping_test *t = test->priv;
	int tries;

	vm_munmap(t->data, TEST_BLOCKS * HSPAN_BLOCK_SIZE);
	fput(t->file);
	for (tries = 0; hspan_arenas_count() == before && tries < 100; tries++) {
		flush_delayed_fput();
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, hspan_arenas_count(), before - 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->pool.in_use), 0L);
	kthread_unuse_mm(user_mm);
}

static int mapping_test_init(struct kunit *test)
{
	struct mapping_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_ASSERT_EQ(test, hspan_pool_init(&t->pool, TEST_BLOCKS), 0);
	test->priv = t;
	return user_mm_init(test);
}

static void mapping_test_exit(struct kunit *test)
{
	struct mapping_test *t = test->priv;

	if (t && t->pool.nodes)
		hspan_pool_exit(&t->pool);
}

static void get_blocks(struct kunit *test, u32 nr, struct hspan_span *span)
{
	struct mapping_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, hspan_heap_get(t->arena->heap, 1,
					     HSPAN_CLASS_LARGE_SCAN,
					     nr * HSPAN_BLOCK_PAGES, 0, span,
					     1), 1);
	KUNIT_ASSERT_EQ(test, span->page, 0);
}

static void put_blocks(struct kunit *test, const struct hspan_span *span)
{
	struct mapping_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, hspan_heap_put(t->arena->heap, 1, span->page, 1,
					     span->sweepgen), 0);
}

static void region_sizes(struct kunit *test)
{
	struct hspan_arena arena = { .size = 5 * HSPAN_BLOCK_SIZE,
				     .nr_blocks = 5 };

	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_REGION_DATA),
			5 * HSPAN_BLOCK_SIZE);
	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_REGION_CONTROL),
			PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_REGION_PAGE_MAP),
			PAGE_ALIGN(5 * HSPAN_BLOCK_PAGES * 4));
	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_REGION_BITS),
			5UL * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE *
			HSPAN_BITS_PLANES);
	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_REGION_NOTES),
			PAGE_ALIGN(5 * HSPAN_BLOCK_PAGES * 4));
	KUNIT_EXPECT_EQ(test, hspan_region_size(&arena, HSPAN_NR_REGIONS), 0);
}

static void region_ranges(struct kunit *test)
{
	static const u64 off[] = { HSPAN_OFF_DATA, HSPAN_OFF_CONTROL,
				   HSPAN_OFF_PAGE_MAP, HSPAN_OFF_BITS,
				   HSPAN_OFF_NOTES };
	struct hspan_arena arena = { .size = 7 * HSPAN_BLOCK_SIZE,
				     .nr_blocks = 7 };
	int r;

	for (r = 0; r < HSPAN_NR_REGIONS; r++) {
		u64 at = off[r] >> PAGE_SHIFT;
		u64 nr = hspan_region_size(&arena, r) >> PAGE_SHIFT;

		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at, nr), r);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at, 1), r);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at + nr - 1, 1),
				r);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at, 0), -EINVAL);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at, nr + 1),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at + nr, 1),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at + nr - 1, 2),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, at, U64_MAX),
				-EINVAL);
		KUNIT_EXPECT_EQ(test,
				hspan_region_find(&arena, at + 1, U64_MAX - at),
				-EINVAL);
	}
	KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, U64_MAX, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, hspan_region_find(&arena, U64_MAX, U64_MAX),
			-EINVAL);
}

static void one_fault_a_block(struct kunit *test)
{
	struct mapping_test *t = test->priv;
	struct hspan_span span;
	unsigned long at;
	u32 block;

	mapping_start(test);
	get_blocks(test, TEST_BLOCKS, &span);
	for (at = 0; at < TEST_BLOCKS * HSPAN_BLOCK_SIZE; at += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, put_user(1, (u8 __user *)t->data + at), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->arena->faults), TEST_BLOCKS);
	for (block = 0; block < TEST_BLOCKS; block++) {
		struct folio *folio = t->arena->slots[block];

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, folio_entire_mapcount(folio), 1);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
		KUNIT_EXPECT_EQ(test, folio->index, block * HSPAN_BLOCK_NR);
		KUNIT_EXPECT_PTR_EQ(test, folio->mapping,
				    t->arena->inode->i_mapping);
	}
	mapping_stop(test);
}

static void released_block_is_unmapped(struct kunit *test)
{
	struct mapping_test *t = test->priv;
	u8 __user *p;
	struct hspan_span span;
	struct folio *folio;
	u8 byte = 0xff;

	mapping_start(test);
	p = (u8 __user *)t->data;
	KUNIT_EXPECT_EQ(test, get_user(byte, p), -EFAULT);
	get_blocks(test, 1, &span);
	KUNIT_EXPECT_EQ(test, put_user(0xa5, p + 12345), 0);
	folio = t->arena->slots[0];
	put_blocks(test, &span);
	KUNIT_EXPECT_EQ(test, hspan_heap_release(t->arena->heap, 1), 1);
	KUNIT_EXPECT_NULL(test, t->arena->slots[0]);
	KUNIT_EXPECT_NULL(test, folio->mapping);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_free(&t->pool, HSPAN_STOCK_FREE), 1UL);
	KUNIT_EXPECT_EQ(test, get_user(byte, p + 12345), -EFAULT);

	get_blocks(test, 1, &span);
	KUNIT_EXPECT_PTR_EQ(test, t->arena->slots[0], folio);
	KUNIT_EXPECT_EQ(test, get_user(byte, p + 12345), 0);
	KUNIT_EXPECT_EQ(test, byte, 0);
	mapping_stop(test);
}

static void used_block_is_not_recycled(struct kunit *test)
{
	struct mapping_test *t = test->priv;
	struct hspan_span span;
	struct folio *folio;
	long charged;

	mapping_start(test);
	get_blocks(test, 1, &span);
	KUNIT_EXPECT_EQ(test, put_user(0xa5, (u8 __user *)t->data), 0);
	folio = t->arena->slots[0];
	folio_get(folio);	/* as a pipe would */
	put_blocks(test, &span);
	KUNIT_EXPECT_EQ(test, hspan_heap_release(t->arena->heap, 1), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->pool.nr_lost), 1L);
	KUNIT_EXPECT_EQ(test, hspan_pool_nr_free(&t->pool, HSPAN_STOCK_FREE), 0UL);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	KUNIT_EXPECT_NULL(test, folio->mapping);
	KUNIT_EXPECT_EQ(test, *(u8 *)folio_address(folio), 0xa5);
	charged = atomic_long_read(&t->arena->user->charged);
	KUNIT_EXPECT_EQ(test, hspan_strays_reap(), 1UL);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, hspan_strays_reap(), 0UL);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->arena->user->charged),
			charged - (long)HSPAN_BLOCK_SIZE);
	mapping_stop(test);
}

static void page_map_is_shared(struct kunit *test)
{
	struct mapping_test *t = test->priv;
	struct hspan_span span;
	unsigned long map;
	u32 entry = ~0;

	mapping_start(test);
	map = vm_mmap(t->file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED,
		      HSPAN_OFF_PAGE_MAP);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(map));
	KUNIT_EXPECT_EQ(test, get_user(entry, (u32 __user *)map), 0);
	KUNIT_EXPECT_EQ(test, entry, HSPAN_PM_NONE);
	get_blocks(test, 1, &span);
	KUNIT_EXPECT_EQ(test, get_user(entry, (u32 __user *)map + 9), 0);
	KUNIT_EXPECT_EQ(test, entry, HSPAN_PM_ENTRY(0, HSPAN_CLASS_LARGE_SCAN));
	KUNIT_EXPECT_EQ(test, put_user(0, (u32 __user *)map), -EFAULT);
	put_blocks(test, &span);
	KUNIT_EXPECT_EQ(test, get_user(entry, (u32 __user *)map + 9), 0);
	KUNIT_EXPECT_EQ(test, entry, HSPAN_PM_NONE);
	vm_munmap(map, PAGE_SIZE);
	mapping_stop(test);
}

static void side_pages_are_found_again(struct kunit *test)
{
	struct mapping_test *t = test->priv;
	pgoff_t at = HSPAN_OFF_BITS >> PAGE_SHIFT;
	struct hspan_side_bits bits;
	struct page *one, *two;

	mapping_start(test);
	one = hspan_side_get(t->arena, at);
	two = hspan_side_get(t->arena, at);
	KUNIT_ASSERT_NOT_NULL(test, one);
	KUNIT_EXPECT_PTR_EQ(test, one, two);
	KUNIT_EXPECT_TRUE(test, hspan_side_is(t->arena, at, one));
	KUNIT_EXPECT_EQ(test, page_count(one), 3);
	KUNIT_ASSERT_TRUE(test, trylock_page(one));
	KUNIT_EXPECT_FALSE(test, hspan_side_lock_bits(t->arena, 0, true, &bits));
	KUNIT_EXPECT_EQ(test, page_count(one), 3);
	unlock_page(one);
	KUNIT_ASSERT_TRUE(test, hspan_side_lock_bits(t->arena, 0, true, &bits));
	KUNIT_EXPECT_EQ(test, bits.nr, 1U);
	hspan_side_drop_bits(t->arena, 0, &bits);
	KUNIT_EXPECT_FALSE(test, hspan_side_is(t->arena, at, one));
	KUNIT_EXPECT_EQ(test, page_count(one), 2);
	put_page(one);
	put_page(two);
	mapping_stop(test);
}

static struct kunit_case mapping_cases[] = {
	KUNIT_CASE(region_sizes),
	KUNIT_CASE(region_ranges),
	KUNIT_CASE(one_fault_a_block),
	KUNIT_CASE(released_block_is_unmapped),
	KUNIT_CASE(used_block_is_not_recycled),
	KUNIT_CASE(page_map_is_shared),
	KUNIT_CASE(side_pages_are_found_again),
	{}
};

static struct kunit_suite mapping_suite = {
	.name = "hugespan-mapping",
	.suite_init = user_mm_suite_init,
	.suite_exit = user_mm_suite_exit,
	.init = mapping_test_init,
	.exit = mapping_test_exit,
	.test_cases = mapping_cases,
};

kunit_test_suite(mapping_suite);
