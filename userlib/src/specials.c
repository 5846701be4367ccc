// SPDX-License-Identifier: MIT
/*
 * The table of what is known of objects besides their contents.
 *
 * Entries never move, so one can go through them by number, a few at a time, while
 * threads add others.  They are found by hash; the index grows by one bucket for
 * each entry that is too many (linear hashing), so that no one ever waits for a
 * table to be built anew.
 */
#include <sched.h>

#include "bits.h"
#include "specials.h"

#define MOST	      (1u << 26) /* entries; room for them is reserved, and used as needed */
#define BATCH	      256	 /* looked at with the lock held */
#define YIELDS	      20
#define FIRST_BUCKETS 64u

/**
 * struct specials - all under @lock, but for counts that are only looked at
 * @wanted: the collector waits for the lock: it goes first
 * @entry: entries; @used of them were ever used
 * @free: number + 1 of the first one free again
 * @bucket: number + 1 of the first in each chain; there are @buckets
 * @count: entries in chains
 * @first, @last: number + 1 of those found due; @due of them may be taken
 */
static struct {
	pthread_mutex_t lock;
	int wanted;
	struct hs_special *entry;
	uint32_t *bucket;
	uint32_t used, free, buckets, count;
	uint32_t first, last;
	uint64_t due, found;
} specials = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Threads that come again and again would keep the collector out for long. */
void hs_specials_lock(void)
{
	for (int i = 0; i < YIELDS && hs_load(&specials.wanted); i++)
		sched_yield();
	pthread_mutex_lock(&specials.lock);
}

void hs_specials_unlock(void)
{
	pthread_mutex_unlock(&specials.lock);
}

bool hs_specials_exist(void)
{
	return hs_load(&specials.used) != 0;
}

uint64_t hs_specials_due(void)
{
	return hs_load(&specials.due);
}

bool hs_special_alive(uintptr_t word)
{
	struct hs_object o;

	return !hs_find(word, &o) || !hs_is_allocated(&o) || hs_is_marked(&o);
}

static bool is_weak(enum hs_special_kind kind)
{
	return kind == HS_WEAK || kind == HS_WEAK_LONG;
}

/* Weak references of both kinds are looked for alike. */
static enum hs_special_kind class_of(enum hs_special_kind kind)
{
	return is_weak(kind) ? HS_WEAK : kind;
}

static uintptr_t key_of(const struct hs_special *e)
{
	return is_weak(e->kind) ? e->arg : e->object;
}

static uint32_t hash(uintptr_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32);
}

/* The largest power of two that is not more than the number of buckets. */
static uint32_t level(uint32_t buckets)
{
	return 1u << (31 - (unsigned int)__builtin_clz(buckets));
}

static uint32_t bucket_of(uint32_t h, uint32_t buckets)
{
	uint32_t low = level(buckets), b = h & (2 * low - 1);

	return b < buckets ? b : h & (low - 1);
}

static struct hs_special *entry(uint32_t number)
{
	return number ? &specials.entry[number - 1] : NULL;
}

static uint32_t number(const struct hs_special *e)
{
	return (uint32_t)(e - specials.entry) + 1;
}

static struct hs_special *match(struct hs_special *e, enum hs_special_kind kind, uintptr_t key)
{
	while (e && (class_of(e->kind) != class_of(kind) || key_of(e) != key))
		e = entry(e->next);
	return e;
}

struct hs_special *hs_special_find(enum hs_special_kind kind, uintptr_t key)
{
	if (!specials.used)
		return NULL;
	return match(entry(specials.bucket[bucket_of(hash(key), specials.buckets)]), kind, key);
}

struct hs_special *hs_special_next(const struct hs_special *e)
{
	return match(entry(e->next), e->kind, key_of(e));
}

/* One bucket more: it gets its share of the chain that was split. */
static void split(void)
{
	uint32_t to = specials.buckets, from = to - level(to);
	uint32_t *link = &specials.bucket[from];
	struct hs_special *e;

	specials.buckets++;
	while ((e = entry(*link))) {
		if (bucket_of(hash(key_of(e)), specials.buckets) == from) {
			link = &e->next;
			continue;
		}
		*link = e->next;
		e->next = specials.bucket[to];
		specials.bucket[to] = number(e);
	}
}

