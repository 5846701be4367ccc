// SPDX-License-Identifier: MIT
/* Active false sharing: threads allocate at once, and write to what they get. */
#include "hand.h"

#define WRITES 500

static long repetitions;

static void *work(void *arg)
{
	long i, j;

	(void)arg;
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
	long threads = hand_arg(argc, argv, 1, 2);

	repetitions = hand_arg(argc, argv, 2, 1000000);
	hand_threads(threads, work);
	return 0;
}
