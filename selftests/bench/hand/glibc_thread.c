// SPDX-License-Identifier: MIT
/* Each thread replaces random ones of a thousand objects; small sizes prevail. */
#include "hand.h"

#define OBJECTS 1024

static long ops;

static void *work(void *arg)
{
	uint64_t state = hand_seed((uint64_t)arg);
	void **set = calloc(OBJECTS, sizeof(*set));
	long i;

	for (i = 0; i < ops; i++) {
		uint32_t r = hand_random(&state), shift = r % 12;
		void **at = &set[(r >> 8) % OBJECTS];

		free(*at);
		*at = hand_alloc(4 + (r >> 12) % (32768u >> shift >> 3));
	}
	for (i = 0; i < OBJECTS; i++)
		free(set[i]);
	free(set);
	return NULL;
}

int main(int argc, char **argv)
{
	ops = hand_arg(argc, argv, 2, 20000000);
	hand_threads(hand_arg(argc, argv, 1, 2), work);
	return 0;
}
