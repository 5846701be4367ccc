// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module's system calls and page faults cost, in instructions, beside
 * the same work done with anonymous huge pages, hugetlbfs and small pages.
 *
 *	kernel_cost [BLOCKS [RIVALS-BLOCKS [SUFFIX]]]
 *
 * With no BLOCKS only calls that need none are measured; SUFFIX is for names of
 * systems.
 * For a virtual machine with one CPU that counts instructions, where the time
 * stamp counter is that count.  Prints lines of bench, metric, system, value
 * and unit; a metric is the median of its samples, metric-mean their mean.
 * Ends with 1 if a limit is exceeded.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <linux/hugespan.h>

#define BLOCK		HSPAN_BLOCK_SIZE
#define SMALL_PAGE	4096UL
#define ROUNDS		2000	/* of what is short */
#define MAX_SAMPLES	4096
#define RW		(PROT_READ | PROT_WRITE)
#define POOL		"/sys/devices/virtual/misc/hugespan/pool/"
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A span class of one-page spans with 256 objects of 32 bytes, noscan. */
#define CLASS_32	HSPAN_SPAN_CLASS(4, 1)

/**
 * struct limit - what a median of ours must not exceed
 * @bench: benchmark
 * @metric: and metric
 * @on_6_1: on Linux 6.1, where mapping a huge page counts each small one
 * @later: on newer ones
 * @suffix: of the run it is for
 */
static const struct limit {
	const char *bench;
	const char *metric;
	uint64_t on_6_1;
	uint64_t later;
	const char *suffix;
} limits[] = {
	{ "map", "touch", 11000, 8000, "" },
	{ "span", "get+put", 1200, 1200, "-no-tomoyo" },
	{ "span", "get+put-of-32", 150, 150, "-no-tomoyo" },
	{ "teardown", "large-spans", 6000, 6000, "" },
	{ "snapshot", "gate", 1000, 1000, "" },
};

/**
 * struct samples - costs of doing a thing again and again
 * @nr: how many there are
 * @value: each of them
 */
struct samples {
	unsigned int nr;
	uint64_t value[MAX_SAMPLES];
};

static unsigned int major, minor;
static const char *suffix = "";
static uint64_t overhead;	/* of looking at the clock */
static bool exceeded;

static inline uint64_t now(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void add(struct samples *s, uint64_t begin, uint64_t end)
{
	uint64_t spent = end - begin;

	if (s->nr < MAX_SAMPLES)
		s->value[s->nr++] = spent > overhead ? spent - overhead : 0;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(const char *bench, const char *metric, const char *of,
		  const char *system, double value)
{
	printf("%s\t%s%s\t%s-%u.%u%s\t%.0f\tinstructions\n", bench, metric,
	       of, system, major, minor, suffix, value);
}

static void check_limit(const char *bench, const char *metric, double value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct limit *l = &limits[i];
		uint64_t limit = major == 6 && minor < 12 ? l->on_6_1 : l->later;

		if (strcmp(l->bench, bench) || strcmp(l->metric, metric) ||
		    strcmp(l->suffix, suffix))
			continue;
		print(bench, metric, "", "limit", limit);
		if (value <= limit)
			continue;
		warnx("%s %s: %.0f instructions, limit %lu", bench, metric,
		      value, limit);
		exceeded = true;
	}
}

/* Each sample is the cost of @of things. */
static void report(const char *bench, const char *metric, const char *system,
		   struct samples *s, unsigned int of)
{
	double sum = 0, median;
	unsigned int i;

	if (!s->nr)
		errx(2, "%s %s: no samples", bench, metric);
	qsort(s->value, s->nr, sizeof(s->value[0]), by_value);
	for (i = 0; i < s->nr; i++)
		sum += s->value[i];
	median = (double)s->value[s->nr / 2] / of;
	print(bench, metric, "", system, median);
	if (s->nr > 1)
		print(bench, metric, "-mean", system, sum / s->nr / of);
	if (!strcmp(system, "hugespan"))
		check_limit(bench, metric, median);
	s->nr = 0;
}

/* ---- the clock ---- */

static uint64_t loop(uint64_t rounds)
{
	uint64_t begin = now();

	asm volatile("1: dec %0; jnz 1b" : "+r" (rounds) : : "cc");
	return now() - begin - overhead;
}

/* A loop of known length must take as many instructions as it has. */
static void calibrate(void)
{
	uint64_t begin, spent;
	unsigned int i;

	overhead = ~0ULL;
	for (i = 0; i < ROUNDS; i++) {
		begin = now();
		spent = now() - begin;
		if (spent < overhead)
			overhead = spent;
	}
	for (i = 0; i < 10; i++) {
		spent = loop(10000);
		if (spent >= 20000 && spent < 20010)
			return;		/* and not interrupted */
	}
	errx(2, "the clock does not count instructions: %lu for 20000", spent);
}

/* ---- the floor: system calls that do nothing ---- */

static void bench_syscalls(int arena)
{
	static struct samples s;
	uint64_t begin;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		begin = now();
		syscall(SYS_getppid);
		add(&s, begin, now());
	}
	report("syscall", "getppid", "kernel", &s, 1);
	for (i = 0; i < ROUNDS; i++) {
		begin = now();
		ioctl(arena, _IO(HSPAN_IOC_MAGIC, 0xff), 0);
		add(&s, begin, now());
	}
	report("syscall", "ioctl-unknown", "kernel", &s, 1);
	for (i = 0; i < ROUNDS; i++) {
		struct hspan_span_get args = { 0 };

		begin = now();
		ioctl(arena, HSPAN_IOC_SPAN_GET, &args);
		add(&s, begin, now());
	}
	report("syscall", "ioctl-refused", "kernel", &s, 1);
}

