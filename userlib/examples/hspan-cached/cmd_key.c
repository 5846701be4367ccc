// SPDX-License-Identifier: MIT
/* Commands on keys of any type. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const char *const type_names[] = { "string", "list", "set", "hash" };

void cmd_del(struct conn *c)
{
	long long gone = 0;
	struct keyent *e;
	int i;

	for (i = 1; i < c->argc; i++) {
		e = key_peek(c, &c->argv[i]);
		if (e)
			key_delete(e);
		gone += !!e;
	}
	reply_int(c, gone);
}

void cmd_exists(struct conn *c)
{
	long long n = 0;
	int i;

	for (i = 1; i < c->argc; i++)
		n += !!key_find(c, &c->argv[i]);
	reply_int(c, n);
}

void cmd_type(struct conn *c)
{
	struct keyent *e = key_peek(c, &c->argv[1]);

	reply_status(c, e ? type_names[e->type] : "none");
}

void cmd_dbsize(struct conn *c)
{
	uint64_t expires;

	reply_int(c, keyspace_len(&expires));
}

void cmd_flush(struct conn *c)
{
	if (c->argc > 2 || (c->argc == 2 && !arg_is(&c->argv[1], "async") &&
			    !arg_is(&c->argv[1], "sync"))) {
		error_syntax(c);
		return;
	}
	keyspace_flush();
	reply_ok(c);
}

void cmd_randomkey(struct conn *c)
{
	uint64_t expires, at;
	struct keyent *e;
	int i;

	while ((at = keyspace_len(&expires))) {
		at = random_u64() % at;
		for (i = 0; at >= dict_len(shard_roots[i].keys); i++)
			at -= dict_len(shard_roots[i].keys);
		e = (struct keyent *)dict_random(shard_roots[i].keys);
		if (!key_expired(c, e)) {
			reply_bytes(c, E_KEY(e));
			return;
		}
	}
	reply_nil(c);
}

/* RENAME and COPY -------------------------------------------------------------- */

static void key_replace(struct conn *c, const struct arg *key, uint32_t type,
			void *val, int64_t expire)
{
	struct keyent *e = key_set(c, key, type, val, false);

	if (expire)
		key_expire_at(e, expire);
}

static bool same_key(struct conn *c)
{
	return c->argv[1].len == c->argv[2].len &&
	       !memcmp(c->argv[1].p, c->argv[2].p, c->argv[1].len);
}

/* the value itself goes over; nothing of it is copied */
static bool rename_key(struct conn *c, bool replace)
{
	struct keyent *e = key_peek(c, &c->argv[1]);
	bool fits;

	if (!e) {
		reply_error(c, "no such key");
		return false;
	}
	fits = replace || (!same_key(c) && !key_peek(c, &c->argv[2]));
	if (fits && !same_key(c)) {
		key_replace(c, &c->argv[2], e->type, e->e.val, e->expire);
		key_delete(e);
	}
	if (replace)
		reply_ok(c);
	else
		reply_int(c, fits);
	return fits;
}

void cmd_rename(struct conn *c)
{
	rename_key(c, true);
}

void cmd_renamenx(struct conn *c)
{
	rename_key(c, false);
}

static void *value_copy(struct keyent *e)
{
	switch (e->type) {
	case T_STRING:
		return bytes_new(E_STR(e)->data, E_STR(e)->len);
	case T_LIST:
		return list_copy(E_LIST(e));
	default:
		return dict_copy(E_DICT(e));
	}
}

static bool copy_options(struct conn *c, bool *replace)
{
	int i;

	*replace = false;
	for (i = 3; i < c->argc; i++) {
		if (arg_is(&c->argv[i], "replace")) {
			*replace = true;
		} else if (arg_is(&c->argv[i], "db") && i + 1 < c->argc) {
			if (!arg_db(c, ++i))
				return false;
		} else {
			error_syntax(c);
			return false;
		}
	}
	return true;
}

void cmd_copy(struct conn *c)
{
	struct keyent *e;
	bool replace;

	if (!copy_options(c, &replace))
		return;
	if (same_key(c)) {
		reply_error(c, "source and destination objects are the same");
		return;
	}
	e = key_find(c, &c->argv[1]);
	if (!e || (!replace && key_peek(c, &c->argv[2]))) {
		reply_int(c, 0);
		return;
	}
	key_replace(c, &c->argv[2], e->type, value_copy(e), e->expire);
	reply_int(c, 1);
}

/* KEYS and SCAN ---------------------------------------------------------------- */

struct filter {
	struct conn *c;
	const struct arg *match, *type;
	bool values, keyspace;
	uint64_t seen, given;
};

static bool filter_key(struct filter *f, struct dictent *e)
{
	struct keyent *k = (struct keyent *)e;

	if (f->match && !glob_match(f->match->p, f->match->len, e->key->data,
				    e->key->len))
		return false;
	if (!f->keyspace)
		return true;
	if (f->type && !arg_is(f->type, type_names[k->type]))
		return false;
	return !k->expire || f->c->now <= k->expire;
}

