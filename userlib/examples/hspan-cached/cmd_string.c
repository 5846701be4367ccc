// SPDX-License-Identifier: MIT
/* Commands on strings. */
#include <limits.h>
#include <string.h>

#include "commands.h"

/* SET and its kin ----------------------------------------------------------- */

enum {
	SET_NX = 1, SET_XX = 2, SET_KEEPTTL = 4, SET_GET = 8, SET_PERSIST = 16,
	SET_EX = 32, SET_PX = 64, SET_EXAT = 128, SET_PXAT = 256,
};

#define SET_TIMES (SET_EX | SET_PX | SET_EXAT | SET_PXAT)

static const struct {
	const char *name;
	int flag, excludes;
	bool set, getex;
} set_words[] = {
	{ "NX", SET_NX, SET_XX, true, false },
	{ "XX", SET_XX, SET_NX, true, false },
	{ "GET", SET_GET, 0, true, false },
	{ "KEEPTTL", SET_KEEPTTL, SET_PERSIST | SET_TIMES, true, false },
	{ "PERSIST", SET_PERSIST, SET_KEEPTTL | SET_TIMES, false, true },
	{ "EX", SET_EX, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EX),
	  true, true },
	{ "PX", SET_PX, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PX),
	  true, true },
	{ "EXAT", SET_EXAT, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EXAT),
	  true, true },
	{ "PXAT", SET_PXAT, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PXAT),
	  true, true },
};

struct set_args {
	int flags;
	int time_arg;
	int64_t expire;
};

static bool set_word(struct conn *c, int *i, bool getex, struct set_args *s)
{
	size_t w;

	for (w = 0; w < sizeof(set_words) / sizeof(set_words[0]); w++) {
		if (!arg_is(&c->argv[*i], set_words[w].name))
			continue;
		if (!(getex ? set_words[w].getex : set_words[w].set) ||
		    s->flags & set_words[w].excludes)
			return false;
		s->flags |= set_words[w].flag;
		if (!(set_words[w].flag & SET_TIMES))
			return true;
		s->time_arg = ++*i;
		return *i < c->argc;
	}
	return false;
}

static bool set_words_parse(struct conn *c, int from, bool getex,
			    struct set_args *s)
{
	int i;

	for (i = from; i < c->argc; i++) {
		if (!set_word(c, &i, getex, s)) {
			error_syntax(c);
			return false;
		}
	}
	return true;
}

/* the time in argument @i as milliseconds since the epoch, or an error */
static bool expire_arg(struct conn *c, int i, int flags, int64_t *when)
{
	bool seconds = flags & (SET_EX | SET_EXAT);
	bool relative = flags & (SET_EX | SET_PX);
	long long v;

	if (!arg_ll(c, i, &v))
		return false;
	if (v <= 0 || (seconds && v > LLONG_MAX / 1000))
		goto invalid;
	if (seconds)
		v *= 1000;
	if (relative && v > LLONG_MAX - c->now)
		goto invalid;
	*when = relative ? v + c->now : v;
	return true;
invalid:
	error_expire(c);
	return false;
}

static bool reply_string(struct conn *c, const struct arg *key,
			 struct keyent **e)
{
	if (!key_get(c, key, T_STRING, e))
		return false;
	if (*e)
		reply_bytes(c, E_STR(*e));
	else
		reply_nil(c);
	return true;
}

static void set_value(struct conn *c, const struct arg *val, bool keep_ttl,
		      int64_t expire)
{
	struct keyent *e = key_set(c, &c->argv[1], T_STRING, arg_bytes(val),
				   keep_ttl || expire);

	if (expire)
		key_expire_at(e, expire);
}

void cmd_set(struct conn *c)
{
	struct set_args s = { 0, 0, 0 };
	struct keyent *e;
	bool found;

	if (!set_words_parse(c, 3, false, &s) ||
	    (s.time_arg && !expire_arg(c, s.time_arg, s.flags, &s.expire)))
		return;
	if (s.flags & SET_GET && !reply_string(c, &c->argv[1], &e))
		return;
	found = key_peek(c, &c->argv[1]);
	if ((s.flags & SET_NX && found) || (s.flags & SET_XX && !found)) {
		if (!(s.flags & SET_GET))
			reply_nil(c);
		return;
	}
	set_value(c, &c->argv[2], s.flags & SET_KEEPTTL, s.expire);
	if (!(s.flags & SET_GET))
		reply_ok(c);
}

void cmd_setnx(struct conn *c)
{
	bool found = key_peek(c, &c->argv[1]);

	if (!found)
		set_value(c, &c->argv[2], false, 0);
	reply_int(c, !found);
}

static void set_with_time(struct conn *c, int unit)
{
	int64_t when;

	if (!expire_arg(c, 2, unit, &when))
		return;
	set_value(c, &c->argv[3], false, when);
	reply_ok(c);
}

void cmd_setex(struct conn *c)
{
	set_with_time(c, SET_EX);
}

void cmd_psetex(struct conn *c)
{
	set_with_time(c, SET_PX);
}

/* GET and its kin ----------------------------------------------------------- */

void cmd_get(struct conn *c)
{
	struct keyent *e;

	reply_string(c, &c->argv[1], &e);
}

void cmd_getset(struct conn *c)
{
	struct keyent *e;

	if (reply_string(c, &c->argv[1], &e))
		set_value(c, &c->argv[2], false, 0);
}

