// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the machine needs memory: a shrinker that takes free blocks without
 * their owners' help, first the pool's, then the arenas'; and a level that
 * tells the owners to find more.
 *
 * The level goes up at once, and down by one after a few periods in which
 * nobody asked, so that it does not follow every wave of reclaim.
 *
 * The shrinker runs wherever memory is allocated, also under the locks of a
 * page fault.  Of the locks that can be held there it only tries to get one.
 */
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

#include "hugespan.h"
#include "trace.h"

#define HSPAN_PRESSURE_PERIOD	HZ
/* Periods without a request until the level falls. */
#define HSPAN_PRESSURE_CALM	3

enum hspan_pressure {
	HSPAN_PRESSURE_NONE,
	HSPAN_PRESSURE_SOME,	/* free blocks were taken */
	HSPAN_PRESSURE_HIGH,	/* there was less than asked for, and little else */
};

atomic_long_t hspan_nr_reclaimed;

/* Less than this part of memory available is little. */
#define HSPAN_PRESSURE_LITTLE	16

static struct workqueue_struct *hspan_pressure_wq;
static struct shrinker *hspan_shrinker;
static void hspan_pressure_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(hspan_pressure_dwork, hspan_pressure_work);

/* The highest level asked for since the work last ran. */
static atomic_t hspan_asked = ATOMIC_INIT(HSPAN_PRESSURE_NONE);
static unsigned int hspan_level;	/* written by the work only */
static unsigned int hspan_calm;		/* periods nobody asked in; the same */

unsigned int hspan_pressure_level(void)
{
	return READ_ONCE(hspan_level);
}

static void hspan_pressure_work(struct work_struct *work)
{
	unsigned int asked = atomic_xchg(&hspan_asked, HSPAN_PRESSURE_NONE);
	unsigned int level = hspan_level;

	hspan_calm = asked ? 0 : hspan_calm + 1;
	if (asked > level) {
		level = asked;
	} else if (level && hspan_calm == HSPAN_PRESSURE_CALM) {
		level--;
		hspan_calm = 0;
	}
	if (asked || level != hspan_level) {
		trace_hugespan_pressure(level, asked);
		WRITE_ONCE(hspan_level, level);
		hspan_arenas_press(level, asked);
	}
	if (level)
		queue_delayed_work(hspan_pressure_wq, &hspan_pressure_dwork,
				   HSPAN_PRESSURE_PERIOD);
}

/* Any context.  A higher level than now does not wait for the period's end. */
static void hspan_pressure_ask(unsigned int level)
{
	int old = atomic_read(&hspan_asked);

	while (old < (int)level &&
	       !atomic_try_cmpxchg(&hspan_asked, &old, level))
		continue;
	if (level > READ_ONCE(hspan_level))
		mod_delayed_work(hspan_pressure_wq, &hspan_pressure_dwork, 0);
}

/*
 * Nothing is left to take.  Reclaim comes by for lesser reasons, too: a file that
 * is read once should not make every heap collect.
 */
static void hspan_pressure_ask_owners(void)
{
	if (si_mem_available() < (long)(totalram_pages() /
					HSPAN_PRESSURE_LITTLE))
		hspan_pressure_ask(HSPAN_PRESSURE_HIGH);
}

/* Objects are system pages, as for other caches; a block is the least. */
static unsigned long hspan_shrink_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	unsigned long nr = hspan_pool_nr_free(&hspan_pool, HSPAN_STOCK_FREE) +
			   hspan_arenas_nr_free();

	if (!nr && hspan_arenas_count())
		hspan_pressure_ask_owners();
	return nr ? nr * HSPAN_BLOCK_NR : SHRINK_EMPTY;
}

static unsigned long hspan_shrink_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned long nr = DIV_ROUND_UP(sc->nr_to_scan, HSPAN_BLOCK_NR), done;

	done = hspan_pool_shrink(&hspan_pool, nr);
	if (done < nr)
		done += hspan_arenas_try_release(nr - done);
	atomic_long_add(done, &hspan_nr_reclaimed);
	if (done)
		hspan_pressure_ask(HSPAN_PRESSURE_SOME);
	if (done < nr)
		hspan_pressure_ask_owners();
	return done ? done * HSPAN_BLOCK_NR : SHRINK_STOP;
}

int hspan_pressure_start(void)
{
	const struct shrinker shrinker = {
		.count_objects = hspan_shrink_count,
		.scan_objects = hspan_shrink_scan,
		.batch = HSPAN_BLOCK_NR,
		.seeks = DEFAULT_SEEKS,
	};

	hspan_pressure_wq = alloc_workqueue("hugespan", WQ_MEM_RECLAIM |
					    WQ_UNBOUND, 1);
	if (!hspan_pressure_wq)
		return -ENOMEM;
	hspan_shrinker = hspan_shrinker_start(&shrinker);
	if (!hspan_shrinker) {
		destroy_workqueue(hspan_pressure_wq);
		return -ENOMEM;
	}
	return 0;
}

void hspan_pressure_stop(void)
{
	hspan_shrinker_stop(hspan_shrinker);
	cancel_delayed_work_sync(&hspan_pressure_dwork);
	destroy_workqueue(hspan_pressure_wq);
}
