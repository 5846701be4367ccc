// SPDX-License-Identifier: MIT
/* Half of the threads allocate, the other half free: batches go by a queue. */
#include "hand.h"

#define BATCH	4096
#define WAITING 16

struct batch {
	struct batch *next;
	void *object[BATCH];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *first;
	long nr, producers;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0};

static long batches, pairs;

static void put(struct batch *b)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.nr >= WAITING)
		pthread_cond_wait(&queue.changed, &queue.lock);
	b->next = queue.first;
	queue.first = b;
	if (!queue.nr++)
		pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

static struct batch *get(void)
{
	struct batch *b;

	pthread_mutex_lock(&queue.lock);
	while (!queue.first && queue.producers)
		pthread_cond_wait(&queue.changed, &queue.lock);
	b = queue.first;
	if (b) {
		queue.first = b->next;
		if (queue.nr-- == WAITING)
			pthread_cond_broadcast(&queue.changed);
	}
	pthread_mutex_unlock(&queue.lock);
	return b;
}

static void produce(uint64_t state)
{
	static const size_t sizes[] = {8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 257, 320, 512};
	long i, j;

	for (i = 0; i < batches; i++) {
		struct batch *b = hand_alloc(sizeof(*b));

		for (j = 0; j < BATCH; j++)
			b->object[j] = hand_alloc(
				sizes[hand_below(&state, sizeof(sizes) / sizeof(*sizes))]);
		put(b);
	}
	pthread_mutex_lock(&queue.lock);
	queue.producers--;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

static void consume(void)
{
	struct batch *b;
	long i;

	while ((b = get())) {
		for (i = 0; i < BATCH; i++)
			free(b->object[i]);
		free(b);
	}
}

static void *work(void *arg)
{
	if ((long)arg < pairs)
		produce(hand_seed((uint64_t)arg));
	else
		consume();
	return NULL;
}

int main(int argc, char **argv)
{
	pairs = (hand_arg(argc, argv, 1, 2) + 1) / 2;
	batches = hand_arg(argc, argv, 2, 8000);
	queue.producers = pairs;
	hand_threads(pairs * 2, work);
	return 0;
}
