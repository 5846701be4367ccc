/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Runs of clear bits in the bitmap of a block's pages, found many at a time
 * by shifting the whole bitmap over itself.
 */
#ifndef _HUGESPAN_HEAP_RUNS_H
#define _HUGESPAN_HEAP_RUNS_H

/* Length of the longest run of clear bits of @used. */
unsigned int hspan_runs_longest(const unsigned long *used);

/*
 * Where the shortest run of at least @npages (not 0) clear bits begins, the
 * lowest if several are as short; HSPAN_BLOCK_PAGES if there is none.
 */
unsigned int hspan_runs_best(const unsigned long *used, unsigned int npages);

#endif /* _HUGESPAN_HEAP_RUNS_H */
