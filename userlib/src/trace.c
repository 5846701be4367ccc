// SPDX-License-Identifier: MIT
/*
 * Lines on standard error about what the collector has done.
 *
 * That of a cycle has the fields of Go's gctrace, in their order and units, and
 * some more behind.  All are written by the collector's thread, but for that of a
 * program that gives blocks back itself.
 */
#include "pacer.h"
#include "trace.h"

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* Since the last line, or since the heap was made. */
static uint64_t since(uint64_t *last, uint64_t now)
{
	uint64_t before = *last <= now ? *last : 0;

	*last = now;
	return now - before;
}

void hs_trace_gc(const struct hs_cycle *c)
{
	static uint64_t assist_ns, mark_cpu_ns;
	struct hspan_stats st = {.struct_size = sizeof(st)};
	uint64_t age = hs_now() - hs_collector_born();

	hs_pacer_stats(&st);
	hs_collector_stats(&st);
	hs_log("hugespan: gc %llu @%.3fs %.0f%%: %.3f+%.3f+%.3f ms clock, %.3f/%.3f ms cpu, "
	       "%.1f->%.1f->%.1f MiB, %.1f MiB goal, %.1f MiB roots, %u P, "
	       "%.1f us longest stop, %llu objects, %s%s\n",
	       (unsigned long long)st.num_gc + 1, (double)age / 1e9,
	       100.0 * (double)(st.mark_cpu_ns + st.sweep_cpu_ns) / (double)age,
	       ms(c->scanned - c->start), ms(c->settling - c->scanned), ms(c->end - c->settling),
	       ms(since(&assist_ns, st.assist_ns)), ms(since(&mark_cpu_ns, st.mark_cpu_ns)),
	       mib(c->heap_before), mib(c->heap_after), mib(st.heap_live), mib(st.heap_goal),
	       mib(hs_pacer_roots_seen()), hs.config.markers, (double)hs_handshake_take_max() / 1e3,
	       (unsigned long long)c->objects, hs.backend->name, c->forced ? ", forced" : "");
}

void hs_trace_sweep(uint64_t spans, uint64_t ns)
{
	hs_log("hugespan: sweep: %llu spans in %.3f ms\n", (unsigned long long)spans, ms(ns));
}

void hs_trace_scavenge(uint64_t blocks, uint64_t bytes)
{
	hs_log("hugespan: scavenge: %.1f MiB given back, %.1f MiB were asked for\n", mib(bytes),
	       blocks > UINT32_MAX ? mib(bytes) : mib(blocks << HSPAN_BLOCK_SHIFT));
}
