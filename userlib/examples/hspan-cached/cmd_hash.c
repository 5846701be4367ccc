// SPDX-License-Identifier: MIT
/* Commands on hashes: field and value are shared freely, for neither changes. */
#include <math.h>

#include "commands.h"

static bool hash_get(struct conn *c, struct dict **d)
{
	struct keyent *e;

	if (!key_get(c, &c->argv[1], T_HASH, &e))
		return false;
	*d = e ? E_DICT(e) : NULL;
	return true;
}

static bool hash_make(struct conn *c, struct dict **d)
{
	if (!hash_get(c, d))
		return false;
	if (!*d)
		*d = E_DICT(key_add(&c->argv[1], T_HASH, dict_new(DICT_FIELDS)));
	return true;
}

/* true when the field is new */
static bool field_set(struct dict *d, struct arg *field, struct bytes *val)
{
	struct dictent *e = dict_find_arg(d, field);

	if (e)
		put(&e->val, val);
	else
		dict_add(d, arg_bytes(field), field->hash, val);
	return !e;
}

static void reply_field(struct conn *c, struct dict *d, struct arg *field)
{
	struct dictent *e = dict_find_arg(d, field);

	if (e)
		reply_bytes(c, e->val);
	else
		reply_nil(c);
}

/* Writing ------------------------------------------------------------------ */

static bool set_fields(struct conn *c, long long *fresh)
{
	struct dict *d;
	int i;

	*fresh = 0;
	if (c->argc % 2) {
		error_arity(c);
		return false;
	}
	if (!hash_make(c, &d))
		return false;
	for (i = 2; i < c->argc; i += 2)
		*fresh += field_set(d, &c->argv[i], arg_bytes(&c->argv[i + 1]));
	return true;
}

void cmd_hset(struct conn *c)
{
	long long fresh;

	if (set_fields(c, &fresh))
		reply_int(c, fresh);
}

void cmd_hmset(struct conn *c)
{
	long long fresh;

	if (set_fields(c, &fresh))
		reply_ok(c);
}

void cmd_hsetnx(struct conn *c)
{
	struct dict *d;

	if (!hash_get(c, &d))
		return;
	if (dict_find_arg(d, &c->argv[2])) {
		reply_int(c, 0);
		return;
	}
	hash_make(c, &d);
	field_set(d, &c->argv[2], arg_bytes(&c->argv[3]));
	reply_int(c, 1);
}

void cmd_hdel(struct conn *c)
{
	long long gone = 0;
	struct keyent *e;
	struct arg *a;
	int i;

	if (!key_get(c, &c->argv[1], T_HASH, &e))
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

void cmd_hincrby(struct conn *c)
{
	long long by, v = 0;
	struct dictent *e;
	struct dict *d;
	char buf[24];

	if (!arg_ll(c, 3, &by) || !hash_get(c, &d))
		return;
	e = dict_find_arg(d, &c->argv[2]);
	if (e && !parse_ll(((struct bytes *)e->val)->data,
			   ((struct bytes *)e->val)->len, &v)) {
		reply_error(c, "hash value is not an integer");
		return;
	}
	if (__builtin_add_overflow(v, by, &v)) {
		reply_error(c, "increment or decrement would overflow");
		return;
	}
	hash_make(c, &d);
	field_set(d, &c->argv[2], bytes_new(buf, format_ll(buf, v)));
	reply_int(c, v);
}

void cmd_hincrbyfloat(struct conn *c)
{
	long double by, v = 0;
	struct dictent *e;
	struct dict *d;
	char buf[5 * 1024];
	size_t n;

	if (!parse_ld(c->argv[3].p, c->argv[3].len, &by)) {
		reply_error(c, "value is not a valid float");
		return;
	}
	if (isinf(by)) {
		reply_error(c, "value is NaN or Infinity");
		return;
	}
	if (!hash_get(c, &d))
		return;
	e = dict_find_arg(d, &c->argv[2]);
	if (e && !parse_ld(((struct bytes *)e->val)->data,
			   ((struct bytes *)e->val)->len, &v)) {
		reply_error(c, "hash value is not a float");
		return;
	}
	v += by;
	if (isnan(v) || isinf(v)) {
		reply_error(c, "increment would produce NaN or Infinity");
		return;
	}
	hash_make(c, &d);
	n = format_ld(buf, sizeof(buf), v);
	field_set(d, &c->argv[2], bytes_new(buf, n));
	reply_bulk(c, buf, n);
}

/* Reading ------------------------------------------------------------------ */

void cmd_hget(struct conn *c)
{
	struct dict *d;

	if (hash_get(c, &d))
		reply_field(c, d, &c->argv[2]);
}

void cmd_hmget(struct conn *c)
{
	struct dict *d;
	int i;

	if (!hash_get(c, &d))
		return;
	reply_array(c, c->argc - 2);
	for (i = 2; i < c->argc; i++)
		reply_field(c, d, &c->argv[i]);
}

void cmd_hexists(struct conn *c)
{
	struct dict *d;

	if (hash_get(c, &d))
		reply_int(c, !!dict_find_arg(d, &c->argv[2]));
}

void cmd_hstrlen(struct conn *c)
{
	struct dictent *e;
	struct dict *d;

	if (!hash_get(c, &d))
		return;
	e = dict_find_arg(d, &c->argv[2]);
	reply_int(c, e ? ((struct bytes *)e->val)->len : 0);
}

void cmd_hlen(struct conn *c)
{
	struct dict *d;

	if (hash_get(c, &d))
		reply_int(c, dict_len(d));
}

static void emit_key(void *ctx, struct dictent *e)
{
	reply_bytes(ctx, e->key);
}

static void emit_val(void *ctx, struct dictent *e)
{
	reply_bytes(ctx, e->val);
}

static void emit_both(void *ctx, struct dictent *e)
{
	reply_bytes(ctx, e->key);
	reply_bytes(ctx, e->val);
}

static void reply_all(struct conn *c, int each, dict_visit *emit)
{
	struct dict *d;

	if (!hash_get(c, &d))
		return;
	reply_array(c, dict_len(d) * each);
	dict_each(d, emit, c);
}

void cmd_hkeys(struct conn *c)
{
	reply_all(c, 1, emit_key);
}

void cmd_hvals(struct conn *c)
{
	reply_all(c, 1, emit_val);
}

void cmd_hgetall(struct conn *c)
{
	reply_all(c, 2, emit_both);
}
