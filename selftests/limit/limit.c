// SPDX-License-Identifier: MIT
/*
 * A program that would like more memory than its cgroup has: so many MiB live,
 * and so many allocated in all, each object checked before it is dropped.
 *
 *	limit LIVE_MIB ALLOC_MIB [scan]
 *
 * With "scan" its data might hold pointers, for all that the collector knows.
 * Built for hugespan and for libgc.  Says what it took; 1 if memory ran out, 2
 * if an object was not what it should be.
 */
#include <stdint.h>

#include "../bench/mem.h"

#define PAYLOAD_LEAST 256u
#define PAYLOAD_MORE 1792u /* up to so much more: 1152 on average */

struct entry {
	uint64_t key;
	uint64_t size;
	uint64_t *payload;
};

static struct entry **table;
static int scanned;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static struct entry *make(uint64_t key, uint64_t *random)
{
	uint64_t words = (PAYLOAD_LEAST + next_random(random) % PAYLOAD_MORE) / 8;
	uint64_t *payload = scanned ? mem_alloc(words * 8) : mem_alloc_noscan(words * 8);
	struct entry *e = payload ? mem_alloc(sizeof(*e)) : NULL;

	if (!e) {
		printf("no memory\n");
		exit(1);
	}
	payload[0] = key;
	payload[words / 2] = ~key;
	payload[words - 1] = key;
	e->key = key;
	e->size = words;
	e->payload = payload;
	return e;
}

static void check(const struct entry *e, uint64_t key)
{
	uint64_t words = e->size;

	if (e->key == key && e->payload[0] == key && e->payload[words / 2] == ~key &&
	    e->payload[words - 1] == key)
		return;
	printf("entry %lu was overwritten\n", (unsigned long)key);
	exit(2);
}

#if defined(USE_HUGESPAN)
static void figure_limit(void)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	hspan_stats_read(&st);
	figure("limit in force", (double)(st.limit >> 20), "MiB");
	figure("from", (double)st.limit_from, "");
	figure("held", (double)(st.heap_sys >> 20), "MiB");
	figure("waited", (double)st.wait_ns / 1e9, "s");
	figure("marking", (double)st.mark_cpu_ns / 1e9, "s");
}
#else
static void figure_limit(void)
{
	figure("held", (double)(GC_get_heap_size() >> 20), "MiB");
	figure("collections", (double)GC_get_gc_no(), "");
}
#endif

int main(int argc, char **argv)
{
	uint64_t random = 88172645463325252ull, entries, bytes = 0, most;
	double start = seconds();

	if (argc < 3)
		return 3;
	scanned = argc > 3;
	entries = strtoull(argv[1], NULL, 10) * (1 << 20) /
		  (PAYLOAD_LEAST + PAYLOAD_MORE / 2 + sizeof(struct entry));
	most = strtoull(argv[2], NULL, 10) << 20;
	mem_init();
	mem_root(&table, sizeof(table));
	mem_store(&table, mem_alloc(entries * sizeof(*table)));
	for (uint64_t i = 0; i < entries; i++) {
		mem_store(&table[i], make(i, &random));
		bytes += table[i]->size * 8 + sizeof(struct entry);
	}
	figure("live", (double)(bytes >> 20), "MiB");
	while (bytes < most) {
		uint64_t i = next_random(&random) % entries;

		check(table[i], i);
		mem_store(&table[i], make(i, &random));
		bytes += table[i]->size * 8 + sizeof(struct entry);
	}
	for (uint64_t i = 0; i < entries; i++)
		check(table[i], i);
	figure("allocated", (double)(bytes >> 20), "MiB");
	figure("took", seconds() - start, "s");
	figure_usage();
	figure_collector();
	figure_limit();
	return 0;
}
