// SPDX-License-Identifier: MIT
/* Numbers in the exact forms Redis takes and gives, and arguments as such. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server.h"

/* the canonical form only: no blanks, plus, leading zeros or "-0" */
bool parse_ll(const char *p, size_t len, long long *v)
{
	bool neg = len && *p == '-';
	const char *end = p + len;
	unsigned long long u = 0;

	if (len == 1 && *p == '0') {
		*v = 0;
		return true;
	}
	p += neg;
	if (p == end || len > 20 || *p < '1' || *p > '9')
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' ||
		    __builtin_mul_overflow(u, 10, &u) ||
		    __builtin_add_overflow(u, *p - '0', &u))
			return false;
	}
	if (u > (unsigned long long)LLONG_MAX + neg)
		return false;
	*v = neg ? (long long)(0 - u) : (long long)u;
	return true;
}

bool parse_ld(const char *p, size_t len, long double *v)
{
	char buf[5 * 1024], *end;

	if (!len || len >= sizeof(buf))
		return false;
	memcpy(buf, p, len);
	buf[len] = 0;
	errno = 0;
	*v = strtold(buf, &end);
	if (isspace((unsigned char)buf[0]) || (size_t)(end - buf) != len ||
	    errno == EINVAL || isnan(*v))
		return false;
	return errno != ERANGE || (!isinf(*v) && fpclassify(*v) != FP_ZERO);
}

size_t format_ll(char *buf, long long v)
{
	unsigned long long u = v < 0 ? 0 - (unsigned long long)v :
				       (unsigned long long)v;
	char tmp[24];
	size_t n = 0, i;

	do
		tmp[n++] = '0' + u % 10;
	while (u /= 10);
	if (v < 0)
		tmp[n++] = '-';
	for (i = 0; i < n; i++)
		buf[i] = tmp[n - 1 - i];
	return n;
}

/* 17 digits after the point without trailing zeros */
size_t format_ld(char *buf, size_t size, long double v)
{
	size_t n = snprintf(buf, size, "%.17Lf", v);

	if (n >= size)
		return 0;
	if (strchr(buf, '.')) {
		while (buf[n - 1] == '0')
			n--;
		if (buf[n - 1] == '.')
			n--;
	}
	if (n == 2 && buf[0] == '-' && buf[1] == '0') {
		buf[0] = '0';
		n = 1;
	}
	buf[n] = 0;
	return n;
}

bool arg_is(const struct arg *a, const char *word)
{
	return a->len == strlen(word) && !strncasecmp(a->p, word, a->len);
}

bool arg_ll(struct conn *c, int i, long long *v)
{
	if (parse_ll(c->argv[i].p, c->argv[i].len, v))
		return true;
	reply_error(c, "value is not an integer or out of range");
	return false;
}

/* the number of a database: an int, and 0 is all there are */
bool arg_db(struct conn *c, int i)
{
	long long v;

	if (!arg_ll(c, i, &v))
		return false;
	if (!v)
		return true;
	if (v < INT_MIN || v > INT_MAX)
		reply_error(c, "value is out of range, value must between "
			    "%d and %d", INT_MIN, INT_MAX);
	else
		reply_error(c, "DB index is out of range");
	return false;
}

bool arg_positive(struct conn *c, int i, long long *v)
{
	if (parse_ll(c->argv[i].p, c->argv[i].len, v) && *v >= 0)
		return true;
	reply_error(c, "value is out of range, must be positive");
	return false;
}

struct bytes *arg_bytes(const struct arg *a)
{
	return bytes_new(a->p, a->len);
}

/*
 * Room outside the heap for the length of one command, one piece a thread.
 * What is pointed to from there must also be reachable otherwise.
 */
void *scratch(size_t size)
{
	static _Thread_local struct buf room;

	room.len = 0;
	if (!buf_reserve(&room, size, SIZE_MAX / 2))
		longjmp(*oom_escape, 1);
	return room.data;
}
