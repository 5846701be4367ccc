// SPDX-License-Identifier: MIT
/*
 * Collector torture: mutators that move the only pointer to an object about,
 * from heap to stack to another object, while cycles run back to back with
 * the oracles on; and that check every object they meet, and each that is
 * finalized, or read from a weak reference.
 *
 *	torture [--seconds N] [--threads N] [--collections N] [--ballast N]
 *		[--seed N]
 *
 * TAP on stdout.  Backend, debug words and signal come from the environment;
 * without HUGESPAN_DEBUG it asks for checkmark and clobber itself.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hugespan.h>

#define MAGIC 0x6875676573706e21ull
#define LINKS 4
#define TABLE 256
#define LOCALS 48
#define MAX_THREADS 64
#define HEAP_HIGH (6ull << 20) /* live bytes at which the table is thinned */

/* A node knows itself: its own sums tell whether it was overwritten. */
struct node {
	uint64_t magic;
	uint64_t id;
	uint64_t check;
	struct node *link[LINKS];
	uint64_t *payload; /* noscan: [0] = words, the rest = id */
	struct node **fan; /* array of pointers, FAN entries, or NULL */
	struct hspan_weak peer;
};

#define FAN 2500 /* a large object */

struct mutator {
	pthread_t thread;
	unsigned int index;
	uint64_t random;
	uint64_t ops, nodes, moves, walked;
};

static struct node *table[TABLE]; /* a root */
static struct node *newest;	  /* a root: the last that was put into the table */
static struct node **ballast;	  /* a root: nodes that stay; their children move */
static struct mutator mutators[MAX_THREADS];
static struct hspan_type *node_type;
static unsigned int nr_threads = 4, seconds = 60, want_collections = 500, nr_ballast = 12000;
static uint64_t seed = 20261120;
static int stop, thin;
static uint64_t finalized;

