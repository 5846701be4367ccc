// SPDX-License-Identifier: MIT
/* Glob patterns as KEYS and SCAN take them: * ? [a-z] [^a-z] and backslash. */
#include "server.h"

/* one [class] against @ch; *@p is moved behind it, or to the end */
static bool class_match(const char **p, const char *end, unsigned char ch)
{
	const char *s = *p + 1;
	bool negate = s < end && *s == '^', hit = false;
	unsigned char lo, hi, swap;

	for (s += negate; s < end && *s != ']'; s++) {
		lo = hi = *s;
		if (*s == '\\' && s + 1 < end) {
			lo = hi = *++s;
		} else if (s + 2 < end && s[1] == '-') {
			hi = s[2];
			s += 2;
		}
		if (lo > hi) {
			swap = lo;
			lo = hi;
			hi = swap;
		}
		hit |= ch >= lo && ch <= hi;
	}
	*p = s < end ? s + 1 : end;
	return hit != negate;
}

/* one element of the pattern, not a star, against one byte */
static bool unit_match(const char **p, const char *end, char ch)
{
	if (**p == '[')
		return class_match(p, end, ch);
	if (**p == '?') {
		++*p;
		return true;
	}
	if (**p == '\\' && *p + 1 < end)
		++*p;
	return *(*p)++ == ch;
}

/* going back to the last star is enough, so time is at most the product */
bool glob_match(const char *p, size_t plen, const char *s, size_t slen)
{
	const char *pend = p + plen, *send = s + slen;
	const char *star = NULL, *retry = NULL;

	while (s < send) {
		if (p < pend && *p == '*') {
			star = ++p;
			retry = s;
		} else if (p < pend && unit_match(&p, pend, *s)) {
			s++;
		} else if (star) {
			p = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (p < pend && *p == '*')
		p++;
	return p == pend;
}
