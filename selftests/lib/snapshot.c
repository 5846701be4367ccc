// SPDX-License-Identifier: MIT
/*
 * Marking an image: programs that store by plain assignment, under the oracles;
 * and what happens when there is no image, or who marks it is killed.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common.h"

#define THREADS 3
#define CELLS 512 /* of each thread */
#define CHAIN 16

struct link {
	uint64_t magic;
	struct link *next;
};

/* The cells of a thread are its own; only the collector reads them besides. */
static struct link *cells[THREADS][CELLS];
static uint64_t magic[THREADS][CELLS]; /* of the chain in each, 0 = empty */
static volatile bool stop;

static struct link *new_chain(uint64_t m)
{
	struct link *head = NULL;

	for (int i = 0; i < CHAIN; i++) {
		struct link *l = hspan_alloc(sizeof(*l));

		must(l);
		l->magic = m;
		l->next = head;
		head = l;
	}
	return head;
}

static void check_chain(const struct link *l, uint64_t m)
{
	int n = 0;

	for (; l; l = l->next, n++)
		must(l->magic == m);
	must(n == (m ? CHAIN : 0));
}

/*
 * The only pointer to a chain moves from one cell to another, by way of a
 * register: a marker that looks at one after the other may never see it.
 */
static void move(struct link **mine, uint64_t *m, uint32_t from, uint32_t to)
{
	struct link *chain = mine[from];
	uint64_t value = m[from];

	mine[from] = mine[to];
	m[from] = m[to];
	mine[to] = chain;
	m[to] = value;
}

/* The chain the other way round. */
static void turn(struct link **cell)
{
	struct link *head = *cell, *next, *turned = NULL;

	for (; head; head = next) {
		next = head->next;
		head->next = turned;
		turned = head;
	}
	*cell = turned;
}

static void *shuffle(void *arg)
{
	size_t t = (size_t)arg;
	struct link **mine = cells[t];
	uint64_t *m = magic[t], seed = t + 1;

	must(hspan_thread_register() == 0);
	while (!stop) {
		uint64_t r = next_random(&seed);
		uint32_t from = (uint32_t)(r % CELLS), to = (uint32_t)(r >> 20) % CELLS;

		if (!(r >> 40 & 7)) {
			m[to] = r | 1;
			mine[to] = new_chain(m[to]);
		} else if (r >> 43 & 1) {
			move(mine, m, from, to);
		} else {
			turn(&mine[from]);
		}
		if (!(r >> 44 & 15))
			check_chain(mine[from], m[from]);
	}
	for (size_t i = 0; i < CELLS; i++)
		check_chain(mine[i], m[i]);
	return NULL;
}

static int init_snapshot(void)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	clean_environment();
	o.gc_mode = HSPAN_GC_SNAPSHOT;
	o.debug = HSPAN_DEBUG_CHECKMARK | HSPAN_DEBUG_CLOBBER;
	o.min_heap = 1 << 20;
	return hspan_init(&o);
}

/* Shuffle while @n cycles run, and more until @enough(). */
static int shuffle_along(long n, bool (*enough)(void))
{
	int64_t deadline = now_ms() + 60000;
	pthread_t threads[THREADS];

	expect(hspan_root_add(cells, sizeof(cells)) == 0);
	for (size_t t = 0; t < THREADS; t++)
		expect(pthread_create(&threads[t], NULL, shuffle, (void *)t) == 0);
	for (long i = 0; i < n || (!enough() && now_ms() < deadline); i++)
		hspan_gc();
	stop = true;
	for (size_t t = 0; t < THREADS; t++)
		expect(pthread_join(threads[t], NULL) == 0);
	return 0;
}

static bool always_enough(void)
{
	return true;
}

static int run_plain_stores(const void *arg)
{
	struct hspan_stats st;

	(void)arg;
	expect(init_snapshot() == 0);
	expect(!strcmp(hspan_backend_name(), "embedded"));
	expect(shuffle_along(EFFORT(100), always_enough) == 0);
	st = read_stats();
	expect(st.snapshots >= (uint64_t)EFFORT(100));
	expect(st.snapshots_failed == 0);
	expect(st.snapshot_ns > 0 && st.snapshot_ns <= st.cycle_max_ns);
	return hspan_shutdown() == 0 ? 0 : 1;
}

static void plain_stores(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_plain_stores, NULL), 0);
}

static hidden_t kept, dead;

/* Two chains in cells, one of which is then dropped. */
static void make_chains(void *arg)
{
	(void)arg;
	cells[0][0] = new_chain(1);
	cells[0][1] = new_chain(1);
	kept = hide(cells[0][0]->next);
	dead = hide(cells[0][1]->next);
	cells[0][1] = NULL;
}

