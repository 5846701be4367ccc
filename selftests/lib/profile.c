// SPDX-License-Identifier: MIT
/*
 * The heap profile: that what it says of all objects is right on average, and
 * exact where every object is sampled; and leaks found through it.
 */
#include <math.h>
#include <sys/mman.h>

#include "common.h"

#define SITES_MOST 4096
#define LINE_MOST  4096
#define SMALL	   48
#define MIDDLE	   1024
#define LARGE	   100000
#define OBJECTS	   600

static void *root[OBJECTS], *other_root[OBJECTS];

/** struct site - a line of a profile: samples of objects of one size */
struct site {
	uint64_t count, bytes, allocs, alloc_bytes;
	uintptr_t pc;
	unsigned int depth;
};

/** struct profile - what was written */
struct profile {
	uint64_t rate;
	struct site total;
	size_t nr_sites;
	struct site site[SITES_MOST];
};

static void read_line(struct profile *p, const char *line)
{
	struct site *s = &p->site[p->nr_sites];
	int at = 0;

	if (sscanf(line, "%lu: %lu [%lu: %lu] @ %lx%n", &s->count, &s->bytes, &s->allocs,
		   &s->alloc_bytes, &s->pc, &at) < 5)
		return;
	s->depth = 1;
	for (; line[at]; at++)
		s->depth += line[at] == ' ';
	must(++p->nr_sites < SITES_MOST);
}

static struct profile *read_profile(int fd)
{
	struct profile *p = calloc(1, sizeof(*p));
	FILE *f = fdopen(fd, "r");
	char line[LINE_MOST];

	must(p && f);
	rewind(f);
	p->rate = 1; /* if it does not say: "heapprofile" */
	must(fgets(line, sizeof(line), f) &&
	     sscanf(line, "heap profile: %lu: %lu [%lu: %lu] @ heap_v2/%lu\n", &p->total.count,
		    &p->total.bytes, &p->total.allocs, &p->total.alloc_bytes, &p->rate) >= 4);
	while (fgets(line, sizeof(line), f) && strcmp(line, "MAPPED_LIBRARIES:\n"))
		read_line(p, line);
	must(fgets(line, sizeof(line), f)); /* the first of the maps */
	fclose(f);
	return p;
}

static struct profile *take_profile(unsigned int flags)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);

	must(fd >= 0 && hspan_profile_write(fd, flags | HSPAN_PROFILE_TEXT) == 0);
	return read_profile(fd);
}

static struct profile *take_held(const void *which)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);

	must(fd >= 0 && hspan_profile_write_held(fd, which, HSPAN_PROFILE_TEXT) == 0);
	return read_profile(fd);
}

/* All sites of objects of @size bytes, as one. */
static struct site of_size(const struct profile *p, uint64_t size)
{
	struct site sum = { 0 };

	for (size_t i = 0; i < p->nr_sites; i++) {
		const struct site *s = &p->site[i];

		if (s->allocs * size != s->alloc_bytes || s->count * size != s->bytes)
			continue;
		sum.count += s->count;
		sum.allocs += s->allocs;
		sum.pc = s->pc;
	}
	return sum;
}

static struct site now_of_size(uint64_t size, unsigned int flags)
{
	struct profile *p = take_profile(flags);
	struct site s = of_size(p, size);

	free(p);
	return s;
}

static int profile_setup(void **state)
{
	int ret = heap_setup(state);

	if (!ret)
		ret = hspan_root_add(root, sizeof(root));
	return ret ? ret : hspan_root_add(other_root, sizeof(other_root));
}

static int profile_teardown(void **state)
{
	return heap_teardown(state);
}

static int stop(void **state)
{
	(void)state;
	hspan_profile_stop();
	hspan_clear(root, sizeof(root));
	hspan_clear(other_root, sizeof(other_root));
	return 0;
}

/* Unbiased? ----------------------------------------------------------------- */

#define RATE 16384

/** struct mix - objects allocated, and how many they are thought to be */
struct mix {
	size_t size;
	uint64_t n;
};