void cmd_getdel(struct conn *c)
{
	struct keyent *e;

	if (reply_string(c, &c->argv[1], &e) && e)
		key_delete(e);
}

void cmd_getex(struct conn *c)
{
	struct set_args s = { 0, 0, 0 };
	struct keyent *e;

	if (!set_words_parse(c, 2, true, &s) ||
	    !key_get(c, &c->argv[1], T_STRING, &e))
		return;
	if (!e) {
		reply_nil(c);
		return;
	}
	if (s.time_arg && !expire_arg(c, s.time_arg, s.flags, &s.expire))
		return;
	reply_bytes(c, E_STR(e));
	if (s.flags & SET_PERSIST)
		ttl_remove(shard_of(e->e.hash), e);
	else if (s.expire && s.expire <= c->now)
		key_delete(e);
	else if (s.expire)
		key_expire_at(e, s.expire);
}

void cmd_strlen(struct conn *c)
{
	struct keyent *e;

	if (key_get(c, &c->argv[1], T_STRING, &e))
		reply_int(c, e ? E_STR(e)->len : 0);
}

void cmd_getrange(struct conn *c)
{
	long long start, end, len;
	struct keyent *e;

	if (!arg_ll(c, 2, &start) || !arg_ll(c, 3, &end) ||
	    !key_get(c, &c->argv[1], T_STRING, &e))
		return;
	len = e ? E_STR(e)->len : 0;
	if (start < 0 && end < 0 && start > end)
		len = 0;
	start = start < 0 ? start + len : start;
	end = end < 0 ? end + len : end;
	start = start < 0 ? 0 : start;
	end = end < 0 ? 0 : end;
	end = end >= len ? len - 1 : end;
	if (start > end || !len)
		reply_bulk(c, "", 0);
	else
		reply_bulk(c, E_STR(e)->data + start, end - start + 1);
}

/* Several keys --------------------------------------------------------------- */

void cmd_mget(struct conn *c)
{
	struct keyent *e;
	int i;

	reply_array(c, c->argc - 1);
	for (i = 1; i < c->argc; i++) {
		e = key_find(c, &c->argv[i]);
		if (e && e->type == T_STRING)
			reply_bytes(c, E_STR(e));
		else
			reply_nil(c);
	}
}

static void set_pairs(struct conn *c)
{
	int i;

	for (i = 1; i < c->argc; i += 2)
		key_set(c, &c->argv[i], T_STRING, arg_bytes(&c->argv[i + 1]),
			false);
}

void cmd_mset(struct conn *c)
{
	if (c->argc % 2 == 0) {
		error_arity(c);
		return;
	}
	set_pairs(c);
	reply_ok(c);
}

void cmd_msetnx(struct conn *c)
{
	int i;

	if (c->argc % 2 == 0) {
		error_arity(c);
		return;
	}
	for (i = 1; i < c->argc; i += 2) {
		if (key_peek(c, &c->argv[i])) {
			reply_int(c, 0);
			return;
		}
	}
	set_pairs(c);
	reply_int(c, 1);
}

/* Changing a part ------------------------------------------------------------- */

/*
 * A string of @len bytes that starts as the old one does: that one itself
 * where it has room, so appending again and again copies now and then only.
 * A key's own string is pointed to by that key alone, so it may change.
 */
static struct bytes *string_resize(struct bytes *old, size_t len)
{
	struct bytes *b = old;
	size_t keep = old ? old->len : 0;
	size_t cap = len < (1u << 20) ? len * 2 : len + (1u << 20);

	if (!old || len > old->cap) {
		b = bytes_sized(keep, old ? cap : len);
		if (keep)
			memcpy(b->data, old->data, keep);
	}
	if (len > keep) {
		memset(b->data + keep, 0, len - keep);
		b->len = len;
	}
	return b;
}

static bool length_fits(struct conn *c, unsigned long long len)
{
	if (len <= BYTES_MAX)
		return true;
	reply_error(c, "string exceeds maximum allowed size "
		    "(proto-max-bulk-len)");
	return false;
}

/* writes @val at @offset of the key's string, which may not be there yet */
static void string_write(struct conn *c, struct keyent *e, size_t offset,
			 const struct arg *val)
{
	struct bytes *old = e ? E_STR(e) : NULL, *b;
	size_t len = offset + val->len;

	b = string_resize(old, old && old->len > len ? old->len : len);
	memcpy(b->data + offset, val->p, val->len);
	if (!e)
		key_add(&c->argv[1], T_STRING, b);
	else if (b != old)
		put(&e->e.val, b);
	reply_int(c, b->len);
}

void cmd_append(struct conn *c)
{
	struct keyent *e;
	size_t len;

	if (!key_get(c, &c->argv[1], T_STRING, &e))
		return;
	len = e ? E_STR(e)->len : 0;
	if (length_fits(c, len + c->argv[2].len))
		string_write(c, e, len, &c->argv[2]);
}

void cmd_setrange(struct conn *c)
{
	long long offset;
	struct keyent *e;

	if (!arg_ll(c, 2, &offset))
		return;
	if (offset < 0) {
		reply_error(c, "offset is out of range");
		return;
	}
	if (!key_get(c, &c->argv[1], T_STRING, &e))
		return;
	if (!c->argv[3].len)
		reply_int(c, e ? E_STR(e)->len : 0);
	else if (length_fits(c, (unsigned long long)offset + c->argv[3].len))
		string_write(c, e, offset, &c->argv[3]);
}
