// SPDX-License-Identifier: MIT
/*
 * Objects of 16 bytes to 16 KB in a table that is gone through in leaps; every
 * so often a thread passes all it has to the next one, which frees it.
 */
#include <stdatomic.h>

#include "hand.h"

#define TABLE	   1000
#define PASS_EVERY 40

static long rounds, threads;
static _Atomic(void **) parcels[HAND_MAX_THREADS];

static void free_table(void **table)
{
	long i;

	for (i = 0; table && i < TABLE; i++)
		free(table[i]);
	free(table);
}

static size_t random_size(uint64_t *state)
{
	uint32_t low = hand_below(state, 16000), other = hand_below(state, 16000);

	return 16 + (low < other ? low : other) / (1 + hand_below(state, 16));
}

static void *work(void *arg)
{
	long me = (long)arg, r, i;
	uint64_t state = hand_seed((uint64_t)me);
	void **table = calloc(TABLE, sizeof(*table));

	for (r = 0; r < rounds; r++) {
		long at = (long)hand_below(&state, TABLE), leap = 1 + (long)hand_below(&state, 7);

		for (i = 0; i < TABLE / 2; i++, at = (at + leap) % TABLE) {
			free(table[at]);
			table[at] = hand_alloc(random_size(&state));
		}
		if (r % PASS_EVERY == PASS_EVERY - 1) {
			free_table(atomic_exchange(&parcels[(me + 1) % threads], table));
			table = calloc(TABLE, sizeof(*table));
		}
	}
	free_table(table);
	return NULL;
}

int main(int argc, char **argv)
{
	long i;

	threads = hand_arg(argc, argv, 1, 2);
	rounds = hand_arg(argc, argv, 2, 16000);
	hand_threads(threads, work);
	for (i = 0; i < threads; i++)
		free_table(parcels[i]);
	return 0;
}
