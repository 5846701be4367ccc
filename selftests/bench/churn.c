// SPDX-License-Identifier: MIT
/*
 * A cache under load: live entries of an eight-node list and a 128-byte
 * payload; half of the operations replace one, the others read one, each is
 * timed.  Arguments: entries, operations, threads.
 */
#include <pthread.h>
#include <stdint.h>

#include "mem.h"

#define BUCKETS (1u << 20) /* of a microsecond each */
#define MAX_THREADS 16

struct node {
	struct node *next;
	uint64_t key, value;
};

struct entry {
	struct node *head;
	unsigned char *payload;
};

static struct entry **table;
static long entries = 1000000, operations = 8000000;
static int threads = 2;
static uint32_t *histogram[MAX_THREADS];
static pthread_mutex_t locks[256];

static struct entry *make(uint64_t key)
{
	struct entry *e = mem_alloc(sizeof(*e));
	struct node *head = NULL;

	for (uint64_t i = 0; i < 8; i++) {
		struct node *n = mem_alloc(sizeof(*n));

		n->next = head;
		n->key = key;
		n->value = i;
		head = n;
	}
	e->head = head;
	e->payload = mem_alloc_noscan(128);
	memset(e->payload, 0, 128);
	return e;
}

static void drop(struct entry *e)
{
	for (struct node *n = e->head, *next; n; n = next) {
		next = n->next;
		free(n);
	}
	free(e->payload);
	free(e);
}

static void replace(uint64_t key)
{
	struct entry *e = make(key);

	if (!COLLECTED)
		drop(table[key]);
	mem_store(&table[key], e);
}

static uint64_t read_entry(uint64_t key)
{
	uint64_t sum = 0;

	for (struct node *n = table[key]->head; n; n = n->next)
		sum += n->value;
	return sum;
}

static uint64_t operate(uint64_t random)
{
	uint64_t key = random % (uint64_t)entries, sum = 0;

	if (!COLLECTED)
		pthread_mutex_lock(&locks[key & 255]);
	if (random & 1)
		sum = read_entry(key);
	else
		replace(key);
	if (!COLLECTED)
		pthread_mutex_unlock(&locks[key & 255]);
	return sum;
}

static void *run(void *arg)
{
	long index = (long)arg;
	uint64_t s = (uint64_t)index * 0x9E3779B97F4A7C15ull + 1, sum = 0;

	mem_thread();
	for (long i = 0; i < operations / threads; i++) {
		double start = seconds(), took;

		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		sum += operate(s);
		took = (seconds() - start) * 1e6;
		histogram[index][took < BUCKETS ? (unsigned int)took : BUCKETS - 1]++;
	}
	return (void *)sum;
}

static void figure_latency(const char *metric, double share)
{
	long want = (long)((double)operations * share), seen = 0;

	for (unsigned int us = 0; us < BUCKETS; us++) {
		for (int t = 0; t < threads; t++)
			seen += histogram[t][us];
		if (seen >= want) {
			figure(metric, us, "us");
			return;
		}
	}
}

int main(int argc, char **argv)
{
	pthread_t thread[MAX_THREADS];
	double start;

	if (argc > 3) {
		entries = atol(argv[1]);
		operations = atol(argv[2]);
		threads = atoi(argv[3]);
	}
	if (threads < 1 || threads > MAX_THREADS || operations % threads)
		return 1;
	mem_init();
	mem_root(&table, sizeof(table));
	mem_store(&table, mem_alloc((size_t)entries * sizeof(*table)));
	for (int i = 0; i < 256; i++)
		pthread_mutex_init(&locks[i], NULL);
	for (long i = 0; i < entries; i++)
		mem_store(&table[i], make((uint64_t)i));
	start = seconds();
	for (long t = 0; t < threads; t++) {
		histogram[t] = calloc(BUCKETS, sizeof(**histogram));
		if (pthread_create(&thread[t], NULL, run, (void *)t))
			return 1;
	}
	for (int t = 0; t < threads; t++)
		mem_blocked(pthread_join(thread[t], NULL));
	figure("throughput", (double)operations / (seconds() - start) / 1e6, "M/s");
	figure_latency("p99.9", 0.999);
	figure_latency("p99.99", 0.9999);
	figure_latency("longest operation", 1);
	figure_usage();
	figure_collector();
	return 0;
}
