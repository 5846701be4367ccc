// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call in the module under which an allocation or a user copy can fail is
 * made to fail, by its return address.  faultsites SITES [MODULE.ko]
 *
 * SITES comes from fault-sites, so none is forgotten; what can be reached by no
 * means is told below, with the reason.  Those that are met only when the module
 * is loaded take MODULE.ko, and no arena may exist.  Needs a kernel with fault
 * injection by stack trace; skips otherwise.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "fault.h"

#define NR_SITES_MAX	128
#define TIMES		20	/* failures of a site; a fault retries for ever */
#define THREAD_MS	5000	/* for the zeroing thread to look for blocks */
#define SECTIONS	"/sys/module/hugespan/sections/"
#define LOAD_ARGS	"reserve=1"

/**
 * struct site - a call
 * @section: of the module that it is in
 * @offset: of its return address there
 * @where: its function, and how far from its start
 * @callee: what it calls
 * @address: the return address, while the module is loaded
 * @after: that of a call before it, if it is made only when that has failed
 * @failed: failures injected in all
 * @told_by: what ended with an error then, or NULL
 * @coped_by: what did not, or NULL
 */
struct site {
	char section[32];
	unsigned long offset;
	char where[80];
	char callee[48];
	unsigned long address;
	unsigned long after;
	unsigned long failed;
	const char *told_by;
	const char *coped_by;
};

static struct site sites[NR_SITES_MAX];
static unsigned int nr_sites;
static const char *module;

static void give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_sites(const char *path)
{
	FILE *f = fopen(path, "r");
	struct site *s = sites;

	if (!f)
		give_up(path);
	while (s < &sites[NR_SITES_MAX] &&
	       fscanf(f, "%31s %lx %79s %47s", s->section, &s->offset, s->where,
		      s->callee) == 4)
		s++;
	if (!feof(f))
		give_up(path);
	fclose(f);
	nr_sites = s - sites;
}

static unsigned long section_address(const char *section)
{
	char path[128];
	unsigned long address = 0;
	FILE *f;

	snprintf(path, sizeof(path), SECTIONS "%s", section);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lx", &address) != 1)
		give_up(path);
	fclose(f);
	return address;
}

/* Whoever calls it from there fails, some times. */
static void arm(const struct site *s)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", s->after ?: s->address);
	assert_int_equal(fault_set("require-start", text), 0);
	snprintf(text, sizeof(text), "%lu", s->address + 1);
	assert_int_equal(fault_set("require-end", text), 0);
	snprintf(text, sizeof(text), "%d", TIMES);
	assert_int_equal(fault_set("times", text), 0);
	assert_int_equal(fault_set("probability", "100"), 0);
}

/* How often has it failed? */
static unsigned long nr_failures(void)
{
	unsigned long nr = 0, i;
	char path[128];
	int left;
	FILE *f;

	for (i = 0; i < FAULT_NR_KINDS; i++) {
		snprintf(path, sizeof(path), FAULT_DEBUG "%s/times",
			 fault_kinds[i]);
		f = fopen(path, "r");
		assert_true(f && fscanf(f, "%d", &left) == 1);
		fclose(f);
		nr += TIMES - left;
	}
	return nr;
}

static unsigned long disarm(void)
{
	assert_int_equal(fault_set("probability", "0"), 0);
	return nr_failures();
}

/* One run of @name, in which the site failed @nr times, came to this. */
static void note(struct site *s, const char *name, unsigned long nr, bool told)
{
	s->failed += nr;
	if (nr && told)
		s->told_by = name;
	else if (nr)
		s->coped_by = name;
}

static void try_case(struct site *s, const struct fault_case *c)
{
	struct fault_ctx ctx;
	unsigned long nr;
	int ret, err;

	fault_begin(c, &ctx);
	arm(s);
	ret = c->run(&ctx);
	err = errno;
	nr = disarm();
	if (ret)
		assert_true(nr && fault_is_told(err));
	fault_end(&ctx);
	/* The other one comes first, and this one is the last. */
	if (s->after)
		nr = ret && nr > 1 ? nr - 1 : 0;
	note(s, c->name, nr, ret);
}

static void try_cases(struct site *s, unsigned int last)
{
	unsigned int i;

	for (i = 0; i < fault_nr_cases && !s->told_by; i++)
		if ((fault_cases[i].flags & FAULT_LAST) == last)
			try_case(s, &fault_cases[i]);
}