static void allocate_mix(void *arg)
{
	struct mix *mix = arg;
	uint64_t random = 88172645463325252;

	for (uint64_t i = 0; i < mix[0].n; i++) {
		hspan_alloc(mix[0].size);
		for (int k = 1; k < 4; k++) /* seldom, in between */
			if (next_random(&random) % mix[0].n < mix[k].n)
				hspan_alloc_noscan(mix[k].size);
	}
}

/*
 * Of n objects each is a sample with probability p, so n is estimated with a
 * standard deviation of sqrt(n (1 - p) / p); it may be off by five of them.
 */
static bool is_estimate(const struct profile *p, size_t size, uint64_t n, double slack)
{
	double chance = -expm1(-(double)size / (double)p->rate);
	double estimate = (double)of_size(p, size).allocs / chance;
	double sigma = sqrt((double)n * (1 - chance) / chance);

	print_message("# %zu bytes: %.0f of %lu objects, sigma %.0f\n", size, estimate,
		      (unsigned long)n, sigma);
	return fabs(estimate - (double)n) <= 5 * sigma + slack;
}

static void sampling_is_unbiased(void **state)
{
	struct mix mix[4] = { { SMALL, (uint64_t)EFFORT(400000) } };

	(void)state;
	mix[1] = (struct mix){ MIDDLE, mix[0].n / 20 };
	mix[2] = (struct mix){ 8, mix[0].n / 4 };
	mix[3] = (struct mix){ LARGE, mix[0].n / 4000 };
	assert_int_equal(hspan_profile_start(RATE), 0);
	elsewhere(allocate_mix, mix);
	hspan_profile_stop();

	struct profile *p = take_profile(0);

	assert_int_equal(p->rate, RATE);
	for (int k = 0; k < 4; k++)
		/* What is drawn of the others has a deviation of its own. */
		assert_true(is_estimate(p, mix[k].size, mix[k].n,
					k ? 5 * sqrt((double)mix[k].n) : 0));
	free(p);
}

/* Runs begun before a collection are cut off by it: that takes no samples away. */
static void collections_take_no_samples(void **state)
{
	struct mix mix[4] = { { SMALL, 2000 } };
	long rounds = EFFORT(100);
	struct profile *p;

	(void)state;
	assert_int_equal(hspan_profile_start(1024), 0);
	for (long i = 0; i < rounds; i++) {
		allocate_mix(mix);
		hspan_gc();
	}
	p = take_profile(0);
	assert_true(is_estimate(p, SMALL, (uint64_t)rounds * mix[0].n, 0));
	assert_true(p->total.count < p->total.allocs / 4);
	free(p);
}

/* Exact --------------------------------------------------------------------- */

static NOINLINE void *make_small(void)
{
	void *p = hspan_alloc_noscan(SMALL);

	scrub();
	return p;
}

static NOINLINE void *make_middle(void)
{
	void *p = hspan_alloc(MIDDLE);

	scrub();
	return p;
}

static void make_both(void *arg)
{
	(void)arg;
	for (int i = 0; i < OBJECTS; i++) {
		hspan_store(&root[i], make_middle());
		hspan_store(root[i], make_small());
	}
}

static void in_use_as_of_a_cycle(void **state)
{
	struct site s;

	(void)state;
	assert_int_equal(hspan_profile_start(1), 0);
	elsewhere(make_both, NULL);
	s = now_of_size(SMALL, 0); /* no cycle yet: all are */
	assert_int_equal(s.allocs, OBJECTS);
	assert_int_equal(s.count, OBJECTS);
	hspan_clear(root, sizeof(root) / 2);
	s = now_of_size(SMALL, HSPAN_PROFILE_GC);
	assert_int_equal(s.allocs, OBJECTS);
	assert_in_range(s.count, OBJECTS / 2, OBJECTS / 2 + 4);
	s = now_of_size(MIDDLE, 0);
	assert_in_range(s.count, OBJECTS / 2, OBJECTS / 2 + 4);
	make_small(); /* is not there before the next cycle */
	assert_int_equal(now_of_size(SMALL, 0).allocs, OBJECTS);
	assert_int_equal(now_of_size(SMALL, HSPAN_PROFILE_GC).allocs, OBJECTS + 1);
}

