/* SPDX-License-Identifier: MIT */
/*
 * The heap profile: sampled objects by the stack that allocated them.
 *
 * A sample is in the table of live ones from when it was allocated until it is
 * found dead: by hspan_free(), or at the end of marking, when every object that
 * exists has its final colour and nothing is swept yet.  So no address is ever
 * in it twice.
 */
#ifndef HS_PROFILE_H
#define HS_PROFILE_H

#include "internal.h"
#include "samples.h"

/* Bytes between two samples, on average; 0 when there is no profile. */
uint64_t hs_profile_rate(void);
uint64_t hs_profile_last_rate(void);

int hs_profile_start(uint64_t rate);
int hs_profile_stop(void);

/* @p was allocated by the stack of @depth frames at @pc. */
void hs_profile_add(const void *p, const uintptr_t *pc, uint32_t depth);

/* The collector has marked: some samples are dead, some may be looked for. */
void hs_profile_marked(void);

/* Call @fn for each site / live sample, with nothing else changing them. */
void hs_profile_sites(void (*fn)(struct hs_site *site, void *arg), void *arg);
void hs_profile_lives(void (*fn)(struct hs_live *live, void *arg), void *arg);

/* Is what is in use known as of a cycle? */
bool hs_profile_has_cycle(void);

void hs_profile_stats(struct hspan_stats *stats);
void hs_profile_reset(void);

/* How many samples there are on each page, or NULL. */
extern uint8_t *hs_profile_pages;
void hs_profile_freed_slow(uintptr_t base);
void hs_profile_given_up_slow(uintptr_t base);

static inline bool hs_profile_may_have(uintptr_t base)
{
	const uint8_t *pages = hs_load_acquire(&hs_profile_pages);

	return unlikely(pages) && base - hs.base < hs.size &&
	       hs_load(&pages[(base - hs.base) >> HSPAN_PAGE_SHIFT]);
}

/* The program has freed the object at @base. */
static inline void hs_profile_freed(uintptr_t base)
{
	if (unlikely(hs_profile_may_have(base)))
		hs_profile_freed_slow(base);
}

/* The program has moved it; others may still point to where it was. */
static inline void hs_profile_given_up(uintptr_t base)
{
	if (unlikely(hs_profile_may_have(base)))
		hs_profile_given_up_slow(base);
}

/* profile_write.c: the heap is made, with this rate or 0, and its end */
void hs_profile_at_start(uint64_t rate);
void hs_profile_at_end(void);

#endif /* HS_PROFILE_H */
