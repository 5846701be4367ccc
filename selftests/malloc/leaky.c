// SPDX-License-Identifier: MIT
/*
 * A program that leaks, and keeps what is no leak in all the places that there
 * are: run-leaks looks what is made of it.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((__noinline__))

struct node {
	struct node *next;
	char text[40];
};

static struct node *volatile list, *volatile middle;
static char *volatile inner;
static __thread void *volatile local;
static void *volatile large, *volatile grown;
static pthread_barrier_t ready;

static NOINLINE struct node *make_list(int n)
{
	struct node *first = NULL;

	while (n--) {
		struct node *node = calloc(1, sizeof(*node));

		node->next = first;
		first = node;
	}
	return first;
}

/* Twenty nodes that only each other point to. */
static NOINLINE void leak_ring(void)
{
	struct node *first = make_list(20), *last = first;

	while (last->next)
		last = last->next;
	last->next = first;
}

static NOINLINE void leak_large(void)
{
	volatile char *p = malloc(100000);

	p[0] = 1;
}

static NOINLINE void leak_grown(void)
{
	volatile char *p = realloc(malloc(10), 3000);

	p[0] = 1;
}

/* What another thread has on its stack is no leak while it runs. */
static void *hold(void *arg)
{
	void *volatile held = malloc(700);

	(void)arg;
	memset(held, 0, 700);
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return held;
}

/* What was there before is overwritten. */
static NOINLINE void scrub(void)
{
	volatile char dead[32768];

	memset((char *)dead, 0, sizeof(dead));
}

static void keep(void)
{
	pthread_t thread;

	list = make_list(50);
	middle = list->next;
	inner = (char *)calloc(1, 500) + 250;
	local = malloc(600);
	large = malloc(6 << 20);
	*(void **)large = malloc(1234);
	grown = realloc(malloc(10), 5 << 20);
	free(malloc(1000));
	pthread_barrier_init(&ready, NULL, 2);
	if (pthread_create(&thread, NULL, hold, NULL))
		abort();
	pthread_barrier_wait(&ready);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1) {
		leak_ring();
		leak_large();
		leak_grown();
	}
	scrub();
	keep();
	return 0;
}