/* The stack begins in the caller, whichever way the library was entered. */
static void stacks_begin_at_the_caller(void **state)
{
	struct profile *p;

	(void)state;
	assert_int_equal(hspan_profile_start(1), 0);
	make_both(NULL);
	p = take_profile(0);
	assert_true(of_size(p, SMALL).pc - (uintptr_t)make_small < 1024);
	assert_true(of_size(p, MIDDLE).pc - (uintptr_t)make_middle < 1024);
	for (size_t i = 0; i < p->nr_sites; i++)
		assert_in_range(p->site[i].depth, 3, 64);
	free(p);
}

static void large_objects(void **state)
{
	(void)state;
	assert_int_equal(hspan_profile_start(1), 0);
	hspan_store(&root[0], hspan_alloc(LARGE));
	hspan_store(&root[1], hspan_alloc_noscan(LARGE + 1));
	assert_int_equal(now_of_size(LARGE, HSPAN_PROFILE_GC).count, 1);
	assert_int_equal(now_of_size(LARGE + 8, 0).count, 1);
}

static void free_and_realloc(void *arg)
{
	(void)arg;
	for (int i = 0; i < OBJECTS; i++) {
		void *p = make_small();

		if (i % 3 == 0)
			hspan_free(p);
		else if (i % 3 == 1)
			hspan_realloc(p, MIDDLE);
	}
}

/* What died unfreed is told from what was freed, or moved. */
static void unfreed(void **state)
{
	struct site s;

	(void)state;
	assert_int_equal(hspan_profile_start(1), 0);
	elsewhere(free_and_realloc, NULL);
	assert_int_equal(now_of_size(SMALL, 0).count, OBJECTS / 3 * 2);
	s = now_of_size(SMALL, HSPAN_PROFILE_GC | HSPAN_PROFILE_UNFREED);
	assert_in_range(s.count, OBJECTS / 3 - 4, OBJECTS / 3);
	s = now_of_size(MIDDLE, HSPAN_PROFILE_UNFREED);
	assert_in_range(s.count, OBJECTS / 3 - 4, OBJECTS / 3);
	assert_true(now_of_size(SMALL, 0).count <= 8);
}

static void make_shared(void *arg)
{
	(void)arg;
	for (int i = 0; i < OBJECTS; i++) {
		void *p = make_middle();

		hspan_store(p, make_small());
		hspan_store(&root[i], p);
		if (i % 2)
			hspan_store(&other_root[i], p);
	}
}

static void held_by_a_root(void **state)
{
	struct profile *p;

	(void)state;
	assert_int_equal(hspan_profile_start(1), 0);
	elsewhere(make_shared, NULL);
	p = take_held(root);
	assert_in_range(of_size(p, SMALL).count, OBJECTS / 2 - 4, OBJECTS / 2);
	assert_in_range(of_size(p, MIDDLE).count, OBJECTS / 2 - 4, OBJECTS / 2);
	free(p);
	p = take_held(other_root);
	assert_int_equal(p->total.count, 0);
	free(p);
	hspan_clear(root, sizeof(root));
	p = take_held(other_root);
	assert_in_range(of_size(p, SMALL).count, OBJECTS / 2 - 4, OBJECTS / 2);
	free(p);
	assert_int_equal(hspan_profile_write_held(1, &p, HSPAN_PROFILE_TEXT), -ENOENT);
}

/* The rest ------------------------------------------------------------------ */

struct worker {
	void *ring[64];
	uint64_t random;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	must(hspan_thread_register() == 0);
	for (long i = EFFORT(30000); i; i--) {
		uint64_t x = next_random(&w->random);
		void **slot = &w->ring[x % 64];

		if (x >> 32 & 1)
			hspan_free(hspan_exchange(slot, NULL));
		hspan_store(slot, hspan_alloc(x >> 8 & 511));
	}
	hspan_clear(w->ring, sizeof(w->ring));
	return NULL;
}

