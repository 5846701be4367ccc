// SPDX-License-Identifier: MIT
/* The command table, and running one command under its shards' locks. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"


static const struct command table[] = {
#define C(name, arity, flags, first, last, step, fn) \
	{ name, arity, flags, first, last, step, fn },
#include "command_list.h"
#undef C
};

#define NCOMMANDS	(sizeof(table) / sizeof(table[0]))
#define INDEX_SIZE	512
#define NAME_MAX_LEN	32

static uint16_t name_index[INDEX_SIZE];

size_t command_count(void)
{
	return NCOMMANDS;
}

const struct command *command_at(size_t i)
{
	return &table[i];
}

static unsigned int name_hash(const char *lower, size_t len)
{
	unsigned int h = 2166136261u;

	while (len--)
		h = (h ^ (unsigned char)*lower++) * 16777619u;
	return h ^ h >> 15;
}

void commands_init(void)
{
	unsigned int h;
	size_t i;

	for (i = 0; i < NCOMMANDS; i++) {
		h = name_hash(table[i].name, strlen(table[i].name));
		while (name_index[h % INDEX_SIZE])
			h++;
		name_index[h % INDEX_SIZE] = i + 1;
	}
}

const struct command *command_find(const char *name, size_t len)
{
	char lower[NAME_MAX_LEN];
	const struct command *cmd;
	unsigned int h;
	size_t i;

	if (len >= NAME_MAX_LEN)
		return NULL;
	for (i = 0; i < len; i++)
		lower[i] = tolower((unsigned char)name[i]);
	lower[len] = 0;
	for (h = name_hash(lower, len); name_index[h % INDEX_SIZE]; h++) {
		cmd = &table[name_index[h % INDEX_SIZE] - 1];
		if (strlen(cmd->name) == len && !memcmp(cmd->name, lower, len))
			return cmd;
	}
	return NULL;
}

/* Errors ------------------------------------------------------------------- */

/* as C strings: Redis prints them up to their first zero byte */
static size_t append_arg(char *buf, size_t room, const struct arg *a, size_t max)
{
	return snprintf(buf, room, "%.*s", (int)strnlen(a->p,
			a->len < max ? a->len : max), a->p);
}

static void error_unknown(struct conn *c)
{
	char args[512], name[160];
	size_t n = 0;
	int i;

	append_arg(name, sizeof(name), &c->argv[0], 128);
	args[0] = 0;
	for (i = 1; i < c->argc && n < 128; i++) {
		args[n] = '\'';
		n += 1 + append_arg(args + n + 1, sizeof(args) - n - 4,
				    &c->argv[i], 128 - n);
		args[n++] = '\'';
		args[n++] = ' ';
		args[n] = 0;
	}
	reply_error(c, "unknown command '%s', with args beginning with: %s",
		    name, args);
}

static bool arity_fits(int arity, int argc)
{
	return arity > 0 ? argc == arity : argc >= -arity;
}

/* Running ------------------------------------------------------------------ */

/* hashes the keys, and tells which shards hold them */
static uint64_t hash_keys(struct conn *c, const struct command *cmd)
{
	int last = cmd->last_key < 0 ? c->argc + cmd->last_key : cmd->last_key;
	uint64_t mask = 0;
	struct arg *a;
	int i;

	if (!cmd->first_key)
		return cmd->flags & CMD_ALL ? SHARDS_ALL : 0;
	for (i = cmd->first_key; i <= last && i < c->argc; i += cmd->key_step) {
		a = &c->argv[i];
		a->hash = hash_bytes(a->p, a->len);
		mask |= 1ull << shard_of(a->hash);
	}
	return mask;
}

static void run_locked(struct conn *c, const struct command *cmd)
{
	size_t mark = c->out.len;
	jmp_buf escape;

	oom_escape = &escape;
	if (!setjmp(escape)) {
		cmd->fn(c);
		return;
	}
	c->out.len = mark;
	reply_error(c, "-OOM command not allowed when used memory > "
		    "'maxmemory'.");
}

void command_run(struct conn *c)
{
	const struct command *cmd = command_find(c->argv[0].p, c->argv[0].len);
	uint64_t mask;

	count_add(commands, 1);
	if (!cmd) {
		error_unknown(c);
		return;
	}
	c->cmd = cmd;
	c->full_name = cmd->name;
	if (!arity_fits(cmd->arity, c->argc)) {
		error_arity(c);
		return;
	}
	c->now = now_ms();
	mask = hash_keys(c, cmd);
	shards_lock(mask);
	run_locked(c, cmd);
	shards_unlock(mask);
}

/* for CLIENT, CONFIG and the like: argv[1] in a table of their own */
void run_subcommand(struct conn *c, const struct subcommand *sub, size_t n)
{
	char full[64], name[160];
	size_t i;

	for (i = 0; i < n && !arg_is(&c->argv[1], sub[i].name); i++)
		;
	if (i == n) {
		append_arg(name, sizeof(name), &c->argv[1], 128);
		snprintf(full, sizeof(full), "%s", c->cmd->name);
		for (i = 0; full[i]; i++)
			full[i] = toupper((unsigned char)full[i]);
		reply_error(c, "unknown subcommand '%s'. Try %s HELP.", name,
			    full);
		return;
	}
	snprintf(full, sizeof(full), "%s|%s", c->cmd->name, sub[i].name);
	c->full_name = full;
	if (arity_fits(sub[i].arity, c->argc))
		sub[i].fn(c);
	else
		error_arity(c);
	c->full_name = c->cmd->name;
}
