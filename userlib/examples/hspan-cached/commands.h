/* SPDX-License-Identifier: MIT */
/* Every command's handler, and what several files of handlers share. */
#ifndef CACHED_COMMANDS_H
#define CACHED_COMMANDS_H

#include "server.h"

#define C(name, arity, flags, first, last, step, fn) command_fn fn;
#include "command_list.h"
#undef C

/* a field or member as an argument; its hash is taken here */
static inline struct dictent *dict_find_arg(struct dict *d, struct arg *a)
{
	a->hash = hash_bytes(a->p, a->len);
	return dict_find(d, a->p, a->len, a->hash);
}

#endif /* CACHED_COMMANDS_H */
