// SPDX-License-Identifier: MIT
/*
 * Passive false sharing: each thread is given an object that lies beside the
 * others', frees it, and works in one of its own.
 */
#include "hand.h"

#define WRITES 500

static void *given[HAND_MAX_THREADS];
static long repetitions;

static void *work(void *arg)
{
	long i, j;

	free(given[(long)arg]);
	for (i = 0; i < repetitions; i++) {
		volatile char *p = hand_alloc(8);

		for (j = 0; j < WRITES; j++)
			p[j % 8]++;
		free((void *)p);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = hand_arg(argc, argv, 1, 2), i;

	repetitions = hand_arg(argc, argv, 2, 1000000);
	for (i = 0; i < threads; i++)
		given[i] = hand_alloc(8);
	hand_threads(threads, work);
	return 0;
}
