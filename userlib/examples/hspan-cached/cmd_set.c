// SPDX-License-Identifier: MIT
/* Commands on sets: hash tables whose entries have no value. */
#include <limits.h>

#include "commands.h"

static bool set_get(struct conn *c, struct arg *key, struct dict **d)
{
	struct keyent *e;

	if (!key_get(c, key, T_SET, &e))
		return false;
	*d = e ? E_DICT(e) : NULL;
	return true;
}

static struct dict *set_make(struct arg *key)
{
	return E_DICT(key_add(key, T_SET, dict_new(DICT_FIELDS)));
}

static bool set_add_arg(struct dict *d, struct arg *a)
{
	if (dict_find_arg(d, a))
		return false;
	dict_add(d, arg_bytes(a), a->hash, NULL);
	return true;
}

static bool set_has(struct dict *d, const struct dictent *e)
{
	return dict_find(d, e->key->data, e->key->len, e->hash);
}

static void set_remove(struct dict *d, const struct dictent *e)
{
	dict_remove(d, e->key->data, e->key->len, e->hash);
}

static void emit(void *ctx, struct dictent *e)
{
	reply_bytes(ctx, e->key);
}

static void reply_set(struct conn *c, struct dict *d)
{
	reply_array(c, dict_len(d));
	dict_each(d, emit, c);
}

/* Members -------------------------------------------------------------------- */

void cmd_sadd(struct conn *c)
{
	long long fresh = 0;
	struct dict *d;
	int i;

	if (!set_get(c, &c->argv[1], &d))
		return;
	if (!d)
		d = set_make(&c->argv[1]);
	for (i = 2; i < c->argc; i++)
		fresh += set_add_arg(d, &c->argv[i]);
	reply_int(c, fresh);
}

void cmd_srem(struct conn *c)
{
	struct keyent *e;
	long long gone = 0;
	struct arg *a;
	int i;

	if (!key_get(c, &c->argv[1], T_SET, &e))
		return;
	for (i = 2; e && i < c->argc; i++) {
		a = &c->argv[i];
		a->hash = hash_bytes(a->p, a->len);
		gone += !!dict_remove(E_DICT(e), a->p, a->len, a->hash);
	}
	if (e && !dict_len(E_DICT(e)))
		key_delete(e);
	reply_int(c, gone);
}

void cmd_scard(struct conn *c)
{
	struct dict *d;

	if (set_get(c, &c->argv[1], &d))
		reply_int(c, dict_len(d));
}

void cmd_sismember(struct conn *c)
{
	struct dict *d;

	if (set_get(c, &c->argv[1], &d))
		reply_int(c, !!dict_find_arg(d, &c->argv[2]));
}

void cmd_smismember(struct conn *c)
{
	struct dict *d;
	int i;

	if (!set_get(c, &c->argv[1], &d))
		return;
	reply_array(c, c->argc - 2);
	for (i = 2; i < c->argc; i++)
		reply_int(c, !!dict_find_arg(d, &c->argv[i]));
}

void cmd_smembers(struct conn *c)
{
	struct dict *d;

	if (set_get(c, &c->argv[1], &d))
		reply_set(c, d);
}

void cmd_smove(struct conn *c)
{
	struct keyent *src;
	struct dict *dst;
	bool has;

	if (!key_get(c, &c->argv[1], T_SET, &src))
		return;
	if (!src) {
		reply_int(c, 0);
		return;
	}
	if (!set_get(c, &c->argv[2], &dst))
		return;
	has = dict_find_arg(E_DICT(src), &c->argv[3]);
	if (has && dst != E_DICT(src)) {
		set_add_arg(dst ? dst : set_make(&c->argv[2]), &c->argv[3]);
		dict_remove(E_DICT(src), c->argv[3].p, c->argv[3].len,
			    c->argv[3].hash);
		if (!dict_len(E_DICT(src)))
			key_delete(src);
	}
	reply_int(c, has);
}

/* Random members ---------------------------------------------------------------- */

struct gather {
	struct dictent **slot;
	uint64_t n;
};

static void gather_one(void *ctx, struct dictent *e)
{
	struct gather *g = ctx;

	g->slot[g->n++] = e;
}

/* @count distinct members, all of which stay in @d until the caller is done */
static struct dictent **sample(struct dict *d, uint64_t count)
{
	struct gather g = { scratch(dict_len(d) * sizeof(*g.slot)), 0 };
	struct dictent *e;
	uint64_t i, j;

	dict_each(d, gather_one, &g);
	for (i = 0; i < count; i++) {
		j = i + random_u64() % (g.n - i);
		e = g.slot[j];
		g.slot[j] = g.slot[i];
		g.slot[i] = e;
	}
	return g.slot;
}

static void pop_many(struct conn *c, struct keyent *e, uint64_t count)
{
	struct dict *d = E_DICT(e);
	struct dictent *m;

	if (count >= dict_len(d)) {
		reply_set(c, d);
		key_delete(e);
		return;
	}
	reply_array(c, count);
	while (count--) {
		m = dict_random(d);
		reply_bytes(c, m->key);
		set_remove(d, m);
	}
}

