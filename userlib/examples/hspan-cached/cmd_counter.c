// SPDX-License-Identifier: MIT
/* Counters: integers and floating point kept as strings. */
#include <limits.h>
#include <math.h>

#include "commands.h"

static void string_replace(struct conn *c, struct keyent *e, const char *p,
			   size_t len)
{
	struct bytes *b = bytes_new(p, len);

	if (e)
		put(&e->e.val, b);
	else
		key_add(&c->argv[1], T_STRING, b);
}

static void incr_by(struct conn *c, long long by)
{
	struct keyent *e;
	long long v = 0;
	char buf[24];

	if (!key_get(c, &c->argv[1], T_STRING, &e))
		return;
	if (e && !parse_ll(E_STR(e)->data, E_STR(e)->len, &v)) {
		reply_error(c, "value is not an integer or out of range");
		return;
	}
	if (__builtin_add_overflow(v, by, &v)) {
		reply_error(c, "increment or decrement would overflow");
		return;
	}
	string_replace(c, e, buf, format_ll(buf, v));
	reply_int(c, v);
}

void cmd_incr(struct conn *c)
{
	incr_by(c, 1);
}

void cmd_decr(struct conn *c)
{
	incr_by(c, -1);
}

void cmd_incrby(struct conn *c)
{
	long long by;

	if (arg_ll(c, 2, &by))
		incr_by(c, by);
}

void cmd_decrby(struct conn *c)
{
	long long by;

	if (!arg_ll(c, 2, &by))
		return;
	if (by == LLONG_MIN)
		reply_error(c, "decrement would overflow");
	else
		incr_by(c, -by);
}

void cmd_incrbyfloat(struct conn *c)
{
	long double v = 0, by;
	struct keyent *e;
	char buf[5 * 1024];
	size_t n;

	if (!key_get(c, &c->argv[1], T_STRING, &e))
		return;
	if ((e && !parse_ld(E_STR(e)->data, E_STR(e)->len, &v)) ||
	    !parse_ld(c->argv[2].p, c->argv[2].len, &by)) {
		reply_error(c, "value is not a valid float");
		return;
	}
	v += by;
	if (isnan(v) || isinf(v)) {
		reply_error(c, "increment would produce NaN or Infinity");
		return;
	}
	n = format_ld(buf, sizeof(buf), v);
	string_replace(c, e, buf, n);
	reply_bulk(c, buf, n);
}
