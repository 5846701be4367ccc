/* SPDX-License-Identifier: MIT */
/* Lines on standard error about what the collector has done: HUGESPAN_TRACE. */
#ifndef HS_TRACE_H
#define HS_TRACE_H

#include "internal.h"

/**
 * struct hs_cycle - what one cycle was like
 * @start, @scanned, @settling, @end: instants: it began; all had acked SCAN; all was
 *	marked that the program can reach; marking was over
 * @heap_before, @heap_after: bytes when marking began and ended
 * @marked, @objects: by it
 * @black: bytes allocated meanwhile
 * @forced: somebody asked for it
 */
struct hs_cycle {
	uint64_t start, scanned, settling, end;
	uint64_t heap_before, heap_after, marked, objects, black;
	bool forced;
};

static inline bool hs_traces(unsigned int what)
{
	return unlikely(hs.config.trace & what);
}

void hs_trace_gc(const struct hs_cycle *c);
void hs_trace_sweep(uint64_t spans, uint64_t ns);
void hs_trace_scavenge(uint64_t blocks, uint64_t bytes);

#endif /* HS_TRACE_H */
