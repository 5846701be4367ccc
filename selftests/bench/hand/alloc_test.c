// SPDX-License-Identifier: MIT
/*
 * Random life times over a large set of objects, mostly small ones: each
 * doubling of the size is half as frequent.  One thread.
 */
#include "hand.h"

#define MAX_LOG 13

static uint64_t state;

static size_t random_size(void)
{
	unsigned int log = 4;

	while (log < MAX_LOG && hand_random(&state) & 1)
		log++;
	return 1 + hand_below(&state, 1u << log);
}

int main(int argc, char **argv)
{
	long objects = hand_arg(argc, argv, 1, 200000), ops = hand_arg(argc, argv, 2, 12000000), i;
	unsigned char **set = calloc((size_t)objects, sizeof(*set));
	unsigned long sum = 0;

	state = hand_seed(1);
	for (i = 0; i < ops; i++) {
		unsigned char **at = &set[hand_below(&state, (uint32_t)objects)];

		if (*at) {
			sum += **at;
			free(*at);
			*at = NULL;
		} else {
			*at = hand_alloc(random_size());
		}
	}
	for (i = 0; i < objects; i++)
		free(set[i]);
	free(set);
	return sum == 1;
}