static int run_dead_and_alive(const void *arg)
{
	(void)arg;
	expect(init_snapshot() == 0);
	expect(hspan_root_add(cells, sizeof(cells)) == 0);
	elsewhere(make_chains, NULL);
	hspan_gc();
	expect(alive(kept));
	expect(!alive(dead));
	check_chain(cells[0][0], 1);
	return 0;
}

static void dead_and_alive(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_dead_and_alive, NULL), 0);
}

/* Our children, but for zombies: kill them.  Returns how many. */
static int kill_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int n = 0;

	must(proc);
	while ((d = readdir(proc))) {
		int pid = atoi(d->d_name), parent = 0;
		char path[64], state = 'Z';
		FILE *f;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%*[^)]) %c %d", &state, &parent) == 2 && parent == getpid() &&
		    state != 'Z')
			n += kill(pid, SIGKILL) == 0;
		fclose(f);
	}
	closedir(proc);
	return n;
}

static void *kill_markers(void *arg)
{
	int *killed = arg;

	while (!stop)
		*killed += kill_children();
	return NULL;
}

static bool some_failed(void)
{
	return read_stats().snapshots_failed > 0;
}

static int run_killed(const void *arg)
{
	struct hspan_stats st;
	pthread_t killer;
	int killed = 0;

	(void)arg;
	expect(init_snapshot() == 0);
	expect(pthread_create(&killer, NULL, kill_markers, &killed) == 0);
	expect(shuffle_along(EFFORT(100), some_failed) == 0);
	expect(pthread_join(killer, NULL) == 0);
	st = read_stats();
	expect(st.snapshots >= (uint64_t)EFFORT(100));
	expect(killed > 0 && st.snapshots_failed > 0);
	expect(st.snapshots_failed <= (uint64_t)killed);
	return 0;
}

/* Whoever marks may die at any time: the cycle is done again, stopped. */
static void marker_killed(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_killed, NULL), 0);
}

/* From now on no process of ours is copied, but threads are made. */
static int forbid_copies(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

static int run_no_copy(const void *arg)
{
	struct hspan_stats st;

	(void)arg;
	expect(forbid_copies() == 0);
	expect(init_snapshot() == 0);
	expect(shuffle_along(EFFORT(50), always_enough) == 0);
	st = read_stats();
	expect(st.snapshots >= (uint64_t)EFFORT(50));
	expect(st.snapshots_failed == st.snapshots);
	return 0;
}

static void no_copy(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_no_copy, NULL), 0);
}

static void *collect_all_the_time(void *arg)
{
	while (!stop)
		hspan_gc();
	return arg;
}

/* Children of the program's own are all that wait() finds. */
static int run_wait(const void *arg)
{
	pthread_t collector;

	(void)arg;
	expect(init_snapshot() == 0);
	expect(pthread_create(&collector, NULL, collect_all_the_time, NULL) == 0);
	for (long i = 0; i < EFFORT(50); i++) {
		pid_t child = fork();
		int status;

		if (!child)
			_exit(7);
		expect(child > 0);
		expect(wait(&status) == child);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		expect(wait(&status) == -1 && errno == ECHILD);
	}
	while (!read_stats().snapshots)
		sleep_ms(1);
	stop = true;
	expect(pthread_join(collector, NULL) == 0);
	return 0;
}

static void unseen_by_wait(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_wait, NULL), 0);
}

/* What the program closes is closed, though an image is being marked. */
static int run_closed(const void *arg)
{
	pthread_t collector;

	(void)arg;
	expect(init_snapshot() == 0);
	expect(pthread_create(&collector, NULL, collect_all_the_time, NULL) == 0);
	for (long i = 0; i < EFFORT(50); i++) {
		int ends[2];
		char c;

		expect(pipe(ends) == 0);
		expect(close(ends[1]) == 0);
		expect(read(ends[0], &c, 1) == 0); /* it ends, sooner or later */
		close(ends[0]);
	}
	stop = true;
	expect(pthread_join(collector, NULL) == 0);
	return 0;
}

static void closes_files(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_closed, NULL), 0);
}

static int run_refused(const void *arg)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	(void)arg;
	clean_environment();
	o.gc_mode = HSPAN_GC_SNAPSHOT;
	o.backend = HSPAN_BACKEND_MODULE;
	expect(hspan_init(&o) == -ENOTSUP);
	o.backend = HSPAN_BACKEND_EMBEDDED;
	expect(hspan_init(&o) == 0);
	return 0;
}

static void not_of_the_module(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_refused, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_stores),
		cmocka_unit_test(dead_and_alive),
		cmocka_unit_test(marker_killed),
		cmocka_unit_test(no_copy),
		cmocka_unit_test(unseen_by_wait),
		cmocka_unit_test(closes_files),
		cmocka_unit_test(not_of_the_module),
	};

	if (UNDER_TSAN) {
		puts("1..0 # SKIP a process with threads is not copied under TSan");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
