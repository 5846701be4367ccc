// SPDX-License-Identifier: MIT
/*
 * Which live objects nothing points to: a walk over the memory of the process,
 * word by word, when it ends.
 *
 * All writable memory is a root, stacks and thread-local storage too, but for
 * the objects themselves, what is free, and this library's own memory.  It is read by a system
 * call that fails where a mapping is gone: other threads may be running still.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trace.h"

#define PIECE	 (64ul << 10)
#define SYS_PAGE 4096ul
#define OWN_MOST 6

/** struct object - a live one */
struct object {
	uintptr_t base;
	struct hs_site *site;
	bool seen;
};

/** struct range - of addresses */
struct range {
	uintptr_t lo, hi;
};

/**
 * struct walk - where the search stands
 * @objects, @nr: by address
 * @lo, @hi: all of them are in between
 * @todo, @depth: seen, not yet looked into
 * @own: memory of this library that is no root
 * @frame: what is below on its stack is dead
 */
static struct {
	struct object *objects;
	size_t nr;
	uintptr_t lo, hi;
	uint32_t *todo;
	size_t depth;
	struct range own[OWN_MOST];
	uintptr_t frame;
	uintptr_t words[PIECE / sizeof(uintptr_t)];
} walk;

/* This library's: the linker says where. */
extern char __bss_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));

static int compare(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

static uintptr_t end_of(const struct object *o)
{
	return o->base + (o->site->size ? o->site->size : 1);
}

/* How many objects begin at or before @word. */
static size_t up_to(uintptr_t word)
{
	size_t lo = 0, hi = walk.nr;

	while (lo < hi) {
		size_t middle = (lo + hi) / 2;

		if (walk.objects[middle].base <= word)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

static void see(uintptr_t word)
{
	struct object *o;
	size_t n;

	if (word - walk.lo >= walk.hi - walk.lo)
		return;
	n = up_to(word);
	o = &walk.objects[n - 1];
	if (!n || word >= end_of(o) || o->seen)
		return;
	o->seen = true;
	walk.todo[walk.depth++] = (uint32_t)(n - 1);
}

/* Words of [@lo, @hi), as far as it is there. */
static void look_at(uintptr_t lo, uintptr_t hi)
{
	for (; lo < hi; lo += PIECE) {
		struct iovec to = { walk.words, hi - lo < PIECE ? hi - lo : PIECE };
		struct iovec from = { (void *)lo, to.iov_len };
		ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

		for (ssize_t i = 0; i < n / (ssize_t)sizeof(uintptr_t); i++)
			see(walk.words[i]);
	}
}

static void walk_on(void)
{
	while (walk.depth) {
		const struct object *o = &walk.objects[walk.todo[--walk.depth]];

		look_at((o->base + 7) & ~7ul, end_of(o));
	}
}

/* Roots -------------------------------------------------------------------- */

/* [@lo, @hi) without the objects in it. */
static void look_between(uintptr_t lo, uintptr_t hi)
{
	size_t i = up_to(lo);

	if (i && end_of(&walk.objects[i - 1]) > lo)
		lo = (end_of(&walk.objects[i - 1]) + 7) & ~7ul;
	for (; i < walk.nr && walk.objects[i].base < hi; i++) {
		look_at(lo, walk.objects[i].base);
		lo = (end_of(&walk.objects[i]) + 7) & ~7ul;
	}
	look_at(lo, hi);
}

/* Only pages that are there: most of what is reserved has never been touched. */
static void look_at_pages(uintptr_t lo, uintptr_t hi)
{
	unsigned char there[PIECE / SYS_PAGE];

	for (; lo < hi; lo += PIECE) {
		size_t size = hi - lo < PIECE ? hi - lo : PIECE;

		if (mincore((void *)lo, size, there))
			continue;
		for (size_t at = 0; at < size; at += SYS_PAGE)
			if (there[at / SYS_PAGE] & 1)
				look_between(lo + at, lo + at + SYS_PAGE);
	}
}

/* A mapping, from number @own of our own memory on. */
static void look_at_mapping(uintptr_t lo, uintptr_t hi, int own)
{
	const struct range *r = &walk.own[own];

	for (; own < OWN_MOST && (r->hi <= lo || r->lo >= hi); own++)
		r++;
	if (own == OWN_MOST) {
		look_at_pages(lo, hi);
		return;
	}
	if (r->lo > lo)
		look_at_mapping(lo, r->lo & ~(SYS_PAGE - 1), own + 1);
	if (r->hi < hi)
		look_at_mapping((r->hi + SYS_PAGE - 1) & ~(SYS_PAGE - 1), hi, own + 1);
}

static void see_line(const char *line)
{
	uintptr_t lo, hi;
	char mode[5], path[16] = "";

	if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %15s", &lo, &hi, mode, path) < 3 ||
	    mode[0] != 'r' || mode[1] != 'w' || !strncmp(path, "/dev/", 5))
		return;
	if (walk.frame - lo < hi - lo)
		lo = walk.frame & ~(SYS_PAGE - 1);
	look_at_mapping(lo, hi, 0);
}

static bool look_at_roots(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4608];

	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		see_line(line);
		walk_on();
	}
	fclose(maps);
	return true;
}

/* The search ----------------------------------------------------------------- */

static void list_objects(const struct hs_samples *samples)
{
	for (size_t i = 0; i < samples->places; i++) {
		const struct hs_live *live = &samples->live[i];

		if (live->base)
			walk.objects[walk.nr++] = (struct object){ live->base, live->site, false };
	}
	qsort(walk.objects, walk.nr, sizeof(*walk.objects), compare);
	if (walk.nr) {
		walk.lo = walk.objects[0].base;
		walk.hi = end_of(&walk.objects[walk.nr - 1]);
	}
}

static struct range range_of(const void *p, size_t size)
{
	return (struct range){ (uintptr_t)p, (uintptr_t)p + size };
}

static void exclude_own(const struct hs_samples *samples)
{
	size_t spans, huges;
	const void *span = hm_span_memory(&spans), *huge = hm_huge_memory(&huges);

	walk.own[0] = range_of((void *)hm.base, hm.size);
	walk.own[1] = range_of(samples->live, samples->places * sizeof(*samples->live));
	walk.own[2] = range_of(walk.objects, samples->count * sizeof(*walk.objects));
	walk.own[3] = range_of(span, spans);
	walk.own[4] = range_of(huge, huges);
	walk.own[5] = range_of(__bss_start, (size_t)(_end - __bss_start));
}

bool hm_leaks_find(struct hs_samples *samples, uintptr_t frame)
{
	bool done;

	walk.frame = frame;
	walk.objects = hs_map((samples->count + 1) * sizeof(*walk.objects));
	walk.todo = hs_map((samples->count + 1) * sizeof(*walk.todo));
	if (!walk.objects || !walk.todo)
		return false;
	list_objects(samples);
	exclude_own(samples);
	done = look_at_roots();
	for (size_t i = 0; i < walk.nr; i++)
		walk.objects[i].site->held += !walk.objects[i].seen;
	return done;
}
