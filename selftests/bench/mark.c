// SPDX-License-Identifier: MIT
/*
 * Time to mark a live heap, for several shapes of it.
 *
 *	mark SHAPE [NODES]
 *
 *	tree	nodes of 32 bytes, a binary tree laid over shuffled addresses
 *	typed	the same, and the type says which words are pointers
 *	list	the same nodes in a row: there is nothing to prefetch
 *	noscan	the tree, and each node has 64 bytes without pointers
 *	dense	nodes of 16 bytes, a binary tree in the order it was built in
 */
#include <stdint.h>

#include "mem.h"

struct node {
	struct node *left, *right;
	uint64_t a;
	void *b;
};

static struct node **order, *root;
static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void shuffle(long n)
{
	for (long i = n - 1; i > 0; i--) {
		struct node *t = order[i];
		long j = (long)(next_random() % (uint64_t)(i + 1));

		mem_store(&order[i], order[j]);
		mem_store(&order[j], t);
	}
}

/* @n nodes in no order. */
static void make_nodes(long n, int typed)
{
	static const unsigned long pointers[] = {3};

	if (typed)
		mem_type(pointers, 4);
	mem_store(&order, mem_alloc((size_t)n * sizeof(*order)));
	for (long i = 0; i < n; i++)
		mem_store(&order[i], typed ? mem_alloc_typed(sizeof(struct node))
					   : mem_alloc(sizeof(struct node)));
	shuffle(n);
	for (long i = 0; typed && i < n; i++)
		order[i]->a = next_random();
}

static void link_tree(long n)
{
	for (long i = 0; i < n; i++) {
		mem_store(&order[i]->left, 2 * i + 1 < n ? order[2 * i + 1] : NULL);
		mem_store(&order[i]->right, 2 * i + 2 < n ? order[2 * i + 2] : NULL);
	}
}

static void link_list(long n)
{
	for (long i = 0; i + 1 < n; i++)
		mem_store(&order[i]->left, order[i + 1]);
}

static void add_payload(long n)
{
	for (long i = 0; i < n; i++)
		mem_store(&order[i]->b, mem_alloc_noscan(64));
	shuffle(n);
}

/* Nodes of two words; as many as were made. */
static long make_dense(void **slot, int depth)
{
	void **t = mem_alloc(2 * sizeof(void *));

	mem_store(slot, t);
	return depth ? 1 + make_dense(&t[0], depth - 1) + make_dense(&t[1], depth - 1) : 1;
}

static int depth_of(long n)
{
	int depth = 0;

	while (1l << (depth + 2) <= n + 1)
		depth++;
	return depth;
}

/* Returns the number of objects, or 0: there is no such shape. */
static __attribute__((noinline)) long build(const char *shape, long n)
{
	if (!strcmp(shape, "dense"))
		return make_dense((void **)&root, depth_of(n));
	if (strcmp(shape, "tree") && strcmp(shape, "typed") && strcmp(shape, "list") &&
	    strcmp(shape, "noscan"))
		return 0;
	make_nodes(n, !strcmp(shape, "typed"));
	if (!strcmp(shape, "noscan"))
		add_payload(n);
	if (!strcmp(shape, "list"))
		link_list(n);
	else
		link_tree(n);
	mem_store(&root, order[0]);
	mem_store(&order, NULL);
	return !strcmp(shape, "noscan") ? 2 * n : n;
}

/** struct times - seconds: by the clock, and of all CPUs */
struct times {
	double wall, cpu;
};

static void better(double *best, double t)
{
	if (!*best || t < *best)
		*best = t;
}

#ifdef USE_HUGESPAN
static void mark(struct times *best)
{
	struct hspan_stats a = { .struct_size = sizeof(a) }, b = a;

	hspan_stats_read(&a);
	hspan_gc();
	hspan_stats_read(&b);
	better(&best->wall, (double)(b.mark_ns - a.mark_ns) / 1e9);
	better(&best->cpu, (double)(b.mark_cpu_ns - a.mark_cpu_ns) / 1e9);
}
#else
static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void mark(struct times *best)
{
	double wall = seconds(), cpu = cpu_seconds();

	mem_collect();
	better(&best->wall, seconds() - wall);
	better(&best->cpu, cpu_seconds() - cpu);
}
#endif

int main(int argc, char **argv)
{
	const char *shape = argc > 1 ? argv[1] : "tree";
	long n = argc > 2 ? atol(argv[2]) : 16l << 20;
	struct times best = {0, 0};

	mem_init();
	mem_root(&root, sizeof(root));
	mem_root(&order, sizeof(order));
	n = build(shape, n);
	if (!n)
		return 1;
	mem_collect();
	for (int k = 0; k < 3; k++)
		mark(&best);
	figure("mark", best.wall * 1e9 / (double)n, "ns/object");
	figure("mark cpu", best.cpu * 1e9 / (double)n, "ns/object");
	figure_usage();
	return 0;
}
