// SPDX-License-Identifier: MIT
/*
 * Time to mark a live heap: 32-byte nodes, a binary tree laid over shuffled
 * addresses, so that every node is a cache miss.  Argument: nodes.
 */
#include <stdint.h>

#include "mem.h"

struct node {
	struct node *left, *right;
	uint64_t a, b;
};

static struct node **order, *root;

static void shuffle(long n)
{
	uint64_t s = 88172645463325252ull;

	for (long i = n - 1; i > 0; i--) {
		struct node *t = order[i];
		long j;

		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		j = (long)(s % (uint64_t)(i + 1));
		mem_store(&order[i], order[j]);
		mem_store(&order[j], t);
	}
}

#ifdef USE_HUGESPAN
static double mark_time(void)
{
	struct hspan_stats a = { .struct_size = sizeof(a) }, b = a;

	hspan_stats_read(&a);
	hspan_gc();
	hspan_stats_read(&b);
	return (double)(b.mark_ns - a.mark_ns) / 1e9;
}
#else
static double mark_time(void)
{
	double start = seconds();

	mem_collect();
	return seconds() - start;
}
#endif

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 16l << 20;
	double best = 1e9;

	mem_init();
	mem_root(&root, sizeof(root));
	mem_root(&order, sizeof(order));
	mem_store(&order, mem_alloc((size_t)n * sizeof(*order)));
	for (long i = 0; i < n; i++)
		mem_store(&order[i], mem_alloc(sizeof(struct node)));
	shuffle(n);
	for (long i = 0; i < n; i++) {
		mem_store(&order[i]->left, 2 * i + 1 < n ? order[2 * i + 1] : NULL);
		mem_store(&order[i]->right, 2 * i + 2 < n ? order[2 * i + 2] : NULL);
	}
	mem_store(&root, order[0]);
	mem_store(&order, NULL);
	mem_collect();
	for (int k = 0; k < 3; k++) {
		double t = mark_time();

		best = t < best ? t : best;
	}
	figure("mark", best * 1e9 / (double)n, "ns/object");
	figure_usage();
	return 0;
}