/* A second attempt, of the same function and by the same: with the first. */
static void try_after(struct site *s)
{
	size_t len = strcspn(s->where, "+") + 1;

	if (s == sites || strncmp(s[-1].where, s->where, len) ||
	    strcmp(s[-1].callee, s->callee))
		return;
	s->after = s[-1].address;
	try_cases(s, 0);
	s->after = 0;
}

/* The zeroing thread takes blocks before they are asked for. */
static void try_thread(struct site *s)
{
	struct timespec nap = { .tv_nsec = 10000000 };
	unsigned int i;
	char high[32];

	snprintf(high, sizeof(high), "%ld", abi_sysfs("pool/high"));
	assert_int_equal(abi_set_sysfs("pool/high", "0"), 0);
	assert_int_equal(abi_set_sysfs("pool/high", high), 0);
	arm(s);
	assert_int_equal(abi_set_sysfs("pool/low", "2"), 0);
	for (i = 0; i < THREAD_MS / 10 && !nr_failures(); i++)
		nanosleep(&nap, NULL);
	note(s, "zeroing ahead", disarm(), false);
	assert_int_equal(abi_set_sysfs("pool/low", "0"), 0);
	assert_int_equal(abi_set_sysfs("pool/high", "0"), 0);
	assert_int_equal(abi_set_sysfs("pool/high", high), 0);
}

static int load(const char *args)
{
	int fd = open(module, O_RDONLY), ret;

	if (fd < 0)
		give_up(module);
	ret = syscall(SYS_finit_module, fd, args, 0);
	close(fd);
	return ret;
}

static void unload(void)
{
	if (syscall(SYS_delete_module, "hugespan", O_NONBLOCK))
		give_up("delete_module");
}

/* A module that does without, makes up for it with the first arena, or not. */
static int load_and_create(void)
{
	struct hspan_arena_create args = { .size = HSPAN_BLOCK_SIZE };
	int dev, fd, err;

	if (load(LOAD_ARGS))
		return -1;
	dev = open("/dev/hugespan", O_RDWR);
	fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	err = errno;
	close(fd);
	close(dev);
	unload();
	errno = err;
	return fd < 0 ? -1 : 0;
}

/*
 * It comes to the address where it was, as there is no other module.  If that
 * were not so, nothing would fail.
 */
static void try_load(struct site *s)
{
	unsigned long nr;
	int ret, err;

	if (!module)
		return;
	unload();
	arm(s);
	ret = load_and_create();
	err = errno;
	nr = disarm();
	note(s, "loading", nr, ret);
	if (ret)
		assert_true(nr && fault_is_told(err));
	assert_int_equal(load(""), 0);
	assert_int_equal(section_address(s->section) + s->offset, s->address);
}

static void each_site(void **state)
{
	struct site *s = *state;
	bool init = !strcmp(s->section, ".init.text");

	s->address = section_address(s->section) + s->offset;
	if (!init)
		try_cases(s, 0);
	if (!init && !s->failed)
		try_after(s);
	if (!init && !s->failed)
		try_thread(s);
	if (!s->failed)
		try_load(s);
	if (!init && !s->told_by)
		try_cases(s, FAULT_LAST);
	print_message("# %s, %s: %lu times; %s%s%s%s\n", s->where, s->callee,
		      s->failed, s->told_by ? "an error of " : "",
		      s->told_by ?: "", s->coped_by ? " no matter to " : "",
		      s->coped_by ?: "");
	assert_true(s->failed);
}

static void count(void)
{
	unsigned int i, reached = 0, told = 0;

	for (i = 0; i < nr_sites; i++) {
		reached += sites[i].failed != 0;
		told += sites[i].told_by != NULL;
	}
	printf("# of %u calls that can fail %u were made to: %u are errors of what was called for, the others do without\n",
	       nr_sites, reached, told);
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[NR_SITES_MAX];
	unsigned int i;
	int ret;

	if (fault_arm_kernel() || fault_set("require-start", "0")) {
		printf("1..0 # SKIP kernel without fault injection by call site\n");
		return 0;
	}
	if (argc < 2)
		return 2;
	module = argv[2];
	fault_set("task-filter", "N");
	fault_set("interval", "1");
	read_sites(argv[1]);
	for (i = 0; i < nr_sites; i++)
		tests[i] = (struct CMUnitTest){
			.name = sites[i].where,
			.test_func = each_site,
			.initial_state = &sites[i],
		};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	ret = _cmocka_run_group_tests("faultsites", tests, nr_sites, NULL, NULL);
	count();
	fault_set("require-start", "0");
	fault_set("require-end", "0xffffffffffffffff");
	fault_set("times", "-1");
	return ret;
}
