/* SPDX-License-Identifier: MIT */
/*
 * Which objects the heap profile samples: what the allocator asks.
 *
 * Each byte taken is a sample with probability 1 / rate, so an object of n bytes
 * is one with 1 - exp(-n / rate), whatever came before it.  The distance to the
 * next such byte is drawn ahead, and a run is cut short before the object it
 * falls into; that one is a run for itself.  So between samples allocation costs
 * nothing, and a run a comparison and a subtraction.
 *
 * The object chosen is of the class whose run was cut, whichever class the
 * thread allocates from next: otherwise what is allocated seldom would have the
 * samples of its neighbours.  A new distance counts from behind it.
 */
#ifndef HS_SAMPLE_H
#define HS_SAMPLE_H

#include "internal.h"

#define HS_SAMPLE_RATE (512u << 10)

uint32_t hs_sample_cut_slow(struct hs_thread *t, struct hs_held *held, uint32_t from, uint32_t to,
			    uint32_t size);
void hs_sample_large_slow(struct hs_thread *t, uint64_t bytes);

/* Slots [@from, @to) of @held are to be a run.  Where it has to end instead. */
static inline uint32_t hs_sample_cut(struct hs_thread *t, struct hs_held *held, uint32_t from,
				     uint32_t to, uint32_t size)
{
	uint64_t bytes = (uint64_t)(to - from) * size;

	if (unlikely(held->chosen || bytes > t->unsampled))
		return hs_sample_cut_slow(t, held, from, to, size);
	t->unsampled -= bytes;
	return to;
}

/* A large object is allocated. */
static inline void hs_sample_large(struct hs_thread *t, uint64_t bytes)
{
	if (unlikely(bytes > t->unsampled))
		hs_sample_large_slow(t, bytes);
	else
		t->unsampled -= bytes;
}

/*
 * Record @p, which was chosen.  What is left out of its stack is what the caller
 * of the library, to whom it returns at @caller, has not called.
 */
void hs_sample_record(struct hs_thread *t, const void *p, const void *caller);

#endif /* HS_SAMPLE_H */