/* ---- setting things up ---- */

static void write_number(const char *path, unsigned long value)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "%lu\n", value) < 0 || fclose(f))
		err(2, "%s", path);
}

static unsigned long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long value;

	if (!f || fscanf(f, "%lu", &value) != 1)
		err(2, "%s", path);
	fclose(f);
	return value;
}

/* Until @blocks zeroed blocks wait in the pool. */
static void wait_for_pool(unsigned long blocks)
{
	const struct timespec nap = { .tv_nsec = 10000000 };

	while (read_number(POOL "zeroed") < blocks)
		nanosleep(&nap, NULL);
}

static void fill_pool(unsigned long blocks)
{
	write_number(POOL "high", blocks);
	write_number(POOL "low", blocks);
	wait_for_pool(blocks);
	write_number(POOL "low", 0);
}

/* Nothing in the background gets in between. */
static void be_alone(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		err(2, "sched_setscheduler");
}

static int arena_create(unsigned long blocks, unsigned int flags)
{
	struct hspan_arena_create args = {
		.size = blocks * BLOCK,
		.limit = blocks,
		.flags = flags,
	};
	int dev = open("/dev/hugespan", O_RDWR), fd;

	if (dev < 0)
		err(2, "/dev/hugespan");
	fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	if (fd < 0)
		err(2, "HSPAN_IOC_ARENA_CREATE");
	close(dev);
	return fd;
}

static char *arena_map(int fd, unsigned long blocks)
{
	char *p = mmap(NULL, blocks * BLOCK, RW, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

/* kB of @field in /proc/self/smaps, of all mappings. */
static unsigned long mapped_kb(const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long sum = 0, kb;
	char line[256];

	if (!f)
		err(2, "/proc/self/smaps");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)) &&
		    sscanf(line + strlen(field), ": %lu", &kb) == 1)
			sum += kb;
	fclose(f);
	return sum;
}

static void must_be_huge(const char *field, unsigned long blocks)
{
	unsigned long kb = mapped_kb(field);

	if (kb < blocks * BLOCK / 1024)
		errx(2, "%s: %lu kB, not %lu", field, kb, blocks * BLOCK / 1024);
}

/* ---- spans ---- */

static void get(int fd, struct hspan_span *spans, unsigned int nr,
		unsigned int class, unsigned int npages)
{
	struct hspan_span_get args = {
		.spans = (uintptr_t)spans,
		.nr = nr,
		.span_class = class,
		.npages = npages,
	};

	if (ioctl(fd, HSPAN_IOC_SPAN_GET, &args) || args.nr != nr)
		err(2, "HSPAN_IOC_SPAN_GET: %u of %u", args.nr, nr);
}

static void put(int fd, struct hspan_put *puts, unsigned int nr)
{
	struct hspan_span_put args = { .puts = (uintptr_t)puts, .nr = nr };

	if (ioctl(fd, HSPAN_IOC_SPAN_PUT, &args))
		err(2, "HSPAN_IOC_SPAN_PUT");
}

