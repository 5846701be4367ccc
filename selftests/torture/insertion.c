// SPDX-License-Identifier: MIT
/*
 * What the insertion half of the barrier is for: a thread not yet scanned
 * stores the only pointer to a white object into a black one, and forgets it.
 *
 * One thread makes objects and publishes them; scanned first, it makes them
 * black.  The other stores into them.  Without that half checkmark has to
 * abort; with it nothing may be lost.  TAP on stdout.
 *
 *	insertion [SECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hugespan.h>

#define KEPT 65536 /* slots; more than are used while one cycle runs */

struct object {
	struct object *child;
	long value;
};

static struct object *published;
static struct object *kept[KEPT];
static int stop, ready;

static void die(const char *what)
{
	printf("not ok 1 - %s\n", what);
	fflush(stdout);
	abort();
}

static struct object *make(long value)
{
	struct object *o = hspan_alloc(sizeof(*o));

	if (!o)
		die("no memory");
	o->value = value;
	return o;
}

static void *publish(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		usleep(100); /* the other takes part first, and so is asked last */
	if (hspan_thread_register())
		die("cannot take part");
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		hspan_store_release(&published, make(1));
	return NULL;
}

/* In a frame of its own, which the next call overwrites. */
static __attribute__((noinline)) void hide(long i)
{
	struct object *child = make(i), *parent = hspan_exchange(&published, NULL);

	if (!parent)
		return;
	hspan_store(&parent->child, child);
	hspan_store(&kept[i % KEPT], parent);
}

static void *hide_all(void *arg)
{
	long i = 0;

	(void)arg;
	if (hspan_thread_register())
		die("cannot take part");
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	for (; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		hide(i);
		for (int spin = 0; spin < 2000; spin++)
			__asm__ volatile("");
	}
	return NULL;
}

static void check(void)
{
	for (long i = 0; i < KEPT; i++) {
		const struct object *o = kept[i];

		if (o && (o->value != 1 || !o->child || o->child->value % KEPT != i))
			die("a child was lost");
	}
}

int main(int argc, char **argv)
{
	struct hspan_options options = HSPAN_OPTIONS_INIT;
	struct hspan_stats st = { .struct_size = sizeof(st) };
	unsigned long seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
	time_t end = time(NULL) + (time_t)seconds;
	pthread_t threads[2];

	printf("1..1\n");
	options.debug = HSPAN_DEBUG_CHECKMARK | HSPAN_DEBUG_CLOBBER;
	options.gc_percent = -1;
	if (hspan_init(&options) || hspan_root_add(&published, sizeof(published)) ||
	    hspan_root_add(kept, sizeof(kept)))
		die("no heap");
	pthread_create(&threads[0], NULL, hide_all, NULL);
	pthread_create(&threads[1], NULL, publish, NULL);
	while (time(NULL) < end)
		hspan_gc();
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	hspan_thread_park();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	hspan_thread_unpark();
	check();
	hspan_stats_read(&st);
	printf("# %s backend, %lu collections\n", hspan_backend_name(), (unsigned long)st.num_gc);
	printf("ok 1 - no object hidden in a black one is lost\n");
	return 0;
}
