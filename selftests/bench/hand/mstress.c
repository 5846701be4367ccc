// SPDX-License-Identifier: MIT
/*
 * Threads that come and go; each keeps some objects for the length of its life,
 * frees some at once, and puts some in places where another finds and frees
 * them.  Some objects are a hundred times as large as the others.
 */
#include <stdatomic.h>

#include "hand.h"

#define TRANSFER 1000
#define KEEP	 8000

static long scale;
static _Atomic(void *) transfer[TRANSFER];

static void *make(uint64_t *state)
{
	size_t words = 1u << hand_below(state, 6), i;
	uintptr_t *p;

	if (!hand_below(state, 500))
		words *= 100;
	words += hand_below(state, (uint32_t)words);
	p = malloc(words * sizeof(*p));
	for (i = 0; i < words; i++)
		p[i] = words - i;
	return p;
}

static void check_and_free(void *object)
{
	uintptr_t *p = object, words, i;

	if (!p)
		return;
	words = p[0];
	for (i = 0; i < words; i++)
		if (p[i] != words - i)
			abort();
	free(p);
}

static void *work(void *arg)
{
	uint64_t state = hand_seed((uint64_t)arg);
	void **kept = calloc(KEEP, sizeof(*kept));
	long i, n = KEEP * scale;

	for (i = 0; i < n; i++) {
		void *p = make(&state);
		void **at = &kept[hand_below(&state, KEEP)];

		if (hand_below(&state, 10) < 4) {
			check_and_free(p);
			p = NULL;
		} else if (!hand_below(&state, 4)) {
			p = atomic_exchange(&transfer[hand_below(&state, TRANSFER)], p);
		}
		check_and_free(*at);
		*at = p;
	}
	for (i = 0; i < KEEP; i++)
		check_and_free(kept[i]);
	free(kept);
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = hand_arg(argc, argv, 1, 2), i, rounds = hand_arg(argc, argv, 3, 20);

	scale = hand_arg(argc, argv, 2, 40);
	for (i = 0; i < rounds; i++)
		hand_threads(threads, work);
	for (i = 0; i < TRANSFER; i++)
		check_and_free(transfer[i]);
	return 0;
}