/* Put spans back with @nfree slots free in each. */
static void to_puts(struct hspan_put *puts, const struct hspan_span *spans,
		    unsigned int nr, unsigned int nfree)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		puts[i] = (struct hspan_put){
			.page = spans[i].page,
			.nfree = nfree,
			.sweepgen = spans[i].sweepgen,
		};
}

/* The same spans go back and forth, with a slot in use: no pages change hands. */
static void bench_batch(int fd, unsigned int nr)
{
	static struct samples gets, puts, both;
	struct hspan_span spans[HSPAN_BATCH_MAX];
	struct hspan_put args[HSPAN_BATCH_MAX];
	uint64_t t0, t1, t2, t3;
	char name[3][32];
	unsigned int i;

	memset(spans, 0, sizeof(spans));
	for (i = 0; i < nr; i++)
		get(fd, &spans[i], 1, CLASS_32, 0);
	to_puts(args, spans, nr, 1);
	put(fd, args, nr);
	for (i = 0; i < ROUNDS; i++) {
		t0 = now();
		get(fd, spans, nr, CLASS_32, 0);
		t1 = now();
		to_puts(args, spans, nr, 1);
		t2 = now();
		put(fd, args, nr);
		t3 = now();
		add(&gets, t0, t1);
		add(&puts, t2, t3);
		add(&both, t0 + t2 - t1 + overhead, t3);
	}
	snprintf(name[0], sizeof(name[0]), nr > 1 ? "get-of-%u" : "get", nr);
	snprintf(name[1], sizeof(name[1]), nr > 1 ? "put-of-%u" : "put", nr);
	snprintf(name[2], sizeof(name[2]), nr > 1 ? "get+put-of-%u" : "get+put",
		 nr);
	report("span", name[0], "hugespan", &gets, nr);
	report("span", name[1], "hugespan", &puts, nr);
	report("span", name[2], "hugespan", &both, nr);
	get(fd, spans, nr, CLASS_32, 0);
	to_puts(args, spans, nr, 256);
	put(fd, args, nr);
}

/* A block's first page in and out of the page heap. */
static void bench_pages(int fd)
{
	static struct samples both;
	struct hspan_span keep, span = { 0 };
	struct hspan_put arg;
	uint64_t t0, t1, t2;
	unsigned int i;

	get(fd, &keep, 1, CLASS_32, 0);
	for (i = 0; i < ROUNDS; i++) {
		t0 = now();
		get(fd, &span, 1, CLASS_32, 0);
		t1 = now();
		to_puts(&arg, &span, 1, 256);
		t2 = now();
		put(fd, &arg, 1);
		add(&both, t0 + t2 - t1 + overhead, now());
	}
	report("span", "get+put-of-pages", "hugespan", &both, 1);
	to_puts(&arg, &keep, 1, 256);
	put(fd, &arg, 1);
}

static void bench_spans(void)
{
	int fd = arena_create(16, 0);

	bench_syscalls(fd);
	bench_batch(fd, 1);
	bench_batch(fd, 2);
	bench_batch(fd, 8);
	bench_batch(fd, 32);
	bench_batch(fd, 256);
	bench_pages(fd);
	close(fd);
}

/* ---- blocks: got, touched, torn down ---- */

/* Take @blocks blocks one by one and touch each, from 0 on. */
static void touch_arena(int fd, char *p, unsigned long blocks,
			struct hspan_span *spans, const char *get_metric,
			const char *touch_metric, const char *both_metric)
{
	static struct samples gets, touches, both;
	uint64_t t0, t1, t2;
	unsigned long i;

	for (i = 0; i < blocks; i++) {
		t0 = now();
		get(fd, &spans[i], 1, HSPAN_CLASS_LARGE_SCAN,
		    HSPAN_BLOCK_PAGES);
		t1 = now();
		p[spans[i].page * HSPAN_PAGE_SIZE] = 1;
		t2 = now();
		add(&gets, t0, t1);
		add(&touches, t1, t2);
		add(&both, t0 + overhead, t2);
	}
	report("map", get_metric, "hugespan", &gets, 1);
	report("map", touch_metric, "hugespan", &touches, 1);
	report("map", both_metric, "hugespan", &both, 1);
}