static void enchain(struct hs_special *e)
{
	uint32_t *head;

	if (++specials.count > specials.buckets)
		split();
	head = &specials.bucket[bucket_of(hash(key_of(e)), specials.buckets)];
	e->next = *head;
	*head = number(e);
}

static void unchain(struct hs_special *e)
{
	uint32_t *link = &specials.bucket[bucket_of(hash(key_of(e)), specials.buckets)];

	while (*link != number(e))
		link = &entry(*link)->next;
	*link = e->next;
	specials.count--;
}

static bool reserve(void)
{
	if (!specials.entry)
		specials.entry = hs_map((size_t)MOST * sizeof(*specials.entry));
	if (!specials.bucket)
		specials.bucket = hs_map((size_t)MOST * sizeof(*specials.bucket));
	specials.buckets = FIRST_BUCKETS;
	return specials.entry && specials.bucket;
}

static struct hs_special *new_entry(void)
{
	struct hs_special *e = entry(specials.free);

	if (e)
		specials.free = e->next;
	else if (specials.used ? specials.used < MOST : reserve()) {
		e = &specials.entry[specials.used];
		hs_set(&specials.used, specials.used + 1);
	}
	return e;
}

struct hs_special *hs_special_add(const struct hs_special *e)
{
	struct hs_special *added = new_entry();

	if (!added)
		return NULL;
	*added = *e;
	enchain(added);
	return added;
}

static void free_entry(struct hs_special *e)
{
	*e = (struct hs_special){.next = specials.free};
	specials.free = number(e);
}

void hs_special_remove(struct hs_special *e)
{
	unchain(e);
	free_entry(e);
}

void hs_special_due(struct hs_special *e)
{
	unchain(e);
	if (e->kind == HS_CLEANUP)
		e->object = 0; /* it is not to come back */
	e->kind = HS_READY;
	e->next = 0;
	if (specials.last)
		entry(specials.last)->next = number(e);
	else
		specials.first = number(e);
	specials.last = number(e);
	specials.found++;
}

void hs_specials_publish(void)
{
	hs_set(&specials.due, specials.found);
}

bool hs_special_take(struct hs_special *e)
{
	struct hs_special *first = entry(specials.first);

	if (!specials.due)
		return false;
	*e = *first;
	specials.first = first->next;
	if (!specials.first)
		specials.last = 0;
	specials.found--;
	hs_sub(&specials.due, 1);
	free_entry(first);
	return true;
}

bool hs_specials_some(uint32_t *at, hs_special_fn *fn, void *arg)
{
	uint32_t end;

	hs_set(&specials.wanted, 1);
	pthread_mutex_lock(&specials.lock);
	hs_set(&specials.wanted, 0);
	end = *at + BATCH < specials.used ? *at + BATCH : specials.used;
	for (; *at < end; ++*at)
		if (specials.entry[*at].kind != HS_FREE)
			fn(&specials.entry[*at], arg);
	end = specials.used;
	hs_specials_unlock();
	return *at < end;
}

void hs_specials_each(hs_special_fn *fn, void *arg)
{
	uint32_t at = 0;

	while (hs_specials_some(&at, fn, arg))
		;
}

/* The words that keep something alive are told as pools are. */
struct range_call {
	void (*fn)(uintptr_t lo, uintptr_t hi, void *arg);
	void *arg;
};

static void call_for_roots(struct hs_special *e, void *arg)
{
	struct range_call *call = arg;

	if (e->kind == HS_READY)
		call->fn((uintptr_t)&e->object, (uintptr_t)(&e->arg + 1), call->arg);
	else if (e->kind == HS_FINALIZER || e->kind == HS_CLEANUP)
		call->fn((uintptr_t)&e->arg, (uintptr_t)(&e->arg + 1), call->arg);
}

void hs_specials_roots(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
	struct range_call call = {fn, arg};

	if (hs_specials_exist())
		hs_specials_each(call_for_roots, &call);
}

/* The heap is gone, and what was known of its objects. */
void hs_specials_reset(void)
{
	if (specials.entry)
		hs_unmap(specials.entry, (size_t)MOST * sizeof(*specials.entry));
	if (specials.bucket)
		hs_unmap(specials.bucket, (size_t)MOST * sizeof(*specials.bucket));
	specials.entry = NULL;
	specials.bucket = NULL;
	specials.used = specials.free = specials.buckets = specials.count = 0;
	specials.first = specials.last = 0;
	specials.due = specials.found = 0;
}
