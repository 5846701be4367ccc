// SPDX-License-Identifier: MIT
/* Sampling for the heap profile: distances, and the stacks of objects chosen. */
#include <unwind.h>

#include "profile.h"
#include "sample.h"

#define LOOK_BYTES HS_SAMPLE_RATE /* taken between two looks whether a profile was started */
#define OWN_FRAMES 16		  /* of the library, at most, below its caller's */

/* Of the series for the logarithm, good to 1e-9 for what is near 1. */
#define TERMS 6

/* -ln(@m / 2^53), @m from 1 to 2^53. */
static double minus_log(uint64_t m)
{
	unsigned int zeroes = (unsigned int)__builtin_clzll(m);
	double x = (double)(m << zeroes) / 0x1p64; /* [0.5, 1] */
	double s, power, sum = 0;
	int halvings = (int)zeroes - 11;

	if (x < 0.70710678118654752) {
		x *= 2;
		halvings++;
	}
	s = (x - 1) / (x + 1);
	power = s;
	for (int i = 0; i < TERMS; i++, power *= s * s)
		sum += power / (2 * i + 1);
	return halvings * 0.69314718055994531 - 2 * sum;
}

/* Threads draw different numbers, and the same in each run of a program. */
static uint64_t next_random(struct hs_thread *t)
{
	static uint64_t threads;
	uint64_t x;

	if (!t->random)
		t->random = hs_add(&threads, 1) << 32;
	t->random += 0x9e3779b97f4a7c15;
	x = t->random;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Bytes to the next sample; to the next look if there is no profile. */
static uint64_t draw(struct hs_thread *t, uint64_t rate)
{
	if (!rate)
		return LOOK_BYTES;
	return rate == 1 ? 0 : (uint64_t)(minus_log((next_random(t) >> 11) + 1) * (double)rate);
}

/* Is the distance over within @bytes, and one to a sample? */
static bool is_due(struct hs_thread *t, uint64_t bytes)
{
	uint64_t rate = hs_profile_rate();

	if (t->drawn != rate || !rate) {
		t->drawn = rate;
		t->unsampled = draw(t, rate);
	}
	if (rate && bytes > t->unsampled)
		return true;
	t->unsampled -= bytes < t->unsampled ? bytes : t->unsampled;
	return false;
}

uint32_t hs_sample_cut_slow(struct hs_thread *t, struct hs_held *held, uint32_t from, uint32_t to,
			    uint32_t size)
{
	uint32_t before = 0;

	if (!held->chosen) {
		if (!is_due(t, (uint64_t)(to - from) * size))
			return to;
		before = (uint32_t)(t->unsampled / size);
		t->unsampled = draw(t, t->drawn);
	}
	held->chosen = before;
	t->chosen = !before;
	return from + (before ? before : 1);
}

void hs_sample_large_slow(struct hs_thread *t, uint64_t bytes)
{
	if (!is_due(t, bytes))
		return;
	t->unsampled = draw(t, t->drawn);
	t->chosen = true;
}

/** struct capture - a stack as it is walked; @own frames of the library come first */
struct capture {
	uintptr_t caller;
	uint32_t depth;
	uint32_t own;
	uintptr_t pc[OWN_FRAMES + HS_STACK_MOST];
};

static _Unwind_Reason_Code see_frame(struct _Unwind_Context *context, void *arg)
{
	struct capture *c = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!pc || c->depth == c->own + HS_STACK_MOST)
		return _URC_END_OF_STACK;
	if (pc == c->caller && c->depth < OWN_FRAMES && !c->own)
		c->own = c->depth;
	c->pc[c->depth++] = pc;
	return _URC_NO_REASON;
}

/*
 * By the unwind tables, as frame pointers are mostly left out.  Not in a critical
 * section, for that takes some microseconds; it allocates nothing, and looks for
 * tables without a lock from glibc 2.35 on.
 */
void hs_sample_record(struct hs_thread *t, const void *p, const void *caller)
{
	struct capture c = { .caller = (uintptr_t)caller };

	t->chosen = false;
	_Unwind_Backtrace(see_frame, &c);
	hs_profile_add(p, c.pc + c.own, c.depth - c.own);
}
