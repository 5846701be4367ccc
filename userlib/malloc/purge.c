// SPDX-License-Identifier: MIT
/*
 * The thread that gives idle memory back: started when there is some, gone
 * when there has been none for a while.
 *
 * It takes what has not been needed for a whole tick, leaves a share of what
 * is in use, and pays for it from a budget of CPU time that grows by a
 * hundredth of the time that passes.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "hm.h"

#define TICK_NS	     250000000l
#define IDLE_TICKS   20		       /* without work, before the thread ends */
#define RETAIN_MIN   1024	       /* pages that may lie idle: 8 MiB */
#define RETAIN_SHARE 32		       /* and this part of those in use */
#define START_MORE   1024	       /* and so many more start the thread */
#define SPLIT_SHARE  8		       /* idle pages that justify splitting blocks */
#define CPU_SHARE    100	       /* of the time that passes */
#define CPU_MOST     150000000ul       /* ns, saved up */
#define STEP_PAGES   HSPAN_BLOCK_PAGES /* given back between two looks at the clock */

bool hm_purge_wanted;

static struct {
	spinlock_t lock; /* held while it works */
	bool running;
	bool off;
	uint64_t seen; /* when the budget was last filled up */
	uint64_t budget;
	uint64_t idle_ticks;
} purge;

static int64_t retain(int64_t used)
{
	int64_t share = used / RETAIN_SHARE;

	return share > RETAIN_MIN ? share : RETAIN_MIN;
}

/* Called with the pages' lock whenever pages have become idle. */
void hm_purge_look(int64_t idle, int64_t used)
{
	if (unlikely(idle > retain(used) + START_MORE) && !hm_load(&purge.running) && !purge.off)
		hm_set(&hm_purge_wanted, true);
}

static void fill_budget(void)
{
	uint64_t now = hs_now();

	purge.budget += (now - purge.seen) / CPU_SHARE;
	if (purge.budget > CPU_MOST)
		purge.budget = CPU_MOST;
	purge.seen = now;
}

/* One step, paid for; false if there is nothing to give back or to pay with. */
static bool pay(uint64_t (*step)(void *), void *arg, int64_t *excess)
{
	uint64_t start = hs_cpu_now(), cost, n;

	if (*excess <= 0 || !purge.budget)
		return false;
	n = step(arg);
	cost = hs_cpu_now() - start;
	purge.budget = purge.budget > cost ? purge.budget - cost : 0;
	*excess -= (int64_t)n;
	return n;
}

static uint64_t release_step(void *arg)
{
	uint64_t n = hm_pages_release(1) * HSPAN_BLOCK_PAGES;

	(void)arg;
	hm_pages_purged(n);
	return n;
}

static uint64_t trim_step(void *arg)
{
	struct hm_trim *trim = arg;
	uint64_t n;

	do
		n = hm_embedded_trim(trim, STEP_PAGES);
	while (!n && trim->block);
	hm_pages_purged(n);
	return n;
}

/* The emptiest blocks first. */
static void trim_blocks(int64_t *excess)
{
	for (uint32_t least = HSPAN_BLOCK_PAGES / 2; least >= 8 && *excess > 0; least /= 2) {
		struct hm_trim trim = {.least = least};

		while (pay(trim_step, &trim, excess))
			;
	}
}

/* What was idle all through the last tick goes, down to what is retained. */
static bool work(void)
{
	struct hm_idle idle;
	int64_t excess;

	fill_budget();
	hm_pages_recount();
	idle = hm_pages_idle();
	excess = idle.low - retain(idle.used);
	if (excess <= 0)
		return false;
	hm_pages_drain();
	while (pay(release_step, NULL, &excess))
		;
	if (hm_pages_split() && excess > idle.used / SPLIT_SHARE)
		trim_blocks(&excess);
	return true;
}

static void *run(void *arg)
{
	const struct timespec tick = {.tv_nsec = TICK_NS};
	bool more = true;

	(void)arg;
	while (more) {
		nanosleep(&tick, NULL);
		spin_lock(&purge.lock);
		purge.idle_ticks = work() ? 0 : purge.idle_ticks + 1;
		more = purge.idle_ticks < IDLE_TICKS;
		if (!more)
			hm_set(&purge.running, false);
		spin_unlock(&purge.lock);
	}
	return NULL;
}

static bool start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	int ret = -1;

	if (pthread_attr_init(&attr))
		return false;
	sigfillset(&all);
	if (!pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) &&
	    !pthread_attr_setstacksize(&attr, 128 << 10) &&
	    !pthread_attr_setsigmask_np(&attr, &all))
		ret = pthread_create(&thread, &attr, run, NULL);
	pthread_attr_destroy(&attr);
	return !ret;
}

/* Called with no lock held: making a thread takes malloc(). */
void hm_purge_start(void)
{
	int saved = errno;
	bool start;

	spin_lock(&purge.lock);
	start = hm_load(&hm_purge_wanted) && !purge.running && !purge.off;
	hm_set(&hm_purge_wanted, false);
	if (start) {
		hm_set(&purge.running, true);
		purge.idle_ticks = 0;
	}
	spin_unlock(&purge.lock);
	if (start && !start_thread()) {
		spin_lock(&purge.lock);
		purge.off = true; /* whatever kept it will again */
		hm_set(&purge.running, false);
		spin_unlock(&purge.lock);
	}
	errno = saved;
}

void hm_purge_init(bool off)
{
	purge.off = off;
	purge.seen = hs_now();
	purge.budget = CPU_MOST;
}

/* All that is idle, now; for malloc_trim(). */
bool hm_purge_all(void)
{
	struct hm_trim trim = {.least = 1};
	uint64_t given, n;

	spin_lock(&purge.lock);
	hm_heaps_trim();
	hm_pages_drain();
	given = hm_pages_release(UINT64_MAX);
	if (hm_pages_split()) {
		do {
			n = hm_embedded_trim(&trim, UINT64_MAX);
			given += n;
		} while (n || trim.block);
	}
	hm_pages_recount();
	spin_unlock(&purge.lock);
	return given;
}

void hm_purge_before_fork(void)
{
	spin_lock(&purge.lock);
}

/* The thread is not in the child. */
void hm_purge_after_fork(bool child)
{
	if (child)
		hm_set(&purge.running, false);
	spin_unlock(&purge.lock);
}