static void put_blocks(int fd, const struct hspan_span *spans,
		       unsigned long blocks)
{
	struct hspan_release release = { .max = blocks };
	struct hspan_put arg;
	unsigned long i;

	for (i = 0; i < blocks; i++) {
		to_puts(&arg, &spans[i], 1, 1);
		put(fd, &arg, 1);
	}
	if (ioctl(fd, HSPAN_IOC_RELEASE, &release) || release.released != blocks)
		err(2, "HSPAN_IOC_RELEASE: %llu blocks", release.released);
}

static void teardown(int fd, char *p, unsigned long blocks, const char *metric)
{
	static struct samples unmap, closing, both;
	uint64_t t0, t1, t2;
	char name[64];

	t0 = now();
	munmap(p, blocks * BLOCK);
	t1 = now();
	close(fd);
	t2 = now();
	add(&unmap, t0, t1);
	add(&closing, t1, t2);
	add(&both, t0 + overhead, t2);
	snprintf(name, sizeof(name), "%s-munmap", metric);
	report("teardown", name, "hugespan", &unmap, blocks);
	snprintf(name, sizeof(name), "%s-close", metric);
	report("teardown", name, "hugespan", &closing, blocks);
	report("teardown", metric, "hugespan", &both, blocks);
}

/* Blocks that this arena never had, and blocks it has had before. */
static void bench_map(unsigned long blocks)
{
	struct hspan_span *spans = calloc(blocks, sizeof(*spans));
	int fd = arena_create(blocks, 0);
	char *p = arena_map(fd, blocks);
	unsigned long again = blocks / 8;

	memset(spans, 0, blocks * sizeof(*spans));
	touch_arena(fd, p, again, spans, "get-new", "touch-new",
		    "get+touch-new");
	put_blocks(fd, spans, again);
	wait_for_pool(blocks);
	touch_arena(fd, p, again, spans, "get", "touch", "get+touch");
	touch_arena(fd, p, blocks - again, spans + again, "get-rest",
		    "touch-rest", "get+touch-rest");
	must_be_huge("FilePmdMapped", blocks);
	teardown(fd, p, blocks, "large-spans");
	free(spans);
}

/* As a program leaves it that uses small objects: every page a span. */
static void bench_small_teardown(unsigned long blocks)
{
	static struct hspan_span spans[HSPAN_BATCH_MAX];
	int fd = arena_create(blocks, 0);
	char *p = arena_map(fd, blocks);
	unsigned long i, j;

	wait_for_pool(blocks);
	for (i = 0; i < blocks; i++) {
		get(fd, spans, 1, CLASS_32, 0);
		get(fd, spans + 1, HSPAN_BLOCK_PAGES - 1, CLASS_32, 0);
		for (j = 0; j < HSPAN_BLOCK_PAGES; j++)
			p[spans[j].page * HSPAN_PAGE_SIZE] = 1;
	}
	must_be_huge("FilePmdMapped", blocks);
	teardown(fd, p, blocks, "small-spans");
}

/* ---- snapshots ---- */

#define SNAPSHOTS	8
#define WRITTEN		4	/* blocks after each; 2 MiB are copied */

/* As long as writers had to wait: here a nanosecond is an instruction. */
static uint64_t gate_of(int snap)
{
	struct hspan_snapshot_info info = { 0 };

	if (ioctl(snap, HSPAN_IOC_SNAPSHOT_INFO, &info))
		err(2, "HSPAN_IOC_SNAPSHOT_INFO");
	return info.gate_ns;
}

/* Read or write each of some blocks. */
static void touch_all(struct samples *s, volatile char *p, unsigned long blocks,
		      bool write)
{
	unsigned long i;
	uint64_t t0;

	for (i = 0; i < blocks; i++) {
		t0 = now();
		if (write)
			p[i * BLOCK] = 1;
		else
			(void)p[i * BLOCK];
		add(s, t0, now());
	}
}

