// SPDX-License-Identifier: MIT
/*
 * Histograms: a bucket for each quarter of a power of two, so that what is read
 * from one is off by less than a fifth; and a probe for each thing measured.
 *
 * Anybody adds to them at any time; a reader may see a sum before its count.
 */
#include <errno.h>
#include <string.h>

#include "probes.h"
#include "timed.h"

static struct hspan_histogram timed[HS_NR_TIMED];

static unsigned int bucket(uint64_t ns)
{
	unsigned int log, i;

	if (ns < 4)
		return (unsigned int)ns;
	log = 63 - (unsigned int)__builtin_clzll(ns);
	i = (log - 1) * 4 + (unsigned int)(ns >> (log - 2) & 3);
	return i < HSPAN_HISTOGRAM_BUCKETS ? i : HSPAN_HISTOGRAM_BUCKETS - 1;
}

HS_EXPORT uint64_t hspan_histogram_bound(unsigned int i)
{
	if (i >= HSPAN_HISTOGRAM_BUCKETS)
		return UINT64_MAX;
	return i < 4 ? i : (uint64_t)(4 + i % 4) << (i / 4 - 1);
}

static void probe(enum hs_timed what, uint64_t ns)
{
	switch (what) {
	case HS_TIMED_STOP:
		HS_PROBE1(stop, ns);
		break;
	case HS_TIMED_ASSIST:
		HS_PROBE1(assist, ns);
		break;
	case HS_TIMED_WAIT:
		HS_PROBE1(wait, ns);
		break;
	case HS_TIMED_MARK:
		HS_PROBE1(gc__marked, ns);
		break;
	case HS_TIMED_CYCLE:
		HS_PROBE1(gc__done, ns);
		break;
	default:
		HS_PROBE2(handshake__done, what - HS_TIMED_BARRIER, ns);
	}
}

void hs_timed(enum hs_timed what, uint64_t ns)
{
	struct hspan_histogram *h = &timed[what];
	uint64_t max = hs_load(&h->max);

	hs_add(&h->bucket[bucket(ns)], 1);
	hs_add(&h->count, 1);
	hs_add(&h->sum, ns);
	while (ns > max && !__atomic_compare_exchange_n(&h->max, &max, ns, 0, __ATOMIC_RELAXED,
							__ATOMIC_RELAXED))
		;
	probe(what, ns);
}

void hs_timed_read(enum hs_timed what, struct hspan_histogram *h)
{
	h->count = hs_load(&timed[what].count);
	h->sum = hs_load(&timed[what].sum);
	h->max = hs_load(&timed[what].max);
	for (int i = 0; i < HSPAN_HISTOGRAM_BUCKETS; i++)
		h->bucket[i] = hs_load(&timed[what].bucket[i]);
}

void hs_timed_reset(void)
{
	memset(timed, 0, sizeof(timed));
}

HS_EXPORT int hspan_gc_stats(struct hspan_gc_stats *stats)
{
	struct hspan_histogram *handshake;

	if (!stats || stats->struct_size < sizeof(*stats))
		return -EINVAL;
	if (hs.forked)
		return -ENOTSUP;
	handshake = stats->handshake;
	hs_timed_read(HS_TIMED_STOP, &stats->stop);
	for (unsigned int i = 0; i < HSPAN_NR_HANDSHAKES; i++)
		hs_timed_read(HS_TIMED_BARRIER + i, &handshake[i]);
	hs_timed_read(HS_TIMED_ASSIST, &stats->assist);
	hs_timed_read(HS_TIMED_WAIT, &stats->wait);
	hs_timed_read(HS_TIMED_MARK, &stats->mark);
	hs_timed_read(HS_TIMED_CYCLE, &stats->cycle);
	return 0;
}
