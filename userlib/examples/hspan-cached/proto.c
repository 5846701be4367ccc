// SPDX-License-Identifier: MIT
/* Requests: RESP arrays of bulk strings, and the inline form people type. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

bool argv_push(struct conn *c, size_t off, size_t len)
{
	int cap = c->argv_cap ? c->argv_cap * 2 : 16;
	struct arg *argv;

	if (c->argc == c->argv_cap) {
		argv = cap < INT_MAX / 2 ? realloc(c->argv, cap * sizeof(*argv)) :
					   NULL;
		if (!argv)
			return false;
		c->argv = argv;
		c->argv_cap = cap;
	}
	c->argv[c->argc++] = (struct arg){ .off = off, .len = len };
	return true;
}

static enum parse protocol_error(struct conn *c, const char *what)
{
	reply_error(c, "Protocol error: %s", what);
	c->close_after = true;
	return PARSE_ERROR;
}

/*
 * The line at in_pos, without its end: @len bytes.  As Redis does, a '\n' is
 * taken on trust behind each '\r'.
 */
static enum parse line(struct conn *c, const char *too_big, size_t *len)
{
	const char *p = c->in.data + c->in_pos, *cr;
	size_t have = c->in.len - c->in_pos;

	cr = memchr(p, '\r', have);
	if (!cr && have > INLINE_MAX)
		return protocol_error(c, too_big);
	if (!cr || cr + 2 > p + have)
		return PARSE_MORE;
	*len = cr - p;
	return PARSE_COMMAND;
}

static enum parse read_count(struct conn *c)
{
	enum parse got;
	long long n;
	size_t len;

	got = line(c, "too big mbulk count string", &len);
	if (got != PARSE_COMMAND)
		return got;
	if (!parse_ll(c->in.data + c->in_pos + 1, len - 1, &n) || n > INT_MAX)
		return protocol_error(c, "invalid multibulk length");
	c->in_pos += len + 2;
	c->bulks_left = n < 0 ? 0 : n;
	c->bulk_len = -1;
	return PARSE_COMMAND;
}

static enum parse read_bulk_len(struct conn *c)
{
	char what[] = "expected '$', got '?'";
	enum parse got;
	long long n;
	size_t len;

	got = line(c, "too big bulk count string", &len);
	if (got != PARSE_COMMAND)
		return got;
	if (c->in.data[c->in_pos] != '$') {
		what[sizeof(what) - 3] = c->in.data[c->in_pos];
		return protocol_error(c, what);
	}
	if (!parse_ll(c->in.data + c->in_pos + 1, len - 1, &n) || n < 0 ||
	    n > BYTES_MAX)
		return protocol_error(c, "invalid bulk length");
	c->in_pos += len + 2;
	c->bulk_len = n;
	return PARSE_COMMAND;
}

static enum parse read_bulk(struct conn *c)
{
	enum parse got;

	if (c->bulk_len < 0) {
		got = read_bulk_len(c);
		if (got != PARSE_COMMAND)
			return got;
	}
	if (c->in.len - c->in_pos < (size_t)c->bulk_len + 2)
		return PARSE_MORE;
	if (!argv_push(c, c->in_pos, c->bulk_len)) {
		c->broken = true;
		return PARSE_ERROR;
	}
	c->in_pos += c->bulk_len + 2;
	c->bulk_len = -1;
	c->bulks_left--;
	return PARSE_COMMAND;
}

static enum parse read_inline(struct conn *c)
{
	size_t have = c->in.len - c->in_pos, len, from = c->in_pos;
	const char *p = c->in.data + from, *nl = memchr(p, '\n', have);

	if (!nl && have > INLINE_MAX)
		return protocol_error(c, "too big inline request");
	if (!nl)
		return PARSE_MORE;
	len = nl - p;
	c->in_pos += len + 1;
	if (len && p[len - 1] == '\r')
		len--;
	if (inline_split(c, from, from + len) < 0)
		return protocol_error(c, "unbalanced quotes in request");
	return PARSE_COMMAND;
}

/* the next whole command into argv; an empty one has argc 0 */
enum parse proto_next(struct conn *c)
{
	enum parse got;
	int i;

	if (c->bulks_left <= 0) {
		c->argc = 0;
		if (c->in_pos == c->in.len)
			return PARSE_MORE;
		got = c->in.data[c->in_pos] == '*' ? read_count(c) :
						     read_inline(c);
		if (got != PARSE_COMMAND)
			return got;
	}
	while (c->bulks_left > 0) {
		got = read_bulk(c);
		if (got != PARSE_COMMAND)
			return got;
	}
	for (i = 0; i < c->argc; i++)
		c->argv[i].p = c->in.data + c->argv[i].off;
	return PARSE_COMMAND;
}
