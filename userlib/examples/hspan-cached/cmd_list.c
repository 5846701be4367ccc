// SPDX-License-Identifier: MIT
/* Commands on lists. */
#include <limits.h>

#include "commands.h"

static void drop_if_empty(struct keyent *e)
{
	if (!E_LIST(e)->len)
		key_delete(e);
}

/* Ends --------------------------------------------------------------------- */

static void push_args(struct conn *c, enum list_end end, bool create)
{
	struct keyent *e;
	int i;

	if (!key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e && !create) {
		reply_int(c, 0);
		return;
	}
	if (!e)
		e = key_add(&c->argv[1], T_LIST, list_new());
	for (i = 2; i < c->argc; i++)
		list_push(E_LIST(e), end, arg_bytes(&c->argv[i]));
	reply_int(c, E_LIST(e)->len);
}

void cmd_lpush(struct conn *c)
{
	push_args(c, LIST_HEAD, true);
}

void cmd_rpush(struct conn *c)
{
	push_args(c, LIST_TAIL, true);
}

void cmd_lpushx(struct conn *c)
{
	push_args(c, LIST_HEAD, false);
}

void cmd_rpushx(struct conn *c)
{
	push_args(c, LIST_TAIL, false);
}

static void pop_many(struct conn *c, struct keyent *e, enum list_end end,
		     uint64_t count)
{
	if (count > E_LIST(e)->len)
		count = E_LIST(e)->len;
	reply_array(c, count);
	while (count--)
		reply_bytes(c, list_pop(E_LIST(e), end));
}

static void pop(struct conn *c, enum list_end end)
{
	bool counted = c->argc == 3;
	long long count = 1;
	struct keyent *e;

	if (c->argc > 3) {
		error_arity(c);
		return;
	}
	if (counted && !arg_positive(c, 2, &count))
		return;
	if (!key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e && counted)
		reply_nil_array(c);
	else if (!e)
		reply_nil(c);
	else if (counted)
		pop_many(c, e, end, count);
	else
		reply_bytes(c, list_pop(E_LIST(e), end));
	if (e)
		drop_if_empty(e);
}

void cmd_lpop(struct conn *c)
{
	pop(c, LIST_HEAD);
}

void cmd_rpop(struct conn *c)
{
	pop(c, LIST_TAIL);
}

/* pushed before it is popped, so that it is lost to no failing allocation */
static void list_move(struct conn *c, enum list_end from, enum list_end to)
{
	struct keyent *src, *dst;
	struct bytes *b;
	struct lpos pos;

	if (!key_get(c, &c->argv[1], T_LIST, &src))
		return;
	if (!src) {
		reply_nil(c);
		return;
	}
	if (!key_get(c, &c->argv[2], T_LIST, &dst))
		return;
	if (!dst)
		dst = key_add(&c->argv[2], T_LIST, list_new());
	list_seek(E_LIST(src), from == LIST_HEAD ? 0 : -1, &pos);
	b = *lpos_slot(&pos);
	list_push(E_LIST(dst), to, b);
	list_pop(E_LIST(src), from);
	reply_bytes(c, b);
	drop_if_empty(src);
}

void cmd_rpoplpush(struct conn *c)
{
	list_move(c, LIST_TAIL, LIST_HEAD);
}

static bool end_arg(struct conn *c, int i, enum list_end *end)
{
	if (arg_is(&c->argv[i], "left"))
		*end = LIST_HEAD;
	else if (arg_is(&c->argv[i], "right"))
		*end = LIST_TAIL;
	else
		return false;
	return true;
}

void cmd_lmove(struct conn *c)
{
	enum list_end from, to;

	if (end_arg(c, 3, &from) && end_arg(c, 4, &to))
		list_move(c, from, to);
	else
		error_syntax(c);
}

/* Places ------------------------------------------------------------------- */

void cmd_llen(struct conn *c)
{
	struct keyent *e;

	if (key_get(c, &c->argv[1], T_LIST, &e))
		reply_int(c, e ? E_LIST(e)->len : 0);
}

