// SPDX-License-Identifier: MIT
/* The README's program: lists that nobody frees. */
#include <hugespan.h>
#include <stdio.h>

static struct node { struct node *next; long value; } *list;

int main(void)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	hspan_root_add(&list, sizeof(list));		/* not in the heap, points into it */
	for (long i = 0; i < 10000000; i++) {
		struct node *n = hspan_alloc(sizeof(*n));	/* never freed by hand */
		if (!n)
			return 1;
		*n = (struct node){ i % 1000 ? list : NULL, i };	/* still ours alone */
		hspan_store(&list, n);			/* now it is not: the barrier */
	}
	hspan_stats_read(&st);
	return printf("%lu collections, %lu KiB held\n", st.num_gc, st.heap_sys >> 10) < 0;
}
