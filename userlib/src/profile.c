// SPDX-License-Identifier: MIT
/* The heap profile's books: what is sampled, and when it is dead. */
#include <errno.h>
#include <sys/mman.h>

#include "bits.h"
#include "held.h"
#include "profile.h"

#define MEMORY_MOST (64ull << 20) /* of the samples */
#define MANY	    UINT8_MAX     /* samples on a page: not counted from there on */

/**
 * struct profile - the books
 * @lock: protects all but @rate; taken by threads in critical sections only
 * @rate: see hs_profile_rate(); @last_rate is what it was before a stop
 * @samples: sites and live samples
 * @nr, @lost: samples ever; those that there was no memory for
 * @marked: a cycle has ended since the profile began
 */
static struct {
	pthread_mutex_t lock;
	uint64_t rate, last_rate;
	struct hs_samples samples;
	uint64_t nr, lost;
	bool marked;
} profile = { .lock = PTHREAD_MUTEX_INITIALIZER, .samples.most = MEMORY_MOST };

uint8_t *hs_profile_pages;

static void lock(void)
{
	hs_enter();
	pthread_mutex_lock(&profile.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&profile.lock);
	hs_leave();
}

static size_t pages_size(void)
{
	return hs.size >> HSPAN_PAGE_SHIFT;
}

static void count_on_page(uintptr_t base, int change)
{
	uint8_t *here = &hs_profile_pages[(base - hs.base) >> HSPAN_PAGE_SHIFT];

	if (*here != MANY)
		hs_set(here, (uint8_t)(*here + change));
}

void hs_profile_sites(void (*fn)(struct hs_site *site, void *arg), void *arg)
{
	lock();
	hs_samples_each_site(&profile.samples, fn, arg);
	unlock();
}

void hs_profile_lives(void (*fn)(struct hs_live *live, void *arg), void *arg)
{
	lock();
	for (size_t i = 0; i < profile.samples.places; i++)
		if (profile.samples.live[i].base)
			fn(&profile.samples.live[i], arg);
	unlock();
}

/* A sample's life ----------------------------------------------------------- */

static void add(const struct hs_object *o, const uintptr_t *pc, uint32_t depth)
{
	struct hs_site *site = hs_samples_site(&profile.samples, hs_object_size(o), pc, depth);

	profile.nr++;
	if (!site || !hs_samples_add(&profile.samples, o->base, site)) {
		profile.lost++;
		return;
	}
	site->allocs++;
	count_on_page(o->base, 1);
}

/* The caller has @p on its stack, so it is not collected before it is listed. */
void hs_profile_add(const void *p, const uintptr_t *pc, uint32_t depth)
{
	struct hs_object o;

	lock();
	if (profile.rate && hs_find((uintptr_t)p, &o))
		add(&o, pc, depth);
	unlock();
}

static void end(size_t place)
{
	struct hs_live *live = &profile.samples.live[place];

	live->site->frees++;
	count_on_page(live->base, -1);
	hs_samples_remove(&profile.samples, place);
}

void hs_profile_freed_slow(uintptr_t base)
{
	size_t place;

	lock();
	place = hs_samples_find(&profile.samples, base);
	if (profile.samples.live[place].base)
		end(place);
	unlock();
}

void hs_profile_given_up_slow(uintptr_t base)
{
	size_t place;

	lock();
	place = hs_samples_find(&profile.samples, base);
	profile.samples.live[place].given_up = true; /* no matter if nothing is there */
	unlock();
}

static bool is_dead(uintptr_t base)
{
	struct hs_object o;

	return !hs_find(base, &o) || o.base != base || !hs_is_marked(&o);
}

/* What moves up into a place that was emptied is looked at in its turn. */
static void bury(void)
{
	for (size_t i = 0; i < profile.samples.places; i++) {
		const struct hs_live *live = &profile.samples.live[i];

		while (live->base && is_dead(live->base)) {
			live->site->unfreed += !live->given_up;
			end(i);
		}
	}
}

static void settle(struct hs_site *site, void *arg)
{
	(void)arg;
	site->done_allocs = site->allocs;
	site->done_frees = site->frees;
}

/*
 * Every thread allocates black since SCAN, and what it had taken before was
 * blackened then: so what is white now dies, and what is not lives.
 */
void hs_profile_marked(void)
{
	if (!hs_load_acquire(&hs_profile_pages))
		return;
	lock();
	bury();
	hs_samples_each_site(&profile.samples, settle, NULL);
	profile.marked = true;
	unlock();
	hs_held_look();
}

/* Its own life -------------------------------------------------------------- */

uint64_t hs_profile_rate(void)
{
	return hs_load(&profile.rate);
}

uint64_t hs_profile_last_rate(void)
{
	return hs_load(&profile.last_rate);
}

bool hs_profile_has_cycle(void)
{
	return hs_load(&profile.marked);
}

static int open_books(void)
{
	uint8_t *pages = hs_map(pages_size());

	if (pages && hs_samples_open(&profile.samples)) {
		hs_set_release(&hs_profile_pages, pages);
		return 0;
	}
	hs_unmap(pages, pages_size());
	return -ENOMEM;
}

static void forget(struct hs_site *site, void *arg)
{
	site->allocs = site->frees = site->unfreed = 0;
	settle(site, arg);
}

/* Threads may look at the page counts, so nothing of an old profile goes away. */
static void clear_books(void)
{
	hs_samples_each_site(&profile.samples, forget, NULL);
	hs_samples_clear(&profile.samples);
	madvise(hs_profile_pages, pages_size(), MADV_DONTNEED);
	profile.nr = profile.lost = 0;
	profile.marked = false;
}

int hs_profile_start(uint64_t rate)
{
	int ret = 0;

	lock();
	if (profile.rate)
		ret = -EALREADY;
	else if (hs_profile_pages)
		clear_books();
	else
		ret = open_books();
	if (!ret) {
		hs_set(&profile.last_rate, rate);
		hs_set(&profile.rate, rate);
	}
	unlock();
	return ret;
}

/* What was sampled stays in the books, and its end is still found. */
int hs_profile_stop(void)
{
	int ret;

	lock();
	ret = profile.rate ? 0 : -ENOENT;
	hs_set(&profile.rate, 0);
	unlock();
	return ret;
}

/* The heap is gone. */
void hs_profile_reset(void)
{
	lock();
	hs_set(&profile.rate, 0);
	if (hs_profile_pages) {
		hs_samples_close(&profile.samples);
		hs_unmap(hs_profile_pages, pages_size());
		hs_set(&hs_profile_pages, NULL);
		profile.nr = profile.lost = 0;
		profile.marked = false;
	}
	unlock();
}

void hs_profile_stats(struct hspan_stats *stats)
{
	lock();
	stats->profile_samples = profile.nr;
	stats->profile_lost = profile.lost;
	stats->profile_bytes = profile.samples.memory;
	unlock();
}
