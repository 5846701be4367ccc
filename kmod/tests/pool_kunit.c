// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the pool: zeroed before reuse, bounded, nothing lost.
 */
#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include "../hugespan.h"

#define TEST_HIGH	4

static int pool_test_init(struct kunit *test)
{
	struct hspan_pool *pool;

	pool = kunit_kzalloc(test, sizeof(*pool), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	KUNIT_ASSERT_EQ(test, hspan_pool_init(pool, TEST_HIGH), 0);
	test->priv = pool;
	return 0;
}

static void pool_test_exit(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;

	if (pool && pool->nodes)
		hspan_pool_exit(pool);
}

static struct folio *take(struct kunit *test)
{
	struct folio *folio = hspan_pool_take(test->priv);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	return folio;
}

static void fill(struct folio *folio, int byte)
{
	memset(folio_address(folio), byte, HSPAN_BLOCK_SIZE);
}

static bool is_zero(struct folio *folio)
{
	return !memchr_inv(folio_address(folio), 0, HSPAN_BLOCK_SIZE);
}

#define COUNT(pool, field) atomic_long_read(&(pool)->field)

static void fresh_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	KUNIT_EXPECT_EQ(test, folio_order(folio), HSPAN_BLOCK_ORDER);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_TRUE(test, is_zero(folio));
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 1L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_allocated), 1L);
	hspan_pool_put(pool, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 1L);
}

static void zeroed_before_reuse(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test), *again;
	int round;

	for (round = 0; round < 3; round++) {
		fill(folio, 0xa5);
		folio_mark_dirty(folio);
		hspan_pool_put(pool, folio);
		again = take(test);
		KUNIT_EXPECT_PTR_EQ(test, again, folio);
		KUNIT_EXPECT_TRUE(test, is_zero(again));
		KUNIT_EXPECT_FALSE(test, folio_test_dirty(again));
		KUNIT_EXPECT_EQ(test, folio_ref_count(again), 1);
	}
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_recycled), 3L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_zeroed), 3L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_allocated), 1L);
	hspan_pool_put(pool, folio);
}

static void no_more_than_high(struct kunit *test)
{
	struct folio *folios[TEST_HIGH + 2];
	struct hspan_pool *pool = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(folios); i++)
		folios[i] = take(test);
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		hspan_pool_put(pool, folios[i]);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), (long)TEST_HIGH);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 2L);
	hspan_pool_set_high(pool, 1);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 1L);
	hspan_pool_set_high(pool, 0);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 0L);
	hspan_pool_set_high(pool, ULONG_MAX);
	hspan_pool_put(pool, take(test));
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 1L);
}

static void shrink_some(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *a = take(test), *b = take(test);

	hspan_pool_put(pool, a);
	hspan_pool_put(pool, b);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, 0), 0UL);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, 1), 1UL);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 1L);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, ULONG_MAX), 1UL);
	KUNIT_EXPECT_EQ(test, hspan_pool_shrink(pool, ULONG_MAX), 0UL);
}

/* A block that someone else refers to is never handed out again. */
static void forgotten_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	folio_get(folio);
	hspan_pool_forget(pool, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, in_use), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_lost), 1L);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
}

static void poisoned_block(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test);

	folio_set_has_hwpoisoned(folio);
	if (!folio_test_has_hwpoisoned(folio)) {
		hspan_pool_put(pool, folio);
		kunit_skip(test, "kernel without memory failure");
	}
	hspan_pool_put(pool, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, free), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_freed), 0L);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_clear_has_hwpoisoned(folio);	/* it was a lie */
	folio_put(folio);
}

/* Poison found while the block waits keeps it from the next taker. */
static void poisoned_while_waiting(struct kunit *test)
{
	struct hspan_pool *pool = test->priv;
	struct folio *folio = take(test), *other;

	hspan_pool_put(pool, folio);
	folio_set_has_hwpoisoned(folio);
	if (!folio_test_has_hwpoisoned(folio))
		kunit_skip(test, "kernel without memory failure");
	other = take(test);
	KUNIT_EXPECT_PTR_NE(test, other, folio);
	KUNIT_EXPECT_EQ(test, COUNT(pool, nr_poisoned), 1L);
	hspan_pool_put(pool, other);
	folio_clear_has_hwpoisoned(folio);
	folio_put(folio);
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(fresh_block),
	KUNIT_CASE(zeroed_before_reuse),
	KUNIT_CASE(no_more_than_high),
	KUNIT_CASE(shrink_some),
	KUNIT_CASE(forgotten_block),
	KUNIT_CASE(poisoned_block),
	KUNIT_CASE(poisoned_while_waiting),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "hugespan-pool",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = pool_cases,
};

kunit_test_suite(pool_suite);
