// SPDX-License-Identifier: MIT
/* Commands on the time at which a key expires. */
#include <limits.h>
#include <string.h>

#include "commands.h"

enum { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };

static bool expire_flags(struct conn *c, int *flags)
{
	static const char *const words[] = { "NX", "XX", "GT", "LT" };
	int i, w;

	*flags = 0;
	for (i = 3; i < c->argc; i++) {
		for (w = 0; w < 4 && !arg_is(&c->argv[i], words[w]); w++)
			;
		if (w == 4) {
			reply_error(c, "Unsupported option %.*s", (int)
				    strnlen(c->argv[i].p, c->argv[i].len),
				    c->argv[i].p);
			return false;
		}
		*flags |= 1 << w;
	}
	if (*flags & EXPIRE_NX && *flags & ~EXPIRE_NX) {
		reply_error(c, "NX and XX, GT or LT options at the same time "
			    "are not compatible");
		return false;
	}
	if (*flags & EXPIRE_GT && *flags & EXPIRE_LT) {
		reply_error(c, "GT and LT options at the same time are not "
			    "compatible");
		return false;
	}
	return true;
}

/* whether the conditions let @when replace @now, 0 = never */
static bool expire_allowed(int flags, int64_t now, int64_t when)
{
	if (flags & EXPIRE_NX && now)
		return false;
	if (flags & EXPIRE_XX && !now)
		return false;
	if (flags & EXPIRE_GT && (!now || when <= now))
		return false;
	return !(flags & EXPIRE_LT && now && when >= now);
}

static void expire(struct conn *c, int64_t base, bool seconds)
{
	struct keyent *e;
	long long when;
	int flags;

	if (!expire_flags(c, &flags) || !arg_ll(c, 2, &when))
		return;
	if (seconds && (when > LLONG_MAX / 1000 || when < LLONG_MIN / 1000)) {
		error_expire(c);
		return;
	}
	when *= seconds ? 1000 : 1;
	if (when > LLONG_MAX - base) {
		error_expire(c);
		return;
	}
	when += base;
	e = key_peek(c, &c->argv[1]);
	if (!e || !expire_allowed(flags, e->expire, when)) {
		reply_int(c, 0);
		return;
	}
	if (when <= c->now)
		key_delete(e);
	else
		key_expire_at(e, when);
	reply_int(c, 1);
}

void cmd_expire(struct conn *c)
{
	expire(c, c->now, true);
}

void cmd_pexpire(struct conn *c)
{
	expire(c, c->now, false);
}

void cmd_expireat(struct conn *c)
{
	expire(c, 0, true);
}

void cmd_pexpireat(struct conn *c)
{
	expire(c, 0, false);
}

static void reply_ttl(struct conn *c, bool absolute, bool seconds)
{
	struct keyent *e = key_peek(c, &c->argv[1]);
	int64_t ms;

	if (!e || !e->expire) {
		reply_int(c, e ? -1 : -2);
		return;
	}
	ms = absolute ? e->expire : e->expire - c->now;
	reply_int(c, seconds ? (ms + 500) / 1000 : ms);
}

void cmd_ttl(struct conn *c)
{
	reply_ttl(c, false, true);
}

void cmd_pttl(struct conn *c)
{
	reply_ttl(c, false, false);
}

void cmd_expiretime(struct conn *c)
{
	reply_ttl(c, true, true);
}

void cmd_pexpiretime(struct conn *c)
{
	reply_ttl(c, true, false);
}

void cmd_persist(struct conn *c)
{
	struct keyent *e = key_peek(c, &c->argv[1]);
	bool had = e && e->expire;

	if (had)
		ttl_remove(shard_of(e->e.hash), e);
	reply_int(c, had);
}