void cmd_lindex(struct conn *c)
{
	struct keyent *e;
	struct lpos pos;
	long long i;

	if (!key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e) {
		reply_nil(c);
		return;
	}
	if (!arg_ll(c, 2, &i))
		return;
	if (list_seek(E_LIST(e), i, &pos))
		reply_bytes(c, *lpos_slot(&pos));
	else
		reply_nil(c);
}

void cmd_lset(struct conn *c)
{
	struct keyent *e;
	struct lpos pos;
	long long i;

	if (!key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e) {
		reply_error(c, "no such key");
		return;
	}
	if (!arg_ll(c, 2, &i))
		return;
	if (!list_seek(E_LIST(e), i, &pos)) {
		reply_error(c, "index out of range");
		return;
	}
	put(lpos_slot(&pos), arg_bytes(&c->argv[3]));
	reply_ok(c);
}

/* clips [start, end], negative from the tail, to @len; false when empty */
static bool clip(long long *start, long long *end, long long len)
{
	*start = *start < 0 ? *start + len : *start;
	*end = *end < 0 ? *end + len : *end;
	*start = *start < 0 ? 0 : *start;
	*end = *end >= len ? len - 1 : *end;
	return *start <= *end && *start < len;
}

void cmd_lrange(struct conn *c)
{
	long long start, end;
	struct keyent *e;
	struct lpos pos;

	if (!arg_ll(c, 2, &start) || !arg_ll(c, 3, &end) ||
	    !key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e || !clip(&start, &end, E_LIST(e)->len)) {
		reply_array(c, 0);
		return;
	}
	reply_array(c, end - start + 1);
	list_seek(E_LIST(e), start, &pos);
	for (; start <= end; start++) {
		reply_bytes(c, *lpos_slot(&pos));
		list_next(&pos);
	}
}

void cmd_ltrim(struct conn *c)
{
	long long start, end;
	struct keyent *e;

	if (!arg_ll(c, 2, &start) || !arg_ll(c, 3, &end) ||
	    !key_get(c, &c->argv[1], T_LIST, &e))
		return;
	reply_ok(c);
	if (!e)
		return;
	if (clip(&start, &end, E_LIST(e)->len))
		list_trim(E_LIST(e), start, E_LIST(e)->len - 1 - end);
	else
		key_delete(e);
}

/* Elements by value --------------------------------------------------------- */

static bool element_is(const struct lpos *pos, const struct arg *a)
{
	return bytes_equal(*lpos_slot(pos), a->p, a->len);
}

void cmd_linsert(struct conn *c)
{
	bool after = arg_is(&c->argv[2], "after"), found;
	struct keyent *e;
	struct lpos pos;

	if (!after && !arg_is(&c->argv[2], "before")) {
		error_syntax(c);
		return;
	}
	if (!key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e) {
		reply_int(c, 0);
		return;
	}
	found = list_seek(E_LIST(e), 0, &pos);
	while (found && !element_is(&pos, &c->argv[3]))
		found = list_next(&pos);
	if (found) {
		pos.i += after;
		list_insert(E_LIST(e), &pos, arg_bytes(&c->argv[4]));
	}
	reply_int(c, found ? (long long)E_LIST(e)->len : -1);
}

/* removes up to @max elements equal to @a, from the head on or from the tail */
static long long remove_equal(struct list *l, const struct arg *a,
			      unsigned long long max, bool back)
{
	struct lpos pos, next;
	long long gone = 0;
	bool more = list_seek(l, back ? -1 : 0, &pos);

	for (; more && max; pos = next) {
		next = pos;
		more = back ? list_prev(&next) : list_next(&next);
		if (!element_is(&pos, a))
			continue;
		if (!back && next.node == pos.node)
			next.i--;
		list_remove(l, &pos);
		gone++;
		max--;
	}
	return gone;
}

void cmd_lrem(struct conn *c)
{
	struct keyent *e;
	long long count, gone;
	unsigned long long max;

	if (!arg_ll(c, 2, &count) || !key_get(c, &c->argv[1], T_LIST, &e))
		return;
	if (!e) {
		reply_int(c, 0);
		return;
	}
	max = count < 0 ? 0 - (unsigned long long)count :
	      count ? (unsigned long long)count : ULLONG_MAX;
	gone = remove_equal(E_LIST(e), &c->argv[3], max, count < 0);
	drop_if_empty(e);
	reply_int(c, gone);
}