/* All is mapped for writing when it is taken. */
static void bench_snapshot(unsigned long blocks)
{
	static struct samples takes, gates, reads, copies, writes, ends;
	struct hspan_snapshot_take args = { 0 };
	int fd = arena_create(blocks, HSPAN_ARENA_SNAPSHOT), snap, i;
	char *p = arena_map(fd, blocks);
	struct hspan_span span = { 0 };
	uint64_t t0;

	wait_for_pool(blocks);
	get(fd, &span, 1, HSPAN_CLASS_LARGE_SCAN, blocks * HSPAN_BLOCK_PAGES);
	for (i = 0; i < SNAPSHOTS; i++) {
		touch_all(&writes, p, blocks, true);
		t0 = now();
		snap = ioctl(fd, HSPAN_IOC_SNAPSHOT, &args);
		add(&takes, t0, now());
		if (snap < 0)
			err(2, "HSPAN_IOC_SNAPSHOT");
		add(&gates, 0, gate_of(snap) + overhead);
		touch_all(&reads, p, blocks, false);
		touch_all(&copies, p, WRITTEN, true);
		t0 = now();
		close(snap);
		add(&ends, t0, now());
		writes.nr = 0;
	}
	touch_all(&writes, p, blocks, true);
	report("snapshot", "take", "hugespan", &takes, blocks);
	report("snapshot", "gate", "hugespan", &gates, blocks);
	report("snapshot", "read-again", "hugespan", &reads, 1);
	report("snapshot", "write-with-copy", "hugespan", &copies, 1);
	report("snapshot", "write-again", "hugespan", &writes, 1);
	report("snapshot", "end", "hugespan", &ends, blocks);
	munmap(p, blocks * BLOCK);
	close(fd);
}

/* ---- the rivals ---- */

static void bench_rival(const char *system, unsigned long blocks, int map_flags,
			int advice, size_t step, const char *smaps_field)
{
	static struct samples touches, unmap;
	uint64_t t0;
	unsigned long i, at;
	char *room, *p;

	room = mmap(NULL, (blocks + 1) * BLOCK, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p = (char *)(((uintptr_t)room + BLOCK - 1) & ~(BLOCK - 1));
	p = mmap(p, blocks * BLOCK, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | map_flags, -1, 0);
	if (p == MAP_FAILED || (advice && madvise(p, blocks * BLOCK, advice)))
		err(2, "%s: mmap", system);
	for (i = 0; i < blocks; i++) {
		t0 = now();
		for (at = 0; at < BLOCK; at += step)
			p[i * BLOCK + at] = 1;
		add(&touches, t0, now());
	}
	if (smaps_field)
		must_be_huge(smaps_field, blocks);
	report("map", "touch", system, &touches, 1);
	t0 = now();
	munmap(p, blocks * BLOCK);
	add(&unmap, t0, now());
	report("teardown", "munmap", system, &unmap, blocks);
	munmap(room, (blocks + 1) * BLOCK);
}

static void bench_rivals(unsigned long blocks)
{
	bench_rival("thp", blocks, 0, MADV_HUGEPAGE, BLOCK, "AnonHugePages");
	bench_rival("4k", blocks, 0, MADV_NOHUGEPAGE, SMALL_PAGE, NULL);
	write_number(HUGE_PAGES, blocks);
	bench_rival("hugetlb", blocks, MAP_HUGETLB, 0, BLOCK, "Private_Hugetlb");
	write_number(HUGE_PAGES, 0);
}

int main(int argc, char **argv)
{
	unsigned long blocks = argc > 1 ? strtoul(argv[1], NULL, 0) : 512;
	unsigned long rivals = argc > 2 ? strtoul(argv[2], NULL, 0) : 64;
	struct utsname uts;

	if ((blocks && blocks < 8) || blocks > MAX_SAMPLES ||
	    rivals > MAX_SAMPLES)
		errx(2, "usage: kernel_cost [BLOCKS [RIVALS-BLOCKS [SUFFIX]]]");
	if (argc > 3)
		suffix = argv[3];
	if (uname(&uts) || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		errx(2, "what kernel is this?");
	setlinebuf(stdout);
	be_alone();
	calibrate();
	if (blocks)
		fill_pool(blocks + 16);
	bench_spans();
	if (blocks) {
		bench_map(blocks);
		bench_small_teardown(blocks / 8);
		bench_snapshot(blocks);
	}
	/*
	 * Last, for they leave the CPU's lists of free pages so full that who
	 * frees a page after them gives back thousands.
	 */
	write_number(POOL "high", 0);
	if (rivals)
		bench_rivals(rivals);
	return exceeded;
}
