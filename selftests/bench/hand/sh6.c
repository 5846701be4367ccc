// SPDX-License-Identifier: MIT
/*
 * Rows of objects of rising and falling size, a part of each row freed at once,
 * forwards and backwards, the rest when the row is used again.  Threads do not
 * meet.
 */
#include "hand.h"

#define ROWS 24
#define ROW  600

static long rounds;

static size_t size_of(long i)
{
	return (size_t)(1 + (i % 5 == 0 ? i % 997 : i * 7 % 120));
}

static void drop(void **row, long i)
{
	free(row[i]);
	row[i] = NULL;
}

static void *work(void *arg)
{
	void *(*rows)[ROW] = calloc(ROWS, sizeof(*rows));
	long r, i;

	(void)arg;
	for (r = 0; r < rounds; r++) {
		void **row = rows[r % ROWS];

		for (i = 0; i < ROW; i++) {
			free(row[i]);
			row[i] = hand_alloc(size_of(i + r));
		}
		for (i = 0; i < ROW; i += 3)
			drop(row, i);
		for (i = ROW - 1; i >= ROW / 2; i -= 4)
			drop(row, i);
	}
	for (r = 0; r < ROWS; r++)
		for (i = 0; i < ROW; i++)
			free(rows[r][i]);
	free(rows);
	return NULL;
}

int main(int argc, char **argv)
{
	rounds = hand_arg(argc, argv, 2, 40000);
	hand_threads(hand_arg(argc, argv, 1, 2), work);
	return 0;
}