/* Threads allocate and free, cycles come and go, profiles are read. */
static void all_at_once(void **state)
{
	static struct worker workers[3];
	pthread_t thread[3];
	struct profile *p;

	(void)state;
	assert_int_equal(hspan_profile_start(512), 0);
	for (int i = 0; i < 3; i++) {
		workers[i].random = 77 + (uint64_t)i;
		assert_int_equal(hspan_root_add(workers[i].ring, sizeof(workers[i].ring)), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 5; i++) {
		p = take_profile(HSPAN_PROFILE_GC);
		assert_true(p->total.count <= p->total.allocs);
		free(p);
		free(take_held(workers[0].ring));
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(hspan_root_remove(workers[i].ring), 0);
	}
	p = take_profile(HSPAN_PROFILE_GC);
	assert_true(p->total.allocs > 100);
	assert_true(p->total.count <= 40); /* what stale words hold */
	free(p);
	assert_int_equal(read_stats().profile_lost, 0);
	assert_in_range(read_stats().profile_bytes, 1, 64 << 20);
}

static void arguments(void **state)
{
	(void)state;
	assert_int_equal(hspan_profile_stop(), -ENOENT);
	assert_int_equal(hspan_profile_start(0), 0);
	assert_int_equal(hspan_profile_start(0), -EALREADY);
	assert_int_equal(hspan_profile_write(-1, 0), -EBADF);
	assert_int_equal(hspan_profile_write(1, 1u << 9), -EINVAL);
	assert_int_equal(hspan_profile_write_held(1, root, HSPAN_PROFILE_UNFREED), -EINVAL);
	assert_int_equal(hspan_profile_write_held(1, NULL, 0), -EINVAL);
	assert_int_equal(hspan_profile_write(0x7ffffff, HSPAN_PROFILE_TEXT), -EBADF);
	assert_int_equal(now_of_size(SMALL, 0).allocs, 0); /* nothing of the last one */
}

static int no_heap(const void *arg)
{
	(void)arg;
	expect(hspan_profile_write(1, HSPAN_PROFILE_TEXT) == -ENOTSUP);
	expect(hspan_profile_start(0) == -ENOTSUP);
	return 0;
}

static void not_in_a_child(void **state)
{
	(void)state;
	assert_int_equal(in_child(no_heap, NULL), 0);
}

/* The environment asks, and gets a file when the heap ends. */
static void by_environment(void **state)
{
	char path[] = "/tmp/profile-XXXXXX.heap";
	int fd = mkstemps(path, 5);
	struct profile *p;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(hspan_shutdown(), 0);
	setenv("HUGESPAN_PROFILE", path, 1);
	setenv("HUGESPAN_PROFILE_RATE", "2K", 1);
	assert_int_equal(profile_setup(state), 0);
	elsewhere(make_both, NULL);
	assert_int_equal(hspan_shutdown(), 0);
	unsetenv("HUGESPAN_PROFILE");
	unsetenv("HUGESPAN_PROFILE_RATE");
	p = read_profile(fd);
	assert_int_equal(p->rate, 2048);
	assert_true(of_size(p, MIDDLE).count > OBJECTS / 8);
	free(p);
	unlink(path);
	assert_int_equal(profile_setup(state), 0);
	assert_int_equal(hspan_profile_write(1, HSPAN_PROFILE_TEXT), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sampling_is_unbiased, stop),
		cmocka_unit_test_teardown(collections_take_no_samples, stop),
		cmocka_unit_test_teardown(in_use_as_of_a_cycle, stop),
		cmocka_unit_test_teardown(stacks_begin_at_the_caller, stop),
		cmocka_unit_test_teardown(large_objects, stop),
		cmocka_unit_test_teardown(unfreed, stop),
		cmocka_unit_test_teardown(held_by_a_root, stop),
		cmocka_unit_test_teardown(all_at_once, stop),
		cmocka_unit_test_teardown(arguments, stop),
		cmocka_unit_test(not_in_a_child),
		cmocka_unit_test_teardown(by_environment, stop),
	};

	return cmocka_run_group_tests(tests, profile_setup, profile_teardown);
}
