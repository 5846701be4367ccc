// SPDX-License-Identifier: MIT
/* What the collector tells of itself: histograms, figures by name, trace lines. */
#include "common.h"

static void make_garbage(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		must(hspan_alloc(200));
}

static struct hspan_gc_stats read_gc(void)
{
	struct hspan_gc_stats gc = { .struct_size = sizeof(gc) };

	must(hspan_gc_stats(&gc) == 0);
	return gc;
}

static uint64_t in_buckets(const struct hspan_histogram *h)
{
	uint64_t n = 0;

	for (int i = 0; i < HSPAN_HISTOGRAM_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

/* The times in the buckets are those that the sum is of. */
static void check_histogram(const struct hspan_histogram *h)
{
	uint64_t least = 0, most = 0;

	must(in_buckets(h) == h->count && h->max <= h->sum);
	for (unsigned int i = 0; i < HSPAN_HISTOGRAM_BUCKETS; i++) {
		least += h->bucket[i] * hspan_histogram_bound(i);
		most += h->bucket[i] ? h->bucket[i] * (hspan_histogram_bound(i + 1) - 1) : 0;
		if (h->bucket[i])
			must(h->max >= hspan_histogram_bound(i));
	}
	must(least <= h->sum && h->sum <= most);
}

static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(hspan_histogram_bound(0), 0);
	assert_int_equal(hspan_histogram_bound(4), 4);
	assert_int_equal(hspan_histogram_bound(8), 8);
	for (unsigned int i = 1; i < HSPAN_HISTOGRAM_BUCKETS; i++) {
		uint64_t low = hspan_histogram_bound(i - 1), high = hspan_histogram_bound(i);

		assert_true(low < high);
		assert_true(i < 5 || high - low <= low / 4);
	}
	assert_true(hspan_histogram_bound(HSPAN_HISTOGRAM_BUCKETS) == UINT64_MAX);
}

static void test_gc_stats(void **state)
{
	struct hspan_gc_stats before = read_gc(), after, none = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		elsewhere(make_garbage, NULL);
		hspan_gc();
	}
	after = read_gc();
	assert_int_equal(after.cycle.count - before.cycle.count, 3);
	assert_int_equal(after.mark.count - before.mark.count, 3);
	for (int i = 0; i < HSPAN_NR_HANDSHAKES; i++) {
		uint64_t n = after.handshake[i].count - before.handshake[i].count;

		if (i == HSPAN_HANDSHAKE_DRAIN)
			assert_true(n >= 3);
		else
			assert_int_equal(n, i == HSPAN_HANDSHAKE_SNAPSHOT ? 0 : 3);
		check_histogram(&after.handshake[i]);
	}
	assert_true(after.cycle.sum >= after.mark.sum);
	check_histogram(&after.stop);
	check_histogram(&after.assist);
	check_histogram(&after.wait);
	check_histogram(&after.mark);
	check_histogram(&after.cycle);
	assert_int_equal(after.stop.count, read_stats().handshakes);
	assert_int_equal(hspan_gc_stats(&none), -EINVAL);
}

static void test_metrics(void **state)
{
	struct hspan_metric m;
	size_t n = 0, histograms = 0;

	(void)state;
	hspan_gc();
	for (; hspan_metric_name(n); n++) {
		assert_int_equal(hspan_metric_read(hspan_metric_name(n), &m), 0);
		assert_true(strchr(hspan_metric_name(n), ':') != NULL);
		assert_true(!n || strcmp(hspan_metric_name(n - 1), hspan_metric_name(n)) < 0);
		histograms += m.kind == HSPAN_METRIC_HISTOGRAM;
	}
	assert_int_equal(histograms, 10); /* all there are */
	assert_int_equal(hspan_metric_read("/gc/cycles/total:gc-cycles", &m), 0);
	assert_int_equal(m.uint64, read_stats().num_gc);
	assert_int_equal(hspan_metric_read("/gc/pauses:seconds", &m), 0);
	assert_int_equal(m.histogram.count, read_stats().handshakes);
	assert_int_equal(hspan_metric_read("/cpu/classes/gc/mark/dedicated:cpu-seconds", &m), 0);
	assert_true(m.float64 > 0 && m.float64 * 1e9 <= (double)read_stats().mark_cpu_ns + 1);
	assert_int_equal(hspan_metric_read("/gc/nothing", &m), -ENOENT);
	assert_int_equal(hspan_metric_read(NULL, &m), -EINVAL);
}

static int trace_all(const void *path)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	must(freopen(path, "w", stderr));
	setenv("HUGESPAN_TRACE", "gc,pacer,sweep,scavenge", 1);
	if (hspan_init(&o))
		return 1;
	for (int i = 0; i < 1000; i++)
		must(hspan_alloc_noscan(30000));
	hspan_gc();
	hspan_release();
	return hspan_shutdown();
}

/* Fields as a program that knows gctrace reads them, and a line of each other kind. */
static void test_trace(void **state)
{
	char path[] = "/tmp/hspan-trace-XXXXXX", line[512];
	bool pacer = false, sweep = false, scavenge = false;
	double at, clock[3], cpu[2], heap[3], goal, roots;
	int gc = 0, number, percent, p, fd = mkstemp(path);
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(in_child(trace_all, path), 0);
	f = fdopen(fd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		pacer |= !strncmp(line, "hugespan: pacer: ", 17);
		sweep |= !strncmp(line, "hugespan: sweep: ", 17);
		scavenge |= !strncmp(line, "hugespan: scavenge: ", 20);
		if (strncmp(line, "hugespan: gc ", 13))
			continue;
		assert_int_equal(sscanf(line, "hugespan: gc %d @%lfs %d%%: %lf+%lf+%lf ms clock, "
					"%lf/%lf ms cpu, %lf->%lf->%lf MiB, %lf MiB goal, "
					"%lf MiB roots, %d P,", &number, &at, &percent, &clock[0],
					&clock[1], &clock[2], &cpu[0], &cpu[1], &heap[0], &heap[1],
					&heap[2], &goal, &roots, &p), 14);
		assert_int_equal(number, ++gc);
	}
	fclose(f);
	unlink(path);
	assert_true(gc > 0 && pacer && sweep && scavenge);
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_bounds),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gc_stats),
		cmocka_unit_test(test_metrics),
	};
	int ret = cmocka_run_group_tests(before, NULL, NULL);

	return ret + run_group(tests);
}