static void fail(const char *format, ...)
{
	va_list args;

	printf("not ok 1 - ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	abort();
}

static uint64_t next_random(struct mutator *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random;
}

static struct node *load(struct node **slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static void check_node(const struct node *n)
{
	if (n->magic != MAGIC || n->check != (n->id ^ MAGIC))
		fail("node %p is not what it was: magic %llx id %llx check %llx", (const void *)n,
		     (unsigned long long)n->magic, (unsigned long long)n->id,
		     (unsigned long long)n->check);
	if (n->payload) {
		uint64_t words = n->payload[0];

		if (words < 2 || words > 4096 || n->payload[1] != n->id ||
		    n->payload[words - 1] != n->id)
			fail("payload of node %p was overwritten", (const void *)n);
	}
}

static uint64_t *new_payload(struct mutator *m, uint64_t id)
{
	uint64_t r = next_random(m);
	uint64_t words = r % 64 ? 2 + r % 30 : 2 + r % 4000;
	uint64_t *p = hspan_alloc_noscan(words * 8);

	if (!p)
		fail("no memory for a payload: %s", strerror(errno));
	for (uint64_t i = 1; i < words; i++)
		p[i] = id;
	p[0] = words;
	return p;
}

/*
 * What is finalized is as it was.  It loses a child, which is checked then, and
 * may come back.
 */
static void finalize(void *object, void *arg)
{
	struct node *n = object, *child;

	check_node(n);
	child = hspan_exchange(&n->link[n->id & 3], NULL);
	if (child)
		check_node(child);
	if (n->id >> 8 & 1)
		hspan_store_release(arg, n);
	__atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static void watch_death(struct node *n, struct node *peer)
{
	struct hspan_finalizer f = { finalize, &table[n->id >> 16 & (TABLE - 1)],
				     (unsigned int)(n->id >> 32 & 3) };

	if (!(n->id >> 24 & 7) && hspan_finalizer_set(n, &f, NULL))
		fail("no finalizer");
	if (peer && !(n->id >> 27 & 3) &&
	    hspan_weak_set(&n->peer, peer, n->id >> 29 & 1 ? HSPAN_WEAK_LONG : 0))
		fail("no weak reference");
}

/* Made by plain stores: nobody else sees it yet. */
static struct node *new_node(struct mutator *m, struct node **local)
{
	uint64_t r = next_random(m);
	struct node *n = r & 1 ? hspan_alloc(sizeof(*n)) : hspan_alloc_typed(node_type);

	if (!n)
		fail("no memory for a node: %s", strerror(errno));
	if (n->magic || n->link[0] || n->payload || n->fan)
		fail("a new node is not zero");
	n->id = r;
	n->check = r ^ MAGIC;
	n->magic = MAGIC;
	if (r & 6)
		n->link[r >> 8 & 3] = local[r >> 16 & 31];
	if ((r & 24) == 8)
		n->payload = new_payload(m, r);
	if ((r & 0xfff000) == 0x123000) {
		n->fan = hspan_alloc(FAN * sizeof(*n->fan));
		for (int i = 0; n->fan && i < FAN; i += 100)
			hspan_store(&n->fan[i], local[(unsigned int)i % LOCALS]);
	}
	m->nodes++;
	watch_death(n, local[r >> 40 & 31]);
	return n;
}

static struct node *any_table(struct mutator *m)
{
	return load(&table[next_random(m) % TABLE]);
}

static struct node *any_ballast(struct mutator *m)
{
	return load(&ballast[next_random(m) % nr_ballast]);
}

/* A node some steps away; all on the way must be whole. */
static struct node *walk(struct mutator *m, struct node *n, unsigned int steps)
{
	struct node *next = n;

	while (next && steps--) {
		n = next;
		check_node(n);
		m->walked++;
		next = load(&n->link[next_random(m) & 3]);
		if (n->fan && !(m->random & 0x70))
			next = load(&n->fan[next_random(m) % (FAN / 100) * 100]);
	}
	return n;
}

/* Take a pointer out of the heap: only our stack has it, if nobody else does. */
static struct node *hide(struct mutator *m, struct node *from)
{
	struct node **slot = &from->link[next_random(m) & 3];
	struct node *n = m->random & 64 ? hspan_exchange(slot, NULL) : load(slot);

	if (n && !(m->random & 64))
		hspan_store(slot, NULL);
	m->moves++;
	return n;
}

static void bring_back(struct mutator *m, struct node *to, struct node *n)
{
	struct node **slot = &to->link[next_random(m) & 3];

	switch (m->random >> 32 & 3) {
	case 0:
		hspan_store(slot, n);
		break;
	case 1:
		hspan_store_release(slot, n);
		break;
	case 2:
		hspan_cas(slot, load(slot), n);
		break;
	default:
		hspan_copy(&to->link[0], &to->link[1], (LINKS - 1) * sizeof(void *));
		hspan_store(&to->link[LINKS - 1], n);
	}
}

/* A child moves from one ballast node to our stack, another one back. */
static void move_child(struct mutator *m, struct node **mine)
{
	struct node *old = *mine;

	*mine = hide(m, any_ballast(m));
	if (*mine)
		check_node(*mine);
	if (old)
		hspan_store(&any_ballast(m)->link[next_random(m) & 3], old);
}

/* Subcritical: what is linked is cut again, so that the heap stays small. */
static void cut(struct mutator *m, struct node *n)
{
	hspan_store(&n->link[next_random(m) & 3], NULL);
	if (m->random & 256)
		hspan_clear(n->link, sizeof(n->link));
}

static void thin_table(struct mutator *m)
{
	for (int i = 0; i < TABLE; i++)
		if (next_random(m) & 1)
			hspan_store(&table[i], NULL);
}

static void rest(struct mutator *m)
{
	hspan_thread_park();
	usleep((unsigned int)(next_random(m) % 300));
	hspan_thread_unpark();
}

static void step(struct mutator *m, struct node **local)
{
	uint64_t r = next_random(m);
	struct node **mine = &local[r >> 8 & 31];
	struct node *there;

	switch (r & 15) {
	case 0: case 1: case 2: case 3: case 4:
		*mine = new_node(m, local);
		break;
	case 5: case 6:
		hspan_store_release(&table[(r >> 20) % TABLE], *mine);
		hspan_store_release(&newest, *mine);
		break;
	case 7:
		*mine = walk(m, any_table(m), 12);
		break;
	case 8: case 9:
		move_child(m, mine);
		break;
	case 10:
		there = walk(m, any_table(m), 5);
		*mine = there ? hide(m, there) : NULL;
		break;
	case 11: /* the last we see of it, in an object that may be brand-new */
		there = hspan_exchange(&newest, NULL); /* so that no other store follows */
		if (there)
			hspan_store(&there->link[r >> 28 & 3], *mine);
		*mine = NULL;
		break;
	case 12:
		there = walk(m, *mine, 6);
		if (there)
			bring_back(m, there, local[r >> 28 & 31]);
		break;
	case 13:
		there = walk(m, any_table(m), 3);
		if (there)
			cut(m, there);
		break;
	case 14:
		*mine = hspan_exchange(&table[(r >> 20) % TABLE], NULL);
		break;
	default:
		if (*mine) {
			check_node(*mine);
			there = hspan_weak_get(&(*mine)->peer);
			if (there)
				check_node(*mine = there);
		}
		if ((r >> 40) % 32 == 0)
			rest(m);
	}
	m->ops++;
}

/* Before the first look at the heap, not with the first allocation. */
static void take_part(void)
{
	int ret = hspan_thread_register();

	if (ret)
		fail("hspan_thread_register: %s", strerror(-ret));
}

static void *mutate(void *arg)
{
	struct mutator *m = arg;
	struct node *local[LOCALS] = { NULL }; /* on the stack: found by itself */

	take_part();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		step(m, local);
		if (m->index == 0 && __atomic_exchange_n(&thin, 0, __ATOMIC_RELAXED))
			thin_table(m);
	}
	for (int i = 0; i < LOCALS; i++)
		walk(m, local[i], 1000);
	return NULL;
}

/* Threads that come, leave something in the table, and go. */
static void *visitor(void *arg)
{
	struct mutator m = { .random = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull + 1 };
	struct node *local[LOCALS] = { NULL };

	take_part();
	for (int i = 0; i < 200; i++)
		step(&m, local);
	hspan_store_release(&table[next_random(&m) % TABLE], new_node(&m, local));
	return NULL;
}

static void watch(unsigned int tick)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };
	pthread_t thread;

	if (pthread_create(&thread, NULL, visitor, (void *)(uintptr_t)(tick + 1)))
		fail("no thread: %s", strerror(errno));
	hspan_thread_park();
	pthread_join(thread, NULL);
	usleep(20000);
	hspan_thread_unpark();
	if (hspan_stats_read(&st))
		fail("no statistics");
	if (st.heap_live > HEAP_HIGH)
		__atomic_store_n(&thin, 1, __ATOMIC_RELAXED);
	if (tick % 64 == 0)
		hspan_gc();
}

