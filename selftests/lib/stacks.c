// SPDX-License-Identifier: MIT
/* Stacks of coroutines: what is on them is kept, whoever runs on them, and when. */
#include <sched.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common.h"

#if UNDER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define PAGE 4096u
#if UNDER_TSAN || defined(__SANITIZE_ADDRESS__)
#define SANITIZED   1
#define STACK_BYTES (256u << 10) /* signals are handled on it */
#else
#define SANITIZED   0
#define STACK_BYTES (64u << 10)
#endif

/* Coroutines -------------------------------------------------------------- */

struct context {
	ucontext_t uc;
	void *fiber; /* for ThreadSanitizer */
};

struct coroutine {
	struct hspan_stack *stack;
	struct context context;
	struct context *back; /* of who has resumed it */
	void (*fn)(struct coroutine *self);
	hidden_t h;
	uint64_t seed;
	int wait; /* for collections, between telling and switching */
	int busy;
	int done;
};

static __thread struct context own;
static int collections;

/* The one function that moves the stack pointer. */
static NOINLINE void switch_to(struct context *from, struct context *to, struct hspan_stack *stack,
			       int wait)
{
	must(hspan_stack_switch(stack) == 0);
	wait += wait ? __atomic_load_n(&collections, __ATOMIC_RELAXED) : 0;
	while (wait && __atomic_load_n(&collections, __ATOMIC_RELAXED) < wait)
		sched_yield();
#if UNDER_TSAN
	from->fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	must(swapcontext(&from->uc, &to->uc) == 0);
}

static void yield(struct coroutine *self)
{
	switch_to(&self->context, self->back, NULL, self->wait);
}

static NOINLINE void resume(struct coroutine *c)
{
	c->back = &own;
	switch_to(&own, &c->context, c->stack, c->wait);
}

/* Its address in two halves, as makecontext() wants it. */
static void begin(unsigned int lo, unsigned int hi)
{
	struct coroutine *self = (void *)((uintptr_t)hi << 32 | lo);

	self->fn(self);
	self->done = 1;
	yield(self);
	must(!"resumed after its end");
}

static void start(struct coroutine *c, void (*fn)(struct coroutine *self))
{
	void *memory;
	size_t size;

	c->fn = fn;
	c->done = 0;
	memory = hspan_stack_memory(c->stack, &size);
	must(getcontext(&c->context.uc) == 0);
	c->context.uc.uc_stack.ss_sp = memory;
	c->context.uc.uc_stack.ss_size = size;
	c->context.uc.uc_link = NULL;
	makecontext(&c->context.uc, (void (*)(void))begin, 2, (unsigned int)(uintptr_t)c,
		    (unsigned int)((uintptr_t)c >> 32));
#if UNDER_TSAN
	c->context.fiber = __tsan_create_fiber(0);
#endif
}

static void create(struct coroutine *c, size_t size, void (*fn)(struct coroutine *self))
{
	c->stack = hspan_stack_create(size);
	must(c->stack);
	start(c, fn);
}

static void destroy(struct coroutine *c)
{
	must(hspan_stack_destroy(c->stack) == 0);
#if UNDER_TSAN
	__tsan_destroy_fiber(c->context.fiber);
#endif
}

/* What is kept ------------------------------------------------------------ */

static struct coroutine one;

/* An object that only this frame knows, across a yield. */
static NOINLINE void hold(struct coroutine *self)
{
	uint64_t *object = hspan_alloc(64);

	must(object);
	*object = 4711;
	self->h = hide(object);
	yield(self);
	must(*object == 4711);
}

static void create_and_resume(void *fn)
{
	create(&one, STACK_BYTES, *(void (**)(struct coroutine *))fn);
	resume(&one);
}

static void resume_one(void *arg)
{
	(void)arg;
	resume(&one);
}

static void run_one(void (*fn)(struct coroutine *self))
{
	one.wait = 0;
	elsewhere(create_and_resume, &fn);
}

static void keeps_while_suspended(void **state)
{
	(void)state;
	run_one(hold);
	hspan_gc();
	hspan_gc();
	assert_true(alive(one.h));
	elsewhere(resume_one, NULL);
	assert_int_equal(one.done, 1);
	assert_int_equal(hspan_stack_reset(one.stack), 0);
	hspan_gc();
	assert_false(alive(one.h));
	destroy(&one);
}

static void drops_when_destroyed(void **state)
{
	(void)state;
	run_one(hold);
	hspan_gc();
	assert_true(alive(one.h));
	destroy(&one);
	hspan_gc();
	assert_false(alive(one.h));
	assert_int_equal(hspan_stack_destroy(NULL), 0);
}

