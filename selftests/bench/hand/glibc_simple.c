// SPDX-License-Identifier: MIT
/* One thread, one size at a time: pairs, and rows freed in and against order. */
#include "hand.h"

#define ROW 1600

int main(int argc, char **argv)
{
	static const size_t sizes[] = {8, 16, 32, 64, 128, 256, 512, 1024};
	static void *row[ROW];
	long rounds = hand_arg(argc, argv, 1, 1200), r, i;
	size_t s;

	for (r = 0; r < rounds; r++) {
		for (s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			for (i = 0; i < ROW; i++)
				free(hand_alloc(sizes[s]));
			for (i = 0; i < ROW; i++)
				row[i] = hand_alloc(sizes[s]);
			for (i = 0; i < ROW; i++)
				free(row[i]);
			for (i = 0; i < ROW; i++)
				row[i] = hand_alloc(sizes[s]);
			for (i = ROW - 1; i >= 0; i--)
				free(row[i]);
		}
	}
	return 0;
}
