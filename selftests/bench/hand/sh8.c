// SPDX-License-Identifier: MIT
/*
 * As sh6, but a thread gives each row it has filled to the others and frees
 * those that it is given.
 */
#include <stdatomic.h>

#include "hand.h"

#define ROW   400
#define SLOTS 64

static long rounds;
static _Atomic(void **) board[SLOTS];

static void free_row(void **row)
{
	long i;

	for (i = 0; row && i < ROW; i++)
		free(row[i]);
	free(row);
}

static void *work(void *arg)
{
	uint64_t state = hand_seed((uint64_t)arg);
	long r, i;

	for (r = 0; r < rounds; r++) {
		void **row = malloc(ROW * sizeof(*row));

		for (i = 0; i < ROW; i++)
			row[i] = hand_alloc(1 + (hand_below(&state, 8) ? hand_below(&state, 100)
								       : hand_below(&state, 1000)));
		for (i = (long)hand_below(&state, 3); i < ROW; i += 3) {
			free(row[i]);
			row[i] = NULL;
		}
		free_row(atomic_exchange(&board[hand_below(&state, SLOTS)], row));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long i;

	rounds = hand_arg(argc, argv, 2, 30000);
	hand_threads(hand_arg(argc, argv, 1, 2), work);
	for (i = 0; i < SLOTS; i++)
		free_row(board[i]);
	return 0;
}
