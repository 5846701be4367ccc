// SPDX-License-Identifier: MIT
/*
 * Pools of objects that are worth using again until the next collection but
 * one.
 *
 * A pool has two halves, and each half a shelf for every CPU.  Objects are put
 * on this CPU's shelf of the younger half.  When a cycle starts the older half
 * is emptied and the halves change places: so an object that nobody asks for
 * through a whole cycle is garbage in the next, and a pool never keeps more
 * than was put into it lately.
 *
 * A place is taken and given up by one atomic exchange through the barrier, so
 * no object is ever handed out twice.  The collector alone empties a half, and
 * does it while no thread has to shade: what it drops is lost to nobody.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define SHELF_PLACES 8 /* a cache line of them */

struct shelf {
	void *place[SHELF_PLACES];
} __attribute__((aligned(64)));

/**
 * struct hspan_pool - see above
 * @make: for when there is nothing, or NULL
 * @arg: its argument
 * @nr_cpus: shelves in a half
 * @younger: 0 or 1, the half that is put into; written by the collector
 * @shelves: both halves, one behind the other
 * @next: the list of pools (pools_lock)
 */
struct hspan_pool {
	void *(*make)(void *arg);
	void *arg;
	unsigned int nr_cpus;
	unsigned int younger;
	struct shelf *shelves;
	struct hspan_pool *next;
};

/* Protects the list; held by threads in critical sections only. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hspan_pool *pools;

static size_t shelves_size(const struct hspan_pool *pool)
{
	return 2 * pool->nr_cpus * sizeof(struct shelf);
}

static struct shelf *half(const struct hspan_pool *pool, unsigned int which)
{
	return pool->shelves + (size_t)which * pool->nr_cpus;
}

static unsigned int this_cpu(const struct hspan_pool *pool)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned int)cpu % pool->nr_cpus;
}

HS_EXPORT struct hspan_pool *hspan_pool_create(void *(*make)(void *arg), void *arg)
{
	struct hspan_pool *pool = malloc(sizeof(*pool));
	long nr = sysconf(_SC_NPROCESSORS_CONF);

	if (!pool)
		return NULL;
	*pool = (struct hspan_pool){
		.make = make, .arg = arg, .nr_cpus = nr > 0 ? (unsigned int)nr : 1};
	pool->shelves = hs_map(shelves_size(pool));
	if (!pool->shelves) {
		free(pool);
		errno = ENOMEM;
		return NULL;
	}
	hs_enter();
	pthread_mutex_lock(&pools_lock);
	pool->next = pools;
	pools = pool;
	pthread_mutex_unlock(&pools_lock);
	hs_leave();
	return pool;
}

static void unlink_pool(const struct hspan_pool *pool)
{
	struct hspan_pool **link = &pools;

	hs_enter();
	pthread_mutex_lock(&pools_lock);
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
	pthread_mutex_unlock(&pools_lock);
	hs_leave();
}

/* What is still there is dropped as the program drops things: shaded. */
HS_EXPORT void hspan_pool_destroy(struct hspan_pool *pool)
{
	if (!pool)
		return;
	hspan_clear(pool->shelves, shelves_size(pool));
	unlink_pool(pool);
	hs_unmap(pool->shelves, shelves_size(pool));
	free(pool);
}

static void *take_from(struct shelf *shelf)
{
	void *object;

	for (int i = 0; i < SHELF_PLACES; i++) {
		if (!hs_load(&shelf->place[i]))
			continue;
		object = hspan_exchange(&shelf->place[i], NULL);
		if (object)
			return object;
	}
	return NULL;
}

/* From the shelf of this CPU, or else of another. */
static void *take(const struct hspan_pool *pool, unsigned int which, unsigned int cpu)
{
	struct shelf *shelves = half(pool, which);
	void *object = NULL;

	for (unsigned int i = 0; i < pool->nr_cpus && !object; i++)
		object = take_from(&shelves[(cpu + i) % pool->nr_cpus]);
	return object;
}

HS_EXPORT void *hspan_pool_get(struct hspan_pool *pool)
{
	unsigned int cpu = this_cpu(pool), younger = hs_load(&pool->younger);
	void *object = take(pool, younger, cpu);

	if (!object)
		object = take(pool, !younger, cpu);
	if (!object && pool->make)
		object = pool->make(pool->arg);
	return object;
}

HS_EXPORT void hspan_pool_put(struct hspan_pool *pool, void *object)
{
	struct shelf *shelf = &half(pool, hs_load(&pool->younger))[this_cpu(pool)];

	for (int i = 0; object && i < SHELF_PLACES; i++)
		if (!hs_load(&shelf->place[i]) && hspan_cas(&shelf->place[i], NULL, object))
			return;
}

/* A cycle is about to start; nobody shades yet. */
void hs_pools_age(void)
{
	pthread_mutex_lock(&pools_lock);
	for (struct hspan_pool *pool = pools; pool; pool = pool->next) {
		struct shelf *old = half(pool, !pool->younger);

		for (unsigned int cpu = 0; cpu < pool->nr_cpus; cpu++)
			for (int i = 0; i < SHELF_PLACES; i++)
				hs_set(&old[cpu].place[i], NULL);
		hs_set(&pool->younger, !pool->younger);
	}
	pthread_mutex_unlock(&pools_lock);
}

/* Pools are roots: @fn is called with the range of each. */
void hs_pools_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
	pthread_mutex_lock(&pools_lock);
	for (struct hspan_pool *pool = pools; pool; pool = pool->next)
		fn((uintptr_t)pool->shelves, (uintptr_t)pool->shelves + shelves_size(pool), arg);
	pthread_mutex_unlock(&pools_lock);
}

/* The heap is gone, and so is what the pools held; they stay. */
void hs_pools_reset(void)
{
	hs_pools_age();
	hs_pools_age();
}