void cmd_spop(struct conn *c)
{
	bool counted = c->argc == 3;
	long long count = 1;
	struct dictent *m;
	struct keyent *e;

	if (c->argc > 3) {
		error_syntax(c);
		return;
	}
	if ((counted && !arg_positive(c, 2, &count)) ||
	    !key_get(c, &c->argv[1], T_SET, &e))
		return;
	if (counted && (!e || !count)) {
		reply_array(c, 0);
	} else if (counted) {
		pop_many(c, e, count);
	} else if (!e) {
		reply_nil(c);
	} else {
		m = dict_random(E_DICT(e));
		reply_bytes(c, m->key);
		set_remove(E_DICT(e), m);
		if (!dict_len(E_DICT(e)))
			key_delete(e);
	}
}

static void reply_sample(struct conn *c, struct dict *d, uint64_t count)
{
	struct dictent **m;
	uint64_t i;

	if (count >= dict_len(d)) {
		reply_set(c, d);
		return;
	}
	m = sample(d, count);
	reply_array(c, count);
	for (i = 0; i < count; i++)
		reply_bytes(c, m[i]->key);
}

void cmd_srandmember(struct conn *c)
{
	long long count = 0;
	struct dict *d;

	if (c->argc > 3) {
		error_syntax(c);
		return;
	}
	if (c->argc == 3 && !arg_ll(c, 2, &count))
		return;
	if (count == LLONG_MIN) {
		reply_error(c, "value is out of range, value must between "
			    "%lld and %lld", -LLONG_MAX, LLONG_MAX);
		return;
	}
	if (!set_get(c, &c->argv[1], &d))
		return;
	if (c->argc == 2 && d) {
		reply_bytes(c, dict_random(d)->key);
	} else if (c->argc == 2) {
		reply_nil(c);
	} else if (!d || count >= 0) {
		reply_sample(c, d, d ? count : 0);
	} else {
		reply_array(c, -count);
		for (; count && !c->broken; count++)
			reply_bytes(c, dict_random(d)->key);
	}
}

/* Algebra ------------------------------------------------------------------------ */

/* the sets of argv[@from] and on, NULL for those not there, in scratch room */
static struct dict **operands(struct conn *c, int from, int *n)
{
	struct dict **set = scratch((c->argc - from) * sizeof(*set));
	int i;

	*n = c->argc - from;
	for (i = 0; i < *n; i++)
		if (!set_get(c, &c->argv[from + i], &set[i]))
			return NULL;
	return set;
}

struct algebra {
	struct dict **set;
	struct dict *result;
	int n;
};

static void add_if_new(void *ctx, struct dictent *e)
{
	struct algebra *a = ctx;

	if (!set_has(a->result, e))
		dict_add(a->result, e->key, e->hash, NULL);
}

static void add_if_in_all(void *ctx, struct dictent *e)
{
	struct algebra *a = ctx;
	int i;

	for (i = 1; i < a->n; i++)
		if (a->set[i] != a->set[0] && !set_has(a->set[i], e))
			return;
	add_if_new(a, e);
}

static void add_if_in_no_other(void *ctx, struct dictent *e)
{
	struct algebra *a = ctx;
	int i;

	for (i = 1; i < a->n; i++)
		if (a->set[i] == a->set[0] || set_has(a->set[i], e))
			return;
	add_if_new(a, e);
}

static void set_union(struct algebra *a)
{
	int i;

	for (i = 0; i < a->n; i++)
		dict_each(a->set[i], add_if_new, a);
}

/*
 * dict_find() may finish a resize of the table being walked, so the walk is
 * over a table that no look-up touches: the smallest is swapped to the front
 * and looked up nowhere.
 */
static void set_inter(struct algebra *a)
{
	struct dict *small;
	int i, min = 0;

	for (i = 0; i < a->n; i++)
		if (dict_len(a->set[i]) < dict_len(a->set[min]))
			min = i;
	small = a->set[min];
	a->set[min] = a->set[0];
	a->set[0] = small;
	dict_each(small, add_if_in_all, a);
}

static void set_diff(struct algebra *a)
{
	dict_each(a->set[0], add_if_in_no_other, a);
}

static bool algebra(struct conn *c, int from, void (*op)(struct algebra *),
		    struct algebra *a)
{
	a->set = operands(c, from, &a->n);
	if (!a->set)
		return false;
	a->result = dict_new(DICT_FIELDS);
	op(a);
	return true;
}

static void algebra_reply(struct conn *c, void (*op)(struct algebra *))
{
	struct algebra a;

	if (algebra(c, 1, op, &a))
		reply_set(c, a.result);
}

static void algebra_store(struct conn *c, void (*op)(struct algebra *))
{
	struct algebra a;
	struct keyent *e;

	if (!algebra(c, 2, op, &a))
		return;
	if (dict_len(a.result)) {
		key_set(c, &c->argv[1], T_SET, a.result, false);
	} else {
		e = key_peek(c, &c->argv[1]);
		if (e)
			key_delete(e);
	}
	reply_int(c, dict_len(a.result));
}

void cmd_sunion(struct conn *c)
{
	algebra_reply(c, set_union);
}

void cmd_sinter(struct conn *c)
{
	algebra_reply(c, set_inter);
}

void cmd_sdiff(struct conn *c)
{
	algebra_reply(c, set_diff);
}

void cmd_sunionstore(struct conn *c)
{
	algebra_store(c, set_union);
}

void cmd_sinterstore(struct conn *c)
{
	algebra_store(c, set_inter);
}

void cmd_sdiffstore(struct conn *c)
{
	algebra_store(c, set_diff);
}
