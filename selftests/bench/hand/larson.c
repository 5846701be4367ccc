// SPDX-License-Identifier: MIT
/*
 * A server: each thread replaces random ones of its objects, then ends and
 * leaves them to the next, which frees what another has allocated.
 */
#include "hand.h"

#define OBJECTS	 5000
#define OPS	 500000
#define MAX_SIZE 1000

struct desk {
	void *object[OBJECTS];
	uint64_t random;
};

static struct desk desks[HAND_MAX_THREADS];

static void *serve(void *arg)
{
	struct desk *d = &desks[(long)arg];
	long i;

	for (i = 0; i < OPS; i++) {
		void **at = &d->object[hand_below(&d->random, OBJECTS)];

		free(*at);
		*at = hand_alloc(8 + hand_below(&d->random, MAX_SIZE - 8));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = hand_arg(argc, argv, 1, 2), rounds = hand_arg(argc, argv, 2, 20), i;

	for (i = 0; i < threads; i++)
		desks[i].random = hand_seed((uint64_t)i);
	for (i = 0; i < rounds; i++)
		hand_threads(threads, serve);
	return 0;
}
