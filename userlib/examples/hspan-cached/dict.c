// SPDX-License-Identifier: MIT
/* Chained hash tables in the collected heap that grow and shrink by steps. */
#include "object.h"
#include "object_types.h"

#define DICT_MIN 4

struct dict *dict_new(enum dict_kind kind)
{
	struct dict *d = object_check(hspan_alloc_typed(type_dict));

	d->rehash = -1;
	d->kind = kind;
	return d;
}

/* Growing ------------------------------------------------------------------ */

static void drop_table(struct dict *d)
{
	put(&d->table[0], d->table[1]);
	put(&d->table[1], NULL);
	d->size[0] = d->size[1];
	d->used[0] = d->used[1];
	d->size[1] = d->used[1] = 0;
	d->rehash = -1;
}

static void move_bucket(struct dict *d)
{
	struct dictent **from = &d->table[0][d->rehash], *e, *next, **to;

	for (e = *from; e; e = next) {
		to = &d->table[1][e->hash & (d->size[1] - 1)];
		next = e->next;
		put(&e->next, *to);
		put(to, e);
		d->used[0]--;
		d->used[1]++;
	}
	put(from, NULL);
}

/* moves @buckets buckets that hold something, or looks at ten times as many */
void dict_step(struct dict *d, int buckets)
{
	int looks = buckets * 10;

	while (d->rehash >= 0 && buckets > 0 && looks-- > 0) {
		if (!d->used[0]) {
			drop_table(d);
			return;
		}
		if (d->table[0][d->rehash]) {
			move_bucket(d);
			buckets--;
		}
		d->rehash++;
	}
	if (d->rehash >= 0 && !d->used[0])
		drop_table(d);
}

static void resize(struct dict *d, uint64_t size, void *table)
{
	int t = d->size[0] ? 1 : 0;

	put(&d->table[t], table);
	d->size[t] = size;
	d->rehash = t ? 0 : -1;
}

static void grow_if_full(struct dict *d)
{
	uint64_t size = d->size[0] ? d->size[0] * 2 : DICT_MIN;

	if (d->rehash < 0 && d->used[0] >= d->size[0])
		resize(d, size, object_check(hspan_alloc(size *
							 sizeof(void *))));
}

/* removing must not fail for want of memory, so this may */
static void shrink_if_sparse(struct dict *d)
{
	uint64_t size = DICT_MIN;
	void *table;

	if (d->rehash >= 0 || d->size[0] <= 64 || d->used[0] * 8 > d->size[0])
		return;
	while (size < d->used[0] * 2)
		size *= 2;
	table = hspan_alloc(size * sizeof(void *));
	if (table)
		resize(d, size, table);
}

/* Looking up --------------------------------------------------------------- */

static struct dictent **find_slot(struct dict *d, const void *key, size_t len,
				  uint64_t hash, int *table)
{
	struct dictent **slot;
	int t;

	for (t = 0; t < 2 && d->size[t]; t++) {
		slot = &d->table[t][hash & (d->size[t] - 1)];
		for (; *slot; slot = &(*slot)->next) {
			if ((*slot)->hash == hash &&
			    bytes_equal((*slot)->key, key, len)) {
				*table = t;
				return slot;
			}
		}
	}
	return NULL;
}

struct dictent *dict_find(struct dict *d, const void *key, size_t len,
			  uint64_t hash)
{
	struct dictent **slot;
	int t;

	if (!dict_len(d))
		return NULL;
	dict_step(d, 1);
	slot = find_slot(d, key, len, hash, &t);
	return slot ? *slot : NULL;
}

/* the key must not be there yet */
struct dictent *dict_add(struct dict *d, struct bytes *key, uint64_t hash,
			 void *val)
{
	struct hspan_type *type = d->kind == DICT_KEYS ? type_key : type_field;
	struct dictent *e = object_check(hspan_alloc_typed(type)), **slot;
	int t;

	grow_if_full(d);
	dict_step(d, 1);
	t = d->rehash >= 0;
	slot = &d->table[t][hash & (d->size[t] - 1)];
	e->hash = hash;
	put(&e->key, key);
	put(&e->val, val);
	put(&e->next, *slot);
	put(slot, e);
	d->used[t]++;
	return e;
}

/* gives the entry, now the caller's, or NULL */
struct dictent *dict_remove(struct dict *d, const void *key, size_t len,
			    uint64_t hash)
{
	struct dictent **slot, *e;
	int t;

	if (!dict_len(d))
		return NULL;
	dict_step(d, 1);
	shrink_if_sparse(d);
	slot = find_slot(d, key, len, hash, &t);
	if (!slot)
		return NULL;
	e = *slot;
	put(slot, e->next);
	d->used[t]--;
	return e;
}

static struct dictent *random_chain(struct dict *d)
{
	uint64_t from = d->rehash >= 0 ? d->rehash : 0;
	uint64_t n = d->size[0] + d->size[1] - from, i;
	struct dictent *e;

	do {
		i = from + random_u64() % n;
		e = i < d->size[0] ? d->table[0][i] :
				     d->table[1][i - d->size[0]];
	} while (!e);
	return e;
}

struct dictent *dict_random(struct dict *d)
{
	struct dictent *e, *chain;
	uint64_t n = 1;

	if (!dict_len(d))
		return NULL;
	dict_step(d, 1);
	chain = random_chain(d);
	for (e = chain->next; e; e = e->next)
		n++;
	for (n = random_u64() % n, e = chain; n; n--)
		e = e->next;
	return e;
}

/* Walking ------------------------------------------------------------------ */

static void visit_chain(struct dictent *e, dict_visit *fn, void *ctx)
{
	struct dictent *next;

	for (; e; e = next) {
		next = e->next;
		fn(ctx, e);
	}
}

static uint64_t reverse_bits(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
	v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
	return __builtin_bswap64(v);
}

/* the next cursor: adds one at the top of the mask and carries downwards */
static uint64_t next_cursor(uint64_t v, uint64_t mask)
{
	return reverse_bits(reverse_bits(v | ~mask) + 1);
}

/*
 * Visits one bucket and gives the cursor of the next, 0 at the end.  Counting
 * from the high bits makes a bucket's descendants in a bigger table, and its
 * ancestor in a smaller one, neighbours in the order: whatever is there from
 * the first call to the last is seen, through any number of resizes.
 */
uint64_t dict_scan(struct dict *d, uint64_t v, dict_visit *fn, void *ctx)
{
	uint64_t mask, wide;
	int small;

	if (!dict_len(d))
		return 0;
	small = d->rehash >= 0 && d->size[1] < d->size[0];
	mask = d->size[small] - 1;
	visit_chain(d->table[small][v & mask], fn, ctx);
	if (d->rehash < 0)
		return next_cursor(v, mask);
	wide = d->size[!small] - 1;
	do {
		visit_chain(d->table[!small][v & wide], fn, ctx);
		v = next_cursor(v, wide);
	} while (v & (mask ^ wide));
	return v;
}

void dict_each(struct dict *d, dict_visit *fn, void *ctx)
{
	uint64_t i;
	int t;

	for (t = 0; d && t < 2; t++)
		for (i = 0; i < d->size[t]; i++)
			visit_chain(d->table[t][i], fn, ctx);
}

static void copy_entry(void *ctx, struct dictent *e)
{
	dict_add(ctx, e->key, e->hash, e->val);
}

/* keys and values are shared: they never change */
struct dict *dict_copy(struct dict *d)
{
	struct dict *copy = dict_new(d->kind);

	dict_each(d, copy_entry, copy);
	return copy;
}
