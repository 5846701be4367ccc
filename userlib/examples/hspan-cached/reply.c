// SPDX-License-Identifier: MIT
/* Replies, appended to a connection's output as RESP2. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

/* a client whose output passes the limit loses its connection */
void reply_raw(struct conn *c, const void *p, size_t len)
{
	if (c->broken)
		return;
	if (!buf_reserve(&c->out, len, REPLY_MAX)) {
		c->broken = true;
		return;
	}
	memcpy(c->out.data + c->out.len, p, len);
	c->out.len += len;
}

static void reply_head(struct conn *c, char kind, long long v)
{
	char buf[32];
	size_t n;

	buf[0] = kind;
	n = 1 + format_ll(buf + 1, v);
	buf[n++] = '\r';
	buf[n++] = '\n';
	reply_raw(c, buf, n);
}

void reply_status(struct conn *c, const char *s)
{
	reply_raw(c, "+", 1);
	reply_raw(c, s, strlen(s));
	reply_raw(c, "\r\n", 2);
}

void reply_ok(struct conn *c)
{
	reply_raw(c, "+OK\r\n", 5);
}

static bool is_eol(char ch)
{
	return ch == '\r' || ch == '\n';
}

/* "ERR " comes before it, unless it starts with '-' and its own word */
void reply_error(struct conn *c, const char *fmt, ...)
{
	char buf[1024], *p = buf, *end, *s;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	end = buf + strlen(buf);
	while (p < end && is_eol(*p))
		p++;
	while (end > p && is_eol(end[-1]))
		end--;
	for (s = p; s < end; s++)
		*s = is_eol(*s) ? ' ' : *s;
	if (*p != '-')
		reply_raw(c, "-ERR ", 5);
	reply_raw(c, p, end - p);
	reply_raw(c, "\r\n", 2);
	count_add(errors, 1);
}

void reply_int(struct conn *c, long long v)
{
	reply_head(c, ':', v);
}

void reply_bulk(struct conn *c, const void *p, size_t len)
{
	reply_head(c, '$', len);
	reply_raw(c, p, len);
	reply_raw(c, "\r\n", 2);
}

void reply_bytes(struct conn *c, const struct bytes *b)
{
	reply_bulk(c, b->data, b->len);
}

void reply_str(struct conn *c, const char *s)
{
	reply_bulk(c, s, strlen(s));
}

void reply_nil(struct conn *c)
{
	reply_raw(c, "$-1\r\n", 5);
}

void reply_nil_array(struct conn *c)
{
	reply_raw(c, "*-1\r\n", 5);
}

void reply_array(struct conn *c, long long n)
{
	reply_head(c, '*', n);
}

/* for arrays whose length is known only after them */
size_t reply_later(struct conn *c)
{
	return c->out.len;
}

void reply_array_at(struct conn *c, size_t mark, long long n)
{
	size_t body = c->out.len - mark, head;
	char tmp[32];

	reply_array(c, n);
	if (c->broken || !body)
		return;
	head = c->out.len - mark - body;

	memcpy(tmp, c->out.data + mark + body, head);
	memmove(c->out.data + mark + head, c->out.data + mark, body);
	memcpy(c->out.data + mark, tmp, head);
}

void error_arity(struct conn *c)
{
	reply_error(c, "wrong number of arguments for '%s' command",
		    c->full_name);
}

void error_syntax(struct conn *c)
{
	reply_error(c, "syntax error");
}

void error_type(struct conn *c)
{
	reply_error(c, "-WRONGTYPE Operation against a key holding the wrong "
		    "kind of value");
}

void error_expire(struct conn *c)
{
	reply_error(c, "invalid expire time in '%s' command", c->full_name);
}
