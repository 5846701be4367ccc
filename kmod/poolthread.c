// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool's thread: zeroes blocks before somebody waits for them, and gets a
 * few ready when hardly any wait.  It has the CPU when nobody else wants it.
 */
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <uapi/linux/sched/types.h>

#include "hugespan.h"

/* After memory was short: do not take at once what has just been given up. */
#define HSPAN_FILL_PAUSE	(10 * HZ)

static bool hspan_poolthread_may_fill(struct hspan_pool *pool)
{
	return time_after_eq(jiffies, READ_ONCE(pool->fill_after)) &&
	       hspan_pool_is_low(pool);
}

static bool hspan_poolthread_has_work(struct hspan_pool *pool)
{
	return kthread_should_stop() || hspan_pool_has_dirty(pool) ||
	       hspan_poolthread_may_fill(pool);
}

/* Only memory that was short makes it look again without being told to. */
static long hspan_poolthread_timeout(struct hspan_pool *pool)
{
	return READ_ONCE(pool->low) ? HSPAN_FILL_PAUSE : MAX_SCHEDULE_TIMEOUT;
}

static int hspan_poolthread(void *arg)
{
	struct hspan_pool *pool = arg;

	set_freezable();
	while (!kthread_should_stop()) {
		wait_event_freezable_timeout(pool->wait,
					     hspan_poolthread_has_work(pool),
					     hspan_poolthread_timeout(pool));
		while (!kthread_should_stop() && !freezing(current) &&
		       hspan_pool_prepare(pool))
			cond_resched();
		while (!kthread_should_stop() && !freezing(current) &&
		       hspan_poolthread_may_fill(pool)) {
			if (!hspan_pool_prefill(pool))
				hspan_poolthread_pause(pool);
			cond_resched();
		}
	}
	return 0;
}

/**
 * hspan_poolthread_start() - begin to zero in the background
 * @pool: the pool; without a thread it works as well, but in the foreground
 *
 * Return: 0 or a negative errno.
 */
int hspan_poolthread_start(struct hspan_pool *pool)
{
	const struct sched_attr attr = { .sched_policy = SCHED_IDLE };
	struct task_struct *thread;

	thread = kthread_create(hspan_poolthread, pool, "hugespan_pool");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	WARN_ON_ONCE(sched_setattr_nocheck(thread, &attr));
	pool->thread = thread;
	wake_up_process(thread);
	return 0;
}

void hspan_poolthread_stop(struct hspan_pool *pool)
{
	if (pool->thread)
		kthread_stop(pool->thread);
	pool->thread = NULL;
}

/* There may be something to do. */
void hspan_poolthread_wake(struct hspan_pool *pool)
{
	if (wq_has_sleeper(&pool->wait))
		wake_up(&pool->wait);
}

/* Memory is short. */
void hspan_poolthread_pause(struct hspan_pool *pool)
{
	WRITE_ONCE(pool->fill_after, jiffies + HSPAN_FILL_PAUSE);
}

/* Blocks to get ready on each node from now on. */
void hspan_poolthread_set_low(struct hspan_pool *pool, unsigned long low)
{
	WRITE_ONCE(pool->low, low);
	WRITE_ONCE(pool->fill_after, jiffies);
	hspan_poolthread_wake(pool);
}
