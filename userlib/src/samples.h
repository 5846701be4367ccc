/* SPDX-License-Identifier: MIT */
/*
 * Objects by the stack that allocated them: sites, which stay, and live objects,
 * which come and go.  Who uses it has a lock.
 */
#ifndef HS_SAMPLES_H
#define HS_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_STACK_MOST 64 /* frames that are kept of a stack */

/**
 * struct hs_site - objects of one size, from one stack
 * @next: in the hash table
 * @hash: of size and stack
 * @depth: of the stack
 * @size: bytes of each object
 * @allocs: objects ever
 * @frees: of those, found dead
 * @unfreed: of those, not freed by the program
 * @done_allocs, @done_frees: as they were when the last cycle had marked
 * @held: live objects that somebody has looked for and found
 * @stack: return addresses, the innermost first
 */
struct hs_site {
	struct hs_site *next;
	uint32_t hash;
	uint32_t depth;
	uint64_t size;
	uint64_t allocs, frees, unfreed;
	uint64_t done_allocs, done_frees;
	uint64_t held;
	uintptr_t stack[];
};

/**
 * struct hs_live - an object that is not known to be dead
 * @base: where it begins; 0: there is none
 * @given_up: the program has another object in its place
 */
struct hs_live {
	uintptr_t base;
	struct hs_site *site;
	bool given_up;
};

/**
 * struct hs_samples - sites and live objects
 * @most: bytes that they may take, set by who uses them
 * @memory: bytes that they take
 * @chains: sites by hash
 * @slabs: what they are cut from, the newest first
 * @live, @places, @count: live objects: a table with linear probing, a power of
 *	two places, some used
 */
struct hs_samples {
	uint64_t most;
	uint64_t memory;
	struct hs_site **chains;
	struct hs_slab *slabs;
	struct hs_live *live;
	size_t places, count;
};

/* False when there is no memory. */
bool hs_samples_open(struct hs_samples *s);
void hs_samples_close(struct hs_samples *s);

/* No object is live. */
void hs_samples_clear(struct hs_samples *s);

/* The site of a size and a stack, a new one if need be; NULL when there is no memory. */
struct hs_site *hs_samples_site(struct hs_samples *s, uint64_t size, const uintptr_t *pc,
				uint32_t depth);

void hs_samples_each_site(struct hs_samples *s, void (*fn)(struct hs_site *site, void *arg),
			  void *arg);

/* An object that is not there yet; false when there is no memory. */
bool hs_samples_add(struct hs_samples *s, uintptr_t base, struct hs_site *site);

/* Where @base is in .live, or a place whose .base is 0. */
size_t hs_samples_find(const struct hs_samples *s, uintptr_t base);

/* Remove what is at a place; another may be there then. */
void hs_samples_remove(struct hs_samples *s, size_t place);

#endif /* HS_SAMPLES_H */
