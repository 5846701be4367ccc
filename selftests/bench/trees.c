// SPDX-License-Identifier: MIT
/* binary-trees: many short-lived trees beside a long-lived one; argument: depth. */
#include "mem.h"

struct tree {
	struct tree *left, *right;
};

static struct tree *make(int depth)
{
	struct tree *t = mem_alloc(sizeof(*t));

	t->left = t->right = NULL; /* initializing stores: nobody else sees it */
	if (depth > 0) {
		t->left = make(depth - 1);
		t->right = make(depth - 1);
	}
	return t;
}

static long count(const struct tree *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

static void drop(struct tree *t)
{
	if (COLLECTED)
		return;
	if (t->left) {
		drop(t->left);
		drop(t->right);
	}
	free(t);
}

int main(int argc, char **argv)
{
	int max = argc > 1 ? atoi(argv[1]) : 20, min = 4;
	struct tree *stretch, *keep;
	double start;
	long sum = 0;

	mem_init();
	start = seconds();
	stretch = make(max + 1);
	sum += count(stretch);
	drop(stretch);
	stretch = NULL;
	keep = make(max);
	for (int d = min; d <= max; d += 2) {
		for (int i = 0; i < 1 << (max - d + min); i++) {
			struct tree *t = make(d);

			sum += count(t);
			drop(t);
		}
	}
	sum += count(keep);
	figure("wall", seconds() - start, "s");
	figure_usage();
	figure_collector();
	fprintf(stderr, "%ld nodes\n", sum);
	return 0;
}