static void make_heap(void)
{
	struct hspan_options options = HSPAN_OPTIONS_INIT;
	/* link[0..3], payload, fan are words 3 to 8 */
	uint64_t bitmap = 0x1f8;
	struct node *none[LOCALS] = { NULL };
	struct mutator m = { .random = seed };
	int ret;

	if (!getenv("HUGESPAN_DEBUG"))
		options.debug = HSPAN_DEBUG_CHECKMARK | HSPAN_DEBUG_CLOBBER;
	options.min_heap = 256 << 10;
	options.gc_percent = 30;
	options.markers = 2;
	ret = hspan_init(&options);
	if (!ret)
		ret = hspan_finalizers_start();
	if (ret)
		fail("hspan_init: %s", strerror(-ret));
	node_type = hspan_type_create(sizeof(struct node), &bitmap, 9);
	if (!node_type || hspan_root_add(table, sizeof(table)))
		fail("no type or root");
	if (hspan_root_add(&ballast, sizeof(ballast)) || hspan_root_add(&newest, sizeof(newest)))
		fail("no root");
	hspan_store(&ballast, hspan_alloc(nr_ballast * sizeof(*ballast)));
	for (unsigned int i = 0; i < nr_ballast; i++)
		hspan_store(&ballast[i], new_node(&m, none));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The time is up and there were collections enough, or it is hopeless. */
static bool enough(double elapsed)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	if (elapsed < seconds || elapsed > 3 * seconds)
		return elapsed >= seconds;
	return !hspan_stats_read(&st) && st.num_gc >= want_collections;
}

static void report(double elapsed)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };
	uint64_t ops = 0, walked = 0, nodes = 0;

	for (unsigned int i = 0; i < nr_threads; i++) {
		ops += mutators[i].ops;
		walked += mutators[i].walked;
		nodes += mutators[i].nodes;
	}
	if (hspan_stats_read(&st))
		fail("no statistics");
	printf("# %s backend, %u mutators, %.0f s: %llu steps, %llu nodes made, %llu checked\n",
	       hspan_backend_name(), nr_threads, elapsed, (unsigned long long)ops,
	       (unsigned long long)nodes, (unsigned long long)walked);
	printf("# %llu collections, live %.1f MiB, longest handshake %.1f us\n",
	       (unsigned long long)st.num_gc, (double)st.heap_live / (1 << 20),
	       (double)st.stop_max_ns / 1e3);
	printf("# %llu objects finalized\n", (unsigned long long)finalized);
	if (!finalized)
		fail("nothing was finalized");
	printf("ok 1 - no object lost or overwritten\n");
	printf("%sok 2 - %llu collections, %u wanted\n",
	       st.num_gc >= want_collections ? "" : "not ", (unsigned long long)st.num_gc,
	       want_collections);
	if (st.num_gc < want_collections)
		exit(1);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--seconds"))
			seconds = (unsigned int)value;
		else if (!strcmp(argv[i], "--threads") && value && value <= MAX_THREADS)
			nr_threads = (unsigned int)value;
		else if (!strcmp(argv[i], "--collections"))
			want_collections = (unsigned int)value;
		else if (!strcmp(argv[i], "--ballast") && value)
			nr_ballast = (unsigned int)value;
		else if (!strcmp(argv[i], "--seed"))
			seed = value;
		else
			fail("usage: --seconds N --threads N --collections N --ballast N --seed N");
	}
}

int main(int argc, char **argv)
{
	double start = now();

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	printf("1..2\n");
	make_heap();
	for (unsigned int i = 0; i < nr_threads; i++) {
		mutators[i].index = i;
		mutators[i].random = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
		if (pthread_create(&mutators[i].thread, NULL, mutate, &mutators[i]))
			fail("no thread: %s", strerror(errno));
	}
	for (unsigned int tick = 0; !enough(now() - start); tick++)
		watch(tick);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	hspan_thread_park();
	for (unsigned int i = 0; i < nr_threads; i++)
		pthread_join(mutators[i].thread, NULL);
	hspan_thread_unpark();
	report(now() - start);
	return 0;
}
