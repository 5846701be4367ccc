// SPDX-License-Identifier: MIT
/*
 * Figures by name, as Go's runtime/metrics has them: who exports them need not
 * know them.
 */
#include <errno.h>
#include <string.h>

#include "timed.h"

#define FIGURE(field) offsetof(struct hspan_stats, field)

/**
 * struct metric - how one is made
 * @name: path, and unit behind the colon
 * @kind: HSPAN_METRIC_*
 * @from: offset in struct hspan_stats; of a histogram its number
 * @scale: divide by this, of a HSPAN_METRIC_FLOAT64
 */
struct metric {
	const char *name;
	unsigned int kind;
	size_t from;
	double scale;
};

static const struct metric metrics[] = {
	{"/cpu/classes/gc/mark/assist:cpu-seconds", HSPAN_METRIC_FLOAT64, FIGURE(assist_ns), 1e9},
	{"/cpu/classes/gc/mark/dedicated:cpu-seconds", HSPAN_METRIC_FLOAT64, FIGURE(mark_cpu_ns),
	 1e9},
	{"/cpu/classes/gc/sweep:cpu-seconds", HSPAN_METRIC_FLOAT64, FIGURE(sweep_cpu_ns), 1e9},
	{"/gc/assists:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_ASSIST, 0},
	{"/gc/cycles/forced:gc-cycles", HSPAN_METRIC_UINT64, FIGURE(num_forced), 0},
	{"/gc/cycles/total:gc-cycles", HSPAN_METRIC_UINT64, FIGURE(num_gc), 0},
	{"/gc/cycles:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_CYCLE, 0},
	{"/gc/handshakes/barrier:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_BARRIER, 0},
	{"/gc/handshakes/drain:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_DRAIN, 0},
	{"/gc/handshakes/flush:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_FLUSH, 0},
	{"/gc/handshakes/scan:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_SCAN, 0},
	{"/gc/handshakes/snapshot:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_SNAPSHOT, 0},
	{"/gc/heap/allocs:bytes", HSPAN_METRIC_UINT64, FIGURE(total_alloc), 0},
	{"/gc/heap/goal:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_goal), 0},
	{"/gc/heap/live:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_live), 0},
	{"/gc/limit:bytes", HSPAN_METRIC_UINT64, FIGURE(limit), 0},
	{"/gc/marks:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_MARK, 0},
	{"/gc/pauses:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_STOP, 0},
	{"/gc/sweep/spans:spans", HSPAN_METRIC_UINT64, FIGURE(spans_swept), 0},
	{"/gc/waits:seconds", HSPAN_METRIC_HISTOGRAM, HS_TIMED_WAIT, 0},
	{"/memory/classes/heap/free:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_idle), 0},
	{"/memory/classes/heap/objects:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_alloc), 0},
	{"/memory/classes/heap/released:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_released), 0},
	{"/memory/classes/total:bytes", HSPAN_METRIC_UINT64, FIGURE(heap_sys), 0},
	{"/sched/threads:threads", HSPAN_METRIC_UINT64, FIGURE(threads), 0},
};

#define NR_METRICS (sizeof(metrics) / sizeof(*metrics))

HS_EXPORT const char *hspan_metric_name(size_t i)
{
	return i < NR_METRICS ? metrics[i].name : NULL;
}

static const struct metric *find(const char *name)
{
	for (size_t i = 0; i < NR_METRICS; i++)
		if (!strcmp(metrics[i].name, name))
			return &metrics[i];
	return NULL;
}

HS_EXPORT int hspan_metric_read(const char *name, struct hspan_metric *metric)
{
	struct hspan_stats st = {.struct_size = sizeof(st)};
	const struct metric *m = name && metric ? find(name) : NULL;
	uint64_t value;
	int ret;

	if (!m)
		return name && metric ? -ENOENT : -EINVAL;
	ret = hspan_stats_read(&st);
	if (ret)
		return ret;
	*metric = (struct hspan_metric){.kind = m->kind};
	if (m->kind == HSPAN_METRIC_HISTOGRAM) {
		hs_timed_read((enum hs_timed)m->from, &metric->histogram);
		return 0;
	}
	memcpy(&value, (const char *)&st + m->from, sizeof(value));
	if (m->kind == HSPAN_METRIC_FLOAT64)
		metric->float64 = (double)value / m->scale;
	else
		metric->uint64 = value;
	return 0;
}
