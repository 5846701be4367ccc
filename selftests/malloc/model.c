// SPDX-License-Identifier: MIT
/*
 * Threads that allocate, resize, free and exchange objects at random, and know
 * of each what must be in it; some threads end early, and others take over.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

#define THREADS	  4
#define OBJECTS	  600
#define EXCHANGES 64
#define LIVES	  4

struct object {
	unsigned char *p;
	size_t size;
	uint32_t colour;
};

static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;
static struct object exchange[EXCHANGES];
static _Atomic uint32_t colours;
static long steps;

static size_t random_size(uint64_t *state)
{
	switch (random_below(state, 20)) {
	case 0:
		return random_below(state, 300000);
	case 1:
		return random_below(state, 40000);
	case 2:
	case 3:
	case 4:
		return random_below(state, 4000);
	default:
		return random_below(state, 200);
	}
}

static void verify(const struct object *o)
{
	if (o->p)
		assert_painted(o->p, o->size, o->colour);
}

static void drop(struct object *o)
{
	verify(o);
	free(o->p);
	*o = (struct object){NULL, 0, 0};
}

static void renew(struct object *o)
{
	o->colour = atomic_fetch_add(&colours, 1);
	assert_non_null(o->p);
	assert_true(malloc_usable_size(o->p) >= o->size);
	paint(o->p, o->size, o->colour);
}

static void make(struct object *o, uint64_t *state)
{
	size_t align = 16ul << random_below(state, 9);

	drop(o);
	o->size = random_size(state);
	switch (random_below(state, 4)) {
	case 0:
		o->p = calloc(1, o->size);
		assert_true(is_zero(o->p, o->size));
		break;
	case 1:
		o->p = aligned_alloc(align, o->size);
		assert_int_equal((uintptr_t)o->p % align, 0);
		break;
	default:
		o->p = malloc(o->size);
	}
	renew(o);
}

static void resize(struct object *o, uint64_t *state)
{
	size_t size = random_size(state) + 1, less = size < o->size ? size : o->size;

	verify(o);
	o->p = realloc(o->p, size);
	assert_painted(o->p, less, o->colour);
	o->size = size;
	renew(o);
}

static void swap(struct object *o, uint64_t *state)
{
	struct object *other = &exchange[random_below(state, EXCHANGES)], mine = *o;

	pthread_mutex_lock(&exchange_lock);
	*o = *other;
	*other = mine;
	pthread_mutex_unlock(&exchange_lock);
	verify(o);
}

static void *live(void *arg)
{
	uint64_t state = ((uintptr_t)arg + 1) * 0x9e3779b97f4a7c15ull;
	struct object objects[OBJECTS] = {{NULL, 0, 0}};

	for (long i = 0; i < steps; i++) {
		struct object *o = &objects[random_below(&state, OBJECTS)];

		switch (random_below(&state, 8)) {
		case 0:
		case 1:
			drop(o);
			break;
		case 2:
			resize(o, &state);
			break;
		case 3:
		case 4:
			swap(o, &state);
			break;
		default:
			make(o, &state);
		}
		if (!random_below(&state, 20000))
			malloc_trim(0);
	}
	for (int i = 0; i < OBJECTS; i++)
		drop(&objects[i]);
	return NULL;
}

static void test_model(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	steps = effort(60000);
	for (uintptr_t life = 0; life < LIVES; life++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, live,
							(void *)(life * THREADS + i)),
					 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < EXCHANGES; i++)
		drop(&exchange[i]);
}

/* All that many threads freed for each other can be given back. */
static void test_nothing_is_left(void **state)
{
	(void)state;
	malloc_trim(0);
	assert_true(mallinfo2().uordblks <= 4 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
