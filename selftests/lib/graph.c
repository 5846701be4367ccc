// SPDX-License-Identifier: MIT
/*
 * Property test: a random graph in the heap beside a shadow of it outside.
 *
 * Each thread owns a share of the nodes and of the roots, and changes only
 * their links, but to any node of any thread.  So the shadow of a node has one
 * writer, and is exact when the threads have stopped.  Then, after a cycle,
 * what is reachable in the shadow has to be there and whole, and little else.
 */
#include "common.h"

#define THREADS 4
#define NODES 4096 /* of each thread */
#define ROOTS 64   /* likewise */
#define LINKS 6
#define NOBODY UINT32_MAX

/* What is in the heap. */
struct node {
	uint64_t magic;
	uint32_t index, version;
	struct node *link[LINKS];
	uint64_t *payload; /* noscan */
	uint64_t sum;
	char more[];
};

/* What ought to be. */
struct shadow {
	hidden_t address; /* of the newest node of this index, live or not */
	uint32_t version;
	uint32_t link[LINKS]; /* index of a node, or NOBODY */
	uint32_t link_version[LINKS];
	bool reached;
};

static struct shadow shadows[THREADS * NODES];
static struct node *roots[THREADS * ROOTS];
static uint32_t root_shadow[THREADS * ROOTS];
static uint32_t root_version[THREADS * ROOTS];
static struct hspan_type *type;
static int operations;

static uint64_t magic_of(uint32_t index, uint32_t version)
{
	return 0x68737061u * (uint64_t)index ^ (uint64_t)version << 40 ^ 0xfeed;
}

static bool is_whole(const struct node *n, uint32_t index, uint32_t version)
{
	return hspan_base(n) == n && n->index == index && n->version == version &&
	       n->magic == magic_of(index, version) && n->sum == ~n->magic &&
	       hspan_base(n->payload) == n->payload && n->payload[0] == n->magic &&
	       n->payload[1] == n->sum;
}

/* A new node of @index.  All links are stored through the barrier. */
static struct node *make(uint32_t index, uint64_t *seed)
{
	uint64_t r = next_random(seed);
	size_t more = r % 16 ? r % 300 : r % 60000;
	struct shadow *s = &shadows[index];
	struct node *n = r & 1 << 20 ? hspan_alloc(sizeof(*n) + more) : hspan_alloc_typed(type);
	uint64_t *payload;

	must(n);
	must(!n->magic && !n->payload);
	n->index = index;
	n->version = ++s->version;
	n->magic = magic_of(index, n->version);
	n->sum = ~n->magic;
	payload = hspan_alloc_noscan(16 + r % 50);
	must(payload);
	payload[0] = n->magic;
	payload[1] = n->sum;
	hspan_store(&n->payload, payload);
	s->address = hide(n);
	for (int i = 0; i < LINKS; i++)
		s->link[i] = NOBODY;
	return n;
}

struct mutator {
	pthread_t thread;
	uint32_t id;
	uint64_t seed;
};

/* A node of our own that is reachable from our roots, by a random walk. */
static struct node *walk(struct mutator *m, bool own)
{
	struct node *n = NULL, *next;
	uint64_t steps = next_random(&m->seed) % 20;

	for (int try = 0; try < 8 && !n; try++)
		n = roots[m->id * ROOTS + next_random(&m->seed) % ROOTS];
	while (n && steps--) {
		next = load(&n->link[next_random(&m->seed) % LINKS]);
		if (!next)
			break;
		must(next->sum == ~next->magic);
		n = next;
	}
	return n && own && n->index / NODES != m->id ? NULL : n;
}

static void note(struct node *n, int k, const struct node *to)
{
	struct shadow *s = &shadows[n->index];

	if (s->version != n->version)
		return; /* an older node of that index, still linked: it has no shadow */
	s->link[k] = to ? to->index : NOBODY;
	s->link_version[k] = to ? to->version : 0;
}

/* Change a link of a node of ours, by one call or another. */
static void relink(struct mutator *m, struct node *n, struct node *to)
{
	int k = (int)(next_random(&m->seed) % LINKS), other;
	struct node *was = n->link[k];

	switch (next_random(&m->seed) % (UNDER_TSAN ? 4 : 6)) {
	case 0:
		if (UNDER_TSAN) /* others look at @to: that is a race, harmless here */
			hspan_store_release(&n->link[k], to);
		else
			hspan_store(&n->link[k], to);
		break;
	case 1:
		hspan_store_release(&n->link[k], to);
		break;
	case 2:
		must(hspan_exchange(&n->link[k], to) == was);
		break;
	case 3:
		must(!hspan_cas(&n->link[k], &n->link[k], to)); /* it is not that */
		must(hspan_cas(&n->link[k], was, to));
		break;
	case 4: /* move the links about */
		other = (int)(next_random(&m->seed) % LINKS);
		hspan_copy(&n->link[k < other ? k : other], &n->link[k < other ? other : k],
			   (size_t)(LINKS - (k < other ? other : k)) * sizeof(void *));
		for (int i = 0; i < LINKS; i++)
			note(n, i, n->link[i]);
		return;
	default:
		hspan_clear(&n->link[k], (size_t)(LINKS - k) * sizeof(void *));
		for (int i = k; i < LINKS; i++)
			note(n, i, NULL);
		return;
	}
	note(n, k, to);
}

static void set_root(struct mutator *m, struct node *n)
{
	uint32_t i = m->id * ROOTS + (uint32_t)(next_random(&m->seed) % ROOTS);

	hspan_store_release(&roots[i], n);
	root_shadow[i] = n ? n->index : NOBODY;
	root_version[i] = n ? n->version : 0;
}

