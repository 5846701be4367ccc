// SPDX-License-Identifier: MIT
/*
 * A minimizer of Boolean functions at work: covers of cubes, split by a
 * variable, minimized by themselves and merged; each cube a small object, each
 * cover an array that grows.  One thread.
 */
#include "hand.h"

struct cube {
	unsigned int words;
	uint32_t bit[];
};

struct cover {
	unsigned int nr, room;
	struct cube **cube;
};

static uint64_t state;

static struct cube *make_cube(unsigned int words)
{
	struct cube *c = malloc(sizeof(*c) + words * sizeof(c->bit[0]));

	c->words = words;
	return c;
}

static struct cover *make_cover(void)
{
	return calloc(1, sizeof(struct cover));
}

static void add(struct cover *f, struct cube *c)
{
	if (f->nr == f->room) {
		f->room = f->room ? f->room * 2 : 4;
		f->cube = realloc(f->cube, f->room * sizeof(struct cube *));
	}
	f->cube[f->nr++] = c;
}

static void drop_cover(struct cover *f)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		free(f->cube[i]);
	free(f->cube);
	free(f);
}

static struct cover *random_cover(unsigned int cubes, unsigned int words)
{
	struct cover *f = make_cover();
	unsigned int i, j;

	for (i = 0; i < cubes; i++) {
		struct cube *c = make_cube(words);

		for (j = 0; j < words; j++)
			c->bit[j] = hand_random(&state) | hand_random(&state);
		add(f, c);
	}
	return f;
}

/* The cubes that have variable @v, less that variable. */
static struct cover *cofactor(const struct cover *f, unsigned int v, uint32_t want)
{
	struct cover *out = make_cover();
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		const struct cube *c = f->cube[i];
		struct cube *copy;

		if ((c->bit[v / 32 % c->words] >> v % 32 & 1) != want)
			continue;
		copy = make_cube(c->words);
		memcpy(copy->bit, c->bit, c->words * sizeof(c->bit[0]));
		copy->bit[v / 32 % c->words] |= 1u << v % 32;
		add(out, copy);
	}
	return out;
}

static int contains(const struct cube *a, const struct cube *b)
{
	unsigned int i;

	for (i = 0; i < a->words; i++)
		if (b->bit[i] & ~a->bit[i])
			return 0;
	return 1;
}

/* @a and what of @b no cube just before it contains; both are used up. */
static struct cover *merge(struct cover *a, struct cover *b)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		if (a->nr && contains(a->cube[a->nr - 1], b->cube[i]))
			free(b->cube[i]);
		else
			add(a, b->cube[i]);
	}
	free(b->cube);
	free(b);
	return a;
}

static struct cover *minimize(struct cover *f, unsigned int v)
{
	struct cover *with, *without;

	if (f->nr < 4 || v >= 12)
		return f;
	with = minimize(cofactor(f, v, 1), v + 1);
	without = minimize(cofactor(f, v, 0), v + 1);
	drop_cover(f);
	return merge(with, without);
}

int main(int argc, char **argv)
{
	long rounds = hand_arg(argc, argv, 1, 1500), i;

	state = hand_seed(7);
	for (i = 0; i < rounds; i++)
		drop_cover(minimize(random_cover(600, 1 + hand_below(&state, 12)), 0));
	return 0;
}
