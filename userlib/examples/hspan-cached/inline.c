// SPDX-License-Identifier: MIT
/* Splitting inline requests into arguments, with quotes and escapes. */
#include <ctype.h>

#include "server.h"

struct split {
	const char *s, *end;
	char *out;
};

static int hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static char unescape(char ch)
{
	switch (ch) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return ch;
	}
}

/* one character of a "..." string */
static void double_char(struct split *x)
{
	if (x->end - x->s >= 4 && x->s[0] == '\\' && x->s[1] == 'x' &&
	    hex_value(x->s[2]) >= 0 && hex_value(x->s[3]) >= 0) {
		*x->out++ = hex_value(x->s[2]) * 16 + hex_value(x->s[3]);
		x->s += 4;
	} else if (x->end - x->s >= 2 && x->s[0] == '\\') {
		*x->out++ = unescape(x->s[1]);
		x->s += 2;
	} else {
		*x->out++ = *x->s++;
	}
}

/* one character of a '...' string: only \' is special */
static void single_char(struct split *x)
{
	if (x->end - x->s >= 2 && x->s[0] == '\\' && x->s[1] == '\'')
		x->s++;
	*x->out++ = *x->s++;
}

/* behind the closing quote there must be a blank, or nothing */
static bool quoted(struct split *x, char quote)
{
	x->s++;
	while (x->s < x->end && *x->s != quote) {
		if (quote == '"')
			double_char(x);
		else
			single_char(x);
	}
	if (x->s == x->end)
		return false;
	x->s++;
	return x->s == x->end || isspace((unsigned char)*x->s);
}

static bool word(struct split *x)
{
	while (x->s < x->end && !isspace((unsigned char)*x->s)) {
		if (*x->s == '"' || *x->s == '\'') {
			if (!quoted(x, *x->s))
				return false;
		} else {
			*x->out++ = *x->s++;
		}
	}
	return true;
}

/* in.data[@from, @to): split in place, since words only get shorter */
int inline_split(struct conn *c, size_t from, size_t to)
{
	struct split x = { c->in.data + from, c->in.data + to, NULL };
	char *start;

	for (;;) {
		while (x.s < x.end && isspace((unsigned char)*x.s))
			x.s++;
		if (x.s == x.end)
			return 0;
		start = x.out = c->in.data + (x.s - c->in.data);
		if (!word(&x) || !argv_push(c, start - c->in.data,
					    x.out - start))
			return -1;
	}
}