static void filter_visit(void *ctx, struct dictent *e)
{
	struct filter *f = ctx;

	f->seen++;
	if (!filter_key(f, e))
		return;
	reply_bytes(f->c, e->key);
	if (f->values)
		reply_bytes(f->c, e->val);
	f->given += 1 + f->values;
}

void cmd_keys(struct conn *c)
{
	struct filter f = { .c = c, .match = &c->argv[1], .keyspace = true };
	size_t mark = reply_later(c);
	int i;

	for (i = 0; i < SHARDS; i++)
		dict_each(shard_roots[i].keys, filter_visit, &f);
	reply_array_at(c, mark, f.given);
}

static bool scan_options(struct conn *c, int from, struct filter *f,
			 long long *count)
{
	int i;

	for (i = from; i < c->argc; i += 2) {
		if (i + 1 == c->argc)
			goto syntax;
		if (arg_is(&c->argv[i], "count")) {
			if (!arg_ll(c, i + 1, count))
				return false;
			if (*count < 1)
				goto syntax;
		} else if (arg_is(&c->argv[i], "match")) {
			f->match = &c->argv[i + 1];
		} else if (arg_is(&c->argv[i], "type") && f->keyspace) {
			f->type = &c->argv[i + 1];
		} else {
			goto syntax;
		}
	}
	return true;
syntax:
	error_syntax(c);
	return false;
}

/* as strtoul() has it, sign and all, since Redis asks that */
static bool scan_cursor(struct conn *c, const struct arg *a,
			uint64_t *cursor)
{
	char buf[64], *end = buf;

	snprintf(buf, sizeof(buf), "%.*s", (int)strnlen(a->p, a->len), a->p);
	errno = 0;
	*cursor = strtoul(buf, &end, 10);
	if (!isspace((unsigned char)buf[0]) && !*end && !errno)
		return true;
	reply_error(c, "invalid cursor");
	return false;
}

static void reply_cursor(struct conn *c, size_t mark, uint64_t cursor,
			 uint64_t n)
{
	char tmp[64], num[24];
	size_t body, head;

	reply_array_at(c, mark, n);
	body = c->out.len - mark;
	reply_array(c, 2);
	reply_bulk(c, num, format_ll(num, cursor));
	head = c->out.len - mark - body;
	if (c->broken)
		return;
	memcpy(tmp, c->out.data + mark + body, head);
	memmove(c->out.data + mark + head, c->out.data + mark, body);
	memcpy(c->out.data + mark, tmp, head);
}

/* HSCAN and SSCAN, under the lock of the key's shard */
static void scan_dict(struct conn *c, struct dict *d, uint64_t cursor,
		      bool values)
{
	struct filter f = { .c = c, .values = values };
	long long count = 10, looks;
	size_t mark;

	if (!scan_options(c, 3, &f, &count))
		return;
	mark = reply_later(c);
	looks = count > LLONG_MAX / 10 ? LLONG_MAX : count * 10;
	do
		cursor = dict_scan(d, cursor, filter_visit, &f);
	while (cursor && --looks > 0 && f.seen < (uint64_t)count);
	reply_cursor(c, mark, cursor, f.given);
}

/*
 * The cursor of SCAN is the shard's in its low bits and the table's above.
 * Only the shard being walked is locked.
 */
static uint64_t scan_shard(struct filter *f, uint64_t cursor, long long *looks,
			   uint64_t count)
{
	unsigned int shard = cursor % SHARDS;
	uint64_t at = cursor / SHARDS;

	shards_lock(1ull << shard);
	do
		at = dict_scan(shard_roots[shard].keys, at, filter_visit, f);
	while (at && --*looks > 0 && f->seen < count);
	shards_unlock(1ull << shard);
	if (at)
		return at * SHARDS + shard;
	return shard + 1 < SHARDS ? shard + 1 : 0;
}

void cmd_scan(struct conn *c)
{
	struct filter f = { .c = c, .keyspace = true };
	long long count = 10, looks;
	uint64_t cursor;
	size_t mark;

	if (!scan_cursor(c, &c->argv[1], &cursor) ||
	    !scan_options(c, 2, &f, &count))
		return;
	mark = reply_later(c);
	looks = count > LLONG_MAX / 10 ? LLONG_MAX : count * 10;
	do
		cursor = scan_shard(&f, cursor, &looks, count);
	while (cursor && looks-- > 0 && f.seen < (uint64_t)count);
	reply_cursor(c, mark, cursor, f.given);
}

static void scan_key(struct conn *c, enum value_type type, bool values)
{
	struct keyent *e;
	uint64_t cursor;

	if (!scan_cursor(c, &c->argv[2], &cursor) ||
	    !key_get(c, &c->argv[1], type, &e))
		return;
	if (e) {
		scan_dict(c, E_DICT(e), cursor, values);
		return;
	}
	reply_array(c, 2);
	reply_str(c, "0");
	reply_array(c, 0);
}

void cmd_hscan(struct conn *c)
{
	scan_key(c, T_HASH, true);
}

void cmd_sscan(struct conn *c)
{
	scan_key(c, T_SET, false);
}
