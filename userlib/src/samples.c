// SPDX-License-Identifier: MIT
/* See samples.h. */
#include <string.h>

#include "samples.h"

#define SLAB_BYTES   (256u << 10)
#define NR_CHAINS    8192u
#define FIRST_PLACES 1024u
#define GOLDEN	     0x9e3779b97f4a7c15u

/* util.c */
void *hs_map(size_t size);
void hs_unmap(void *p, size_t size);

/** struct hs_slab - memory that sites are cut from */
struct hs_slab {
	struct hs_slab *next;
	size_t used;
};

static void *get_memory(struct hs_samples *s, size_t size)
{
	void *p = s->memory + size > s->most ? NULL : hs_map(size);

	if (p)
		s->memory += size;
	return p;
}

static void put_memory(struct hs_samples *s, void *p, size_t size)
{
	if (!p)
		return;
	hs_unmap(p, size);
	s->memory -= size;
}

/* Sites -------------------------------------------------------------------- */

static uint32_t hash_stack(uint64_t size, const uintptr_t *pc, uint32_t depth)
{
	uint64_t h = size;

	for (uint32_t i = 0; i < depth; i++) {
		h = (h ^ pc[i]) * GOLDEN;
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32);
}

static struct hs_site *new_site(struct hs_samples *s, size_t bytes)
{
	struct hs_slab *slab = s->slabs;
	struct hs_site *site;

	if (!slab || slab->used + bytes > SLAB_BYTES) {
		slab = get_memory(s, SLAB_BYTES);
		if (!slab)
			return NULL;
		*slab = (struct hs_slab){ .next = s->slabs, .used = sizeof(*slab) };
		s->slabs = slab;
	}
	site = (struct hs_site *)((char *)slab + slab->used);
	slab->used += bytes;
	return site;
}

struct hs_site *hs_samples_site(struct hs_samples *s, uint64_t size, const uintptr_t *pc,
				uint32_t depth)
{
	uint32_t hash = hash_stack(size, pc, depth);
	struct hs_site **chain = &s->chains[hash % NR_CHAINS], *site;

	for (site = *chain; site; site = site->next)
		if (site->hash == hash && site->size == size && site->depth == depth &&
		    !memcmp(site->stack, pc, depth * sizeof(*pc)))
			return site;
	site = new_site(s, sizeof(*site) + depth * sizeof(*pc));
	if (!site)
		return NULL;
	*site = (struct hs_site){ .next = *chain, .hash = hash, .size = size, .depth = depth };
	memcpy(site->stack, pc, depth * sizeof(*pc));
	*chain = site;
	return site;
}

void hs_samples_each_site(struct hs_samples *s, void (*fn)(struct hs_site *site, void *arg),
			  void *arg)
{
	for (uint32_t i = 0; s->chains && i < NR_CHAINS; i++)
		for (struct hs_site *site = s->chains[i]; site; site = site->next)
			fn(site, arg);
}

/* Live objects ------------------------------------------------------------- */

static size_t place_of(const struct hs_samples *s, uintptr_t base)
{
	return (size_t)((base >> 3) * GOLDEN >> 32) & (s->places - 1);
}

static size_t after(const struct hs_samples *s, size_t i)
{
	return (i + 1) & (s->places - 1);
}

size_t hs_samples_find(const struct hs_samples *s, uintptr_t base)
{
	size_t i = place_of(s, base);

	while (s->live[i].base && s->live[i].base != base)
		i = after(s, i);
	return i;
}

static bool make_places(struct hs_samples *s, size_t places)
{
	struct hs_live *old = s->live, *new = get_memory(s, places * sizeof(*new));
	size_t nr_old = s->places;

	if (!new)
		return false;
	s->live = new;
	s->places = places;
	for (size_t i = 0; i < nr_old; i++)
		if (old[i].base)
			new[hs_samples_find(s, old[i].base)] = old[i];
	put_memory(s, old, nr_old * sizeof(*old));
	return true;
}

bool hs_samples_add(struct hs_samples *s, uintptr_t base, struct hs_site *site)
{
	if (s->count >= s->places / 4 * 3 && !make_places(s, s->places * 2))
		return false;
	s->live[hs_samples_find(s, base)] = (struct hs_live){ .base = base, .site = site };
	s->count++;
	return true;
}

/* Others move up, so that none is cut off from where it would be looked for. */
void hs_samples_remove(struct hs_samples *s, size_t hole)
{
	for (size_t i = after(s, hole); s->live[i].base; i = after(s, i)) {
		size_t home = place_of(s, s->live[i].base);

		if (((i - home) & (s->places - 1)) < ((i - hole) & (s->places - 1)))
			continue;
		s->live[hole] = s->live[i];
		hole = i;
	}
	s->live[hole].base = 0;
	s->count--;
}

/* All of it ---------------------------------------------------------------- */

void hs_samples_clear(struct hs_samples *s)
{
	memset(s->live, 0, s->places * sizeof(*s->live));
	s->count = 0;
}

void hs_samples_close(struct hs_samples *s)
{
	struct hs_slab *next;

	for (; s->slabs; s->slabs = next) {
		next = s->slabs->next;
		put_memory(s, s->slabs, SLAB_BYTES);
	}
	put_memory(s, s->chains, NR_CHAINS * sizeof(struct hs_site *));
	put_memory(s, s->live, s->places * sizeof(*s->live));
	*s = (struct hs_samples){ .most = s->most };
}

bool hs_samples_open(struct hs_samples *s)
{
	s->chains = get_memory(s, NR_CHAINS * sizeof(struct hs_site *));
	if (s->chains && make_places(s, FIRST_PLACES))
		return true;
	hs_samples_close(s);
	return false;
}
