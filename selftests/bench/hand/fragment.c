// SPDX-License-Identifier: MIT
/*
 * How much memory is held for what is live, after a long mix of sizes, and after
 * the program has changed to other sizes.
 *
 * Sizes come from a Markov chain over bands, so that they come in runs, as they
 * do in programs; objects die at random.  The second phase has only the bands
 * that the first had not.
 */

#include "hand.h"

#define LIVE  (256ul << 20) /* bytes */
#define SLOTS (1u << 22)
#define BANDS 12 /* of sizes: 16 to 32 bytes, 32 to 64, ... */

static struct object {
	void *p;
	uint32_t size;
} *slots;

static uint32_t nr;
static size_t live;
static uint64_t state;

/* Stays in a band for some twenty objects; small ones are likelier by their number. */
static uint32_t next_band(uint32_t band, uint32_t odd)
{
	uint32_t to;

	if (hand_below(&state, 20))
		return band;
	to = hand_below(&state, BANDS / 2);
	if (hand_below(&state, 4))
		to = hand_below(&state, to + 1);
	return to * 2 + odd;
}

static void drop_one(void)
{
	uint32_t i = hand_below(&state, nr);

	live -= slots[i].size;
	free(slots[i].p);
	slots[i] = slots[--nr];
}

/* Allocate @bytes in all, of bands that are @odd or are not. */
static void mix(size_t bytes, uint32_t odd)
{
	uint32_t band = odd;

	for (size_t done = 0; done < bytes;) {
		uint32_t least = 16u << band, size = least + hand_below(&state, least);

		while (live + size > LIVE || nr == SLOTS)
			drop_one();
		slots[nr++] = (struct object){ memset(hand_alloc(size), 1, size), size };
		live += size;
		done += size;
		band = next_band(band, odd);
	}
}

int main(void)
{
	size_t base;

	state = hand_seed(5);
	slots = malloc(SLOTS * sizeof(*slots));
	memset(slots, 1, SLOTS * sizeof(*slots));
	base = hand_resident();
	mix(12 * LIVE, 0);
	printf("held after a mix\t%.3f\tx\n", (double)(hand_resident() - base) / (double)live);
	mix(6 * LIVE, 1);
	printf("held after a change\t%.3f\tx\n", (double)(hand_resident() - base) / (double)live);
	return 0;
}