/*
 * An index is made anew only when no link to its old node can be left: never.
 * So each index is used once, and a thread stops making nodes when it is out.
 */
static void step(struct mutator *m, uint32_t *next)
{
	struct node *n, *to;

	switch (next_random(&m->seed) % 8) {
	case 0:
	case 1:
	case 2:
		if (*next == NODES)
			break;
		n = make(m->id * NODES + (*next)++, &m->seed);
		to = walk(m, true);
		if (to && next_random(&m->seed) % 4)
			relink(m, to, n);
		else
			set_root(m, n);
		break;
	case 3:
		set_root(m, walk(m, false));
		break;
	case 4:
		if (next_random(&m->seed) % 8 == 0)
			set_root(m, NULL);
		break;
	default:
		n = walk(m, true);
		if (n)
			relink(m, n, walk(m, false));
	}
}

static uint32_t made[THREADS];

static void *mutate(void *arg)
{
	struct mutator *m = arg;

	for (int i = 0; i < operations; i++)
		step(m, &made[m->id]);
	return NULL;
}

static void reach(uint32_t index)
{
	static uint32_t stack[THREADS * NODES * (LINKS + 1)];
	size_t depth = 0;

	stack[depth++] = index;
	while (depth) {
		struct shadow *s = &shadows[stack[--depth]];

		if (s->reached)
			continue;
		s->reached = true;
		for (int i = 0; i < LINKS; i++)
			if (s->link[i] != NOBODY)
				stack[depth++] = s->link[i];
	}
}

static void check_node(uint32_t index)
{
	const struct shadow *s = &shadows[index];
	const struct node *n = reveal(s->address);

	must(is_whole(n, index, s->version));
	for (int i = 0; i < LINKS; i++) {
		must(s->link[i] == NOBODY ? !n->link[i] :
					    n->link[i] == reveal(shadows[s->link[i]].address));
	}
}

/* Is it still that node, or has another object its memory? */
static bool is_left(uint32_t index)
{
	const struct node *n = reveal(shadows[index].address);

	return hspan_base(n) == n && hspan_usable_size(n) >= sizeof(*n) && n->index == index &&
	       n->version == shadows[index].version &&
	       n->magic == magic_of(index, n->version) && n->sum == ~n->magic;
}

/* Nobody else runs.  Counts how many of the unreachable are there still. */
static void check_all(void *arg)
{
	size_t *counts = arg; /* reachable, unreachable, of those alive */

	for (uint32_t i = 0; i < THREADS * NODES; i++)
		shadows[i].reached = false;
	for (uint32_t i = 0; i < THREADS * ROOTS; i++)
		if (root_shadow[i] != NOBODY)
			reach(root_shadow[i]);
	for (uint32_t i = 0; i < THREADS * NODES; i++) {
		if (!shadows[i].version)
			continue;
		if (shadows[i].reached) {
			counts[0]++;
			check_node(i);
		} else {
			counts[1]++;
			counts[2] += is_left(i);
		}
	}
}

static void *collect(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		hspan_gc();
	return NULL;
}

/* Forget all, and begin again: indices can be used anew. */
static void begin_again(void)
{
	hspan_clear(roots, sizeof(roots));
	memset(root_shadow, 0xff, sizeof(root_shadow));
	memset(shadows, 0, sizeof(shadows));
	memset(made, 0, sizeof(made));
}

static void run_round(uint64_t seed, int segments)
{
	struct mutator m[THREADS];
	size_t unreachable = 0, left = 0, reachable = 0;

	begin_again();
	for (uint32_t i = 0; i < THREADS; i++)
		m[i] = (struct mutator){ .id = i, .seed = seed * 31 + i * 1237 + 1 };
	for (int s = 0; s < segments; s++) {
		size_t counts[3] = { 0 };
		pthread_t collector;
		int done = 0;

		must(pthread_create(&collector, NULL, collect, &done) == 0);
		for (int i = 0; i < THREADS; i++)
			must(pthread_create(&m[i].thread, NULL, mutate, &m[i]) == 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(m[i].thread, NULL);
		__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
		pthread_join(collector, NULL);
		hspan_gc();
		elsewhere(check_all, counts);
		reachable += counts[0];
		unreachable += counts[1];
		left += counts[2];
	}
	assert_true(reachable > 0);
	if (left > unreachable / 10 + 20)
		print_error("%zu reached, %zu not; %zu of these left\n", reachable, unreachable, left);
	assert_true(left <= unreachable / 10 + 20);
}

static void shadow_agrees(void **state)
{
	uint64_t before = read_stats().num_gc;

	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++)
		run_round(seed, 6);
	assert_true(read_stats().num_gc > before + 36);
}

/* Cycles by themselves, as often as can be. */
static void shadow_agrees_with_a_tight_pacer(void **state)
{
	(void)state;
	hspan_gc_set_percent(5);
	for (uint64_t seed = 101; seed <= 104; seed++)
		run_round(seed, 4);
	hspan_gc_set_percent(-1);
}

static int setup(void **state)
{
	uint64_t bits = 0;
	int ret;

	setenv("HUGESPAN_DEBUG", "checkmark,clobber", 0);
	operations = EFFORT(6000);
	ret = heap_setup(state);
	if (ret)
		return ret;
	for (size_t i = 0; i < LINKS; i++)
		bits |= 1ull << (offsetof(struct node, link) / 8 + i);
	bits |= 1ull << (offsetof(struct node, payload) / 8);
	type = hspan_type_create(sizeof(struct node), &bits, sizeof(struct node) / 8);
	return hspan_root_add(roots, sizeof(roots));
}

static int teardown(void **state)
{
	hspan_type_destroy(type);
	return heap_teardown(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shadow_agrees),
		cmocka_unit_test(shadow_agrees_with_a_tight_pacer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