/* The thread's own stack is kept while it runs on another. */
static void collect_and_yield(struct coroutine *self)
{
	hspan_gc();
	yield(self);
	hspan_gc();
}

static void hold_below(void *h)
{
	uint64_t *object = hspan_alloc(64);
	void (*fn)(struct coroutine *) = collect_and_yield;

	must(object);
	*object = 4711;
	*(hidden_t *)h = hide(object);
	create_and_resume(&fn);
	must(*object == 4711);
	hspan_gc();
	resume(&one);
	must(*object == 4711);
}

static void keeps_own_stack(void **state)
{
	hidden_t h;

	(void)state;
	one.wait = 0;
	elsewhere(hold_below, &h);
	assert_int_equal(one.done, 1);
	hspan_gc();
	assert_false(alive(h));
	destroy(&one);
}

/*
 * Whole collections between hspan_stack_switch() and the switch itself, in both
 * directions.
 */
static int stop;

static void *collect(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		hspan_gc();
		__atomic_add_fetch(&collections, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void hold_through_waits(void *arg)
{
	uint64_t *object = hspan_alloc(64);
	void (*fn)(struct coroutine *) = hold;

	(void)arg;
	must(object);
	*object = 4712;
	one.wait = 3;
	create_and_resume(&fn);
	must(*object == 4712);
	resume(&one);
	must(*object == 4712 && one.done);
}

static void keeps_in_between(void **state)
{
	pthread_t thread;

	(void)state;
	stop = 0;
	must(pthread_create(&thread, NULL, collect, NULL) == 0);
	elsewhere(hold_through_waits, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	must(pthread_join(thread, NULL) == 0);
	destroy(&one);
}

#if defined(__x86_64__) && !SANITIZED
/*
 * A switch as fast ones are: six registers go to the stack, below where
 * hspan_stack_switch() was called, and the stack pointer moves.  The pointer is
 * nowhere but in a register that this saves.
 */
void swap_by_hand(void **from, void *to);
void *keep_in_register(void *p, void (*fn)(void));
__asm__(".text\n"
	"swap_by_hand:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov %rsp, (%rdi)\n\tmov %rsi, %rsp\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n"
	"keep_in_register:\n\t"
	"push %rbx\n\tmov %rdi, %rbx\n\txor %edi, %edi\n\tcall *%rsi\n\t"
	"mov %rbx, %rax\n\tpop %rbx\n\tret\n");

static void *own_sp, *other_sp;
static hidden_t by_hand;

static void back_by_hand(void)
{
	must(hspan_stack_switch(NULL) == 0);
	swap_by_hand(&other_sp, own_sp);
}

static void run_by_hand(void)
{
	uint64_t *object = hspan_alloc(64);

	*object = 4713;
	by_hand = hide(object);
	object = keep_in_register(object, back_by_hand);
	must(*object == 4713);
	object = NULL;
	back_by_hand();
}

static void there_by_hand(void *arg)
{
	(void)arg;
	must(hspan_stack_switch(one.stack) == 0);
	swap_by_hand(&own_sp, other_sp);
}

static void keeps_registers(void **state)
{
	void **top;
	size_t size;

	(void)state;
	one.stack = hspan_stack_create(STACK_BYTES);
	assert_non_null(one.stack);
	top = hspan_stack_memory(one.stack, &size);
	top += size / sizeof(*top) - 1; /* as if called: 8 short of aligned */
	*--top = (void *)run_by_hand;
	other_sp = top - 6;
	elsewhere(there_by_hand, NULL);
	hspan_gc();
	assert_true(alive(by_hand));
	elsewhere(there_by_hand, NULL);
	assert_int_equal(hspan_stack_destroy(one.stack), 0);
}
#endif

/* Memory ------------------------------------------------------------------ */

static size_t resident(const struct hspan_stack *stack)
{
	static unsigned char in[1024];
	size_t size, n = 0;
	void *memory = hspan_stack_memory(stack, &size);

	must(size / PAGE <= sizeof(in) && mincore(memory, size, in) == 0);
	for (size_t i = 0; i < size / PAGE; i++)
		n += in[i] & 1;
	return n;
}

/* A list down the stack, a page and an object at a time; how long it is. */
struct link {
	struct link *above;
	uint64_t *object;
};

static NOINLINE uint64_t down(struct coroutine *self, int depth, struct link *above)
{
	volatile char page[PAGE];
	struct link link = {above, hspan_alloc(16)};
	uint64_t sum = 0;

	must(link.object);
	page[0] = page[sizeof(page) - 1] = 1;
	*link.object = (uint64_t)depth;
	if (depth)
		return down(self, depth - 1, &link) + page[0] - 1;
	yield(self);
	for (struct link *l = &link; l; l = l->above)
		sum += *l->object;
	return sum;
}

static void go_deep(struct coroutine *self)
{
	must(down(self, 200, NULL) == 200 * 201 / 2);
	yield(self);
}

static void grows_and_shrinks(void **state)
{
	(void)state;
	one.wait = 0;
	create(&one, 1 << 20, go_deep);
	assert_true(resident(one.stack) <= 1);
	resume(&one);
	assert_true(resident(one.stack) >= 200 && resident(one.stack) < 256);
	for (int i = 0; i < 4; i++)
		hspan_gc();
	assert_true(resident(one.stack) >= 200); /* all alive */
	resume(&one);
	assert_true(resident(one.stack) >= 200);
	for (int i = 0; i < 4; i++)
		hspan_gc();
	assert_true(resident(one.stack) < 8);
	resume(&one);
	assert_int_equal(one.done, 1);
	destroy(&one);
}

static void sizes(void **state)
{
	static const size_t asked[] = {0, 1, 10000, 1 << 20};
	static const size_t given[] = {256 << 10, 16 << 10, 16 << 10, 1 << 20};
	struct hspan_stack *stack;
	size_t size;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		stack = hspan_stack_create(asked[i]);
		assert_non_null(stack);
		assert_int_equal((uintptr_t)hspan_stack_memory(stack, &size) % PAGE, 0);
		assert_int_equal(size, given[i]);
		assert_int_equal(hspan_stack_destroy(stack), 0);
	}
	errno = 0;
	assert_null(hspan_stack_create(SIZE_MAX - 5));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hspan_stack_create(1ul << 60));
	assert_int_equal(errno, ENOMEM);
}

static NOINLINE int endless(volatile char *above)
{
	volatile char frame[1000];

	frame[0] = above ? above[0] : 0;
	return frame[0] ? 0 : endless(frame) + frame[0];
}

static void overflow(struct coroutine *self)
{
	self->done = endless(NULL);
}

static int overflow_in_child(const void *arg)
{
	(void)arg;
	create(&one, 1 << 20, overflow);
	resume(&one);
	return 0;
}

static void overflow_faults(void **state)
{
	int status = in_child(overflow_in_child, NULL);

	(void)state;
	if (SANITIZED) /* it says what it was, and exits */
		assert_true(status && status != 99);
	else
		assert_int_equal(status, 128 + SIGSEGV);
}

/* What is refused --------------------------------------------------------- */

static void *switch_there(void *arg)
{
	(void)arg;
	must(hspan_stack_switch(one.stack) == -EBUSY);
	return NULL;
}

static void try_on_itself(struct coroutine *self)
{
	pthread_t thread;

	must(hspan_stack_destroy(self->stack) == -EBUSY);
	must(hspan_stack_reset(self->stack) == -EBUSY);
	must(hspan_stack_switch(self->stack) == 0); /* it is there */
	must(hspan_thread_unregister() == -EBUSY);
	must(hspan_shutdown() == -EBUSY);
	must(pthread_create(&thread, NULL, switch_there, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
}

static void refuses_while_in_use(void **state)
{
	(void)state;
	one.wait = 0;
	create(&one, STACK_BYTES, try_on_itself);
	resume(&one);
	assert_int_equal(one.done, 1);
	assert_int_equal(hspan_stack_switch(NULL), 0);
	destroy(&one);
}

static int in_a_forked_child(const void *arg)
{
	(void)arg;
	errno = 0;
	expect(!hspan_stack_create(0) && errno == ENOTSUP);
	expect(hspan_stack_switch(one.stack) == 0);
	expect(hspan_stack_switch(NULL) == 0);
	expect(hspan_stack_reset(one.stack) == -ENOTSUP);
	expect(hspan_stack_destroy(one.stack) == -ENOTSUP);
	return 0;
}

static void nothing_to_tell_after_fork(void **state)
{
	(void)state;
	one.stack = hspan_stack_create(0);
	assert_non_null(one.stack);
	assert_int_equal(in_child(in_a_forked_child, NULL), 0);
	assert_int_equal(hspan_stack_destroy(one.stack), 0);
}

/* A thread may end on such a stack; it is empty then. */
static void end_thread(struct coroutine *self)
{
	self->h = hide(hspan_alloc(64));
	pthread_exit(NULL);
}

static void *end_on_it(void *arg)
{
	resume(arg);
	return NULL;
}

static void thread_ends_on_it(void **state)
{
	pthread_t thread;

	(void)state;
	if (SANITIZED)
		return; /* which unwind a stack that they know */
	one.wait = 0;
	create(&one, STACK_BYTES, end_thread);
	must(pthread_create(&thread, NULL, end_on_it, &one) == 0);
	must(pthread_join(thread, NULL) == 0);
	hspan_gc();
	assert_false(alive(one.h));
	destroy(&one);
}

/* Stacks outlive the heap. */
static void allocate(struct coroutine *self)
{
	must(hspan_alloc(64));
	yield(self);
	must(hspan_alloc(64));
}

static void survives_the_heap(void **state)
{
	one.wait = 0;
	create(&one, STACK_BYTES, allocate);
	resume(&one);
	assert_int_equal(hspan_shutdown(), 0);
	assert_int_equal(heap_setup(state), 0);
	hspan_gc();
	resume(&one);
	assert_int_equal(one.done, 1);
	destroy(&one);
}

/* Many, on several threads ------------------------------------------------ */

#define THREADS 3
#define SLOTS	64

struct node {
	struct node *next;
	uint64_t left; /* nodes behind it */
};

static struct node *slot[SLOTS]; /* a root: lists go from one coroutine to another */
static struct coroutine *many;
static long nr_many;
static long resumes;

static struct node *extend(struct node *list)
{
	struct node *n = hspan_alloc(sizeof(*n));

	must(n);
	n->next = list;
	n->left = list ? list->left + 1 : 0;
	return n;
}

static void verify(const struct node *list)
{
	for (; list && list->next; list = list->next)
		must(list->left == list->next->left + 1);
	must(!list || !list->left);
}

/* Lists in frames of any depth, kept over a switch to who knows which thread. */
static NOINLINE void wander(struct coroutine *self, int depth)
{
	struct node *list = extend(extend(NULL));
	uint64_t dice = next_random(&self->seed);

	if (dice % 3 == 0)
		list = hspan_exchange(&slot[dice / 3 % SLOTS], list);
	if (depth)
		wander(self, depth - 1);
	if (list && list->left < 20)
		list = extend(list);
	if (dice % 5 == 0)
		yield(self);
	verify(list);
	if (dice % 7 == 0)
		hspan_store_release(&slot[dice / 7 % SLOTS], list);
}

static void wander_for_ever(struct coroutine *self)
{
	for (;;) {
		wander(self, (int)(next_random(&self->seed) % 20));
		yield(self);
	}
}

static void *run_any(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	struct coroutine *c;

	while (__atomic_sub_fetch(&resumes, 1, __ATOMIC_RELAXED) > 0) {
		c = &many[next_random(&seed) % (uint64_t)nr_many];
		if (__atomic_exchange_n(&c->busy, 1, __ATOMIC_ACQUIRE))
			continue;
		resume(c);
		__atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void many_on_several_threads(void **state)
{
	pthread_t thread[THREADS], collector;

	(void)state;
	nr_many = EFFORT(getenv("HUGESPAN_DEBUG") ? 1000 : 3000);
	resumes = nr_many * 20;
	stop = 0;
	many = calloc((size_t)nr_many, sizeof(*many));
	must(many);
	for (long i = 0; i < nr_many; i++) {
		many[i].seed = (uint64_t)i + 1;
		create(&many[i], STACK_BYTES, wander_for_ever);
	}
	must(hspan_root_add(slot, sizeof(slot)) == 0);
	must(pthread_create(&collector, NULL, collect, NULL) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&thread[i], NULL, run_any, (void *)(i + 1)) == 0);
	for (int i = 0; i < THREADS; i++)
		must(pthread_join(thread[i], NULL) == 0);
	for (long i = 0; i < nr_many; i++) /* while it collects */
		destroy(&many[i]);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	must(pthread_join(collector, NULL) == 0);
	must(hspan_root_remove(slot) == 0);
	free(many);
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(overflow_faults),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_while_suspended),
		cmocka_unit_test(drops_when_destroyed),
		cmocka_unit_test(keeps_own_stack),
		cmocka_unit_test(keeps_in_between),
#if defined(__x86_64__) && !SANITIZED
		cmocka_unit_test(keeps_registers),
#endif
		cmocka_unit_test(grows_and_shrinks),
		cmocka_unit_test(sizes),
		cmocka_unit_test(refuses_while_in_use),
		cmocka_unit_test(nothing_to_tell_after_fork),
		cmocka_unit_test(thread_ends_on_it),
		cmocka_unit_test(survives_the_heap),
		cmocka_unit_test(many_on_several_threads),
	};

	return cmocka_run_group_tests(before, NULL, NULL) + run_group(tests);
}
