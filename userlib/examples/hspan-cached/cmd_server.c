// SPDX-License-Identifier: MIT
/* Commands on the connection and the server. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void cmd_ping(struct conn *c)
{
	if (c->argc > 2)
		error_arity(c);
	else if (c->argc == 2)
		reply_bulk(c, c->argv[1].p, c->argv[1].len);
	else
		reply_status(c, "PONG");
}

void cmd_echo(struct conn *c)
{
	reply_bulk(c, c->argv[1].p, c->argv[1].len);
}

void cmd_quit(struct conn *c)
{
	reply_ok(c);
	c->close_after = true;
}

void cmd_select(struct conn *c)
{
	if (arg_db(c, 1))
		reply_ok(c);
}

void cmd_time(struct conn *c)
{
	int64_t us = now_us();
	char buf[24];

	reply_array(c, 2);
	reply_bulk(c, buf, format_ll(buf, us / 1000000));
	reply_bulk(c, buf, format_ll(buf, us % 1000000));
}

void cmd_shutdown(struct conn *c)
{
	c->close_after = true;
	net_stop();
}

/* GC: a collection now; GC RELEASE: free blocks to the system, gives bytes */
void cmd_gc(struct conn *c)
{
	if (c->argc == 1) {
		hspan_gc();
		reply_ok(c);
	} else if (c->argc == 2 && arg_is(&c->argv[1], "release")) {
		reply_int(c, hspan_release());
	} else {
		error_syntax(c);
	}
}

/* CLIENT ------------------------------------------------------------------------- */

static void client_id(struct conn *c)
{
	reply_int(c, c->id);
}

static void client_getname(struct conn *c)
{
	if (c->name)
		reply_str(c, c->name);
	else
		reply_nil(c);
}

static void client_setname(struct conn *c)
{
	const struct arg *a = &c->argv[2];
	char *name = NULL;
	size_t i;

	for (i = 0; i < a->len && a->p[i] >= '!' && a->p[i] <= '~'; i++)
		;
	if (i < a->len) {
		reply_error(c, "Client names cannot contain spaces, newlines "
			    "or special characters.");
		return;
	}
	if (a->len) {
		name = strndup(a->p, a->len);
		if (!name)
			longjmp(*oom_escape, 1);
	}
	free(c->name);
	c->name = name;
	reply_ok(c);
}

void cmd_client(struct conn *c)
{
	static const struct subcommand table[] = {
		{ "getname", 2, client_getname },
		{ "id", 2, client_id },
		{ "setname", 3, client_setname },
	};

	run_subcommand(c, table, COUNT(table));
}

/* CONFIG ------------------------------------------------------------------------- */

static const char *const config[][2] = {
	{ "appendonly", "no" },
	{ "databases", "1" },
	{ "maxmemory", "0" },
	{ "maxmemory-policy", "noeviction" },
	{ "proto-max-bulk-len", "536870912" },
	{ "save", "" },
};

static bool config_wanted(struct conn *c, const char *name)
{
	int i;

	for (i = 2; i < c->argc; i++)
		if (glob_match(c->argv[i].p, c->argv[i].len, name,
			       strlen(name)))
			return true;
	return false;
}

static void config_get(struct conn *c)
{
	size_t mark = reply_later(c), i;
	int n = 0;

	for (i = 0; i < COUNT(config); i++) {
		if (!config_wanted(c, config[i][0]))
			continue;
		reply_str(c, config[i][0]);
		reply_str(c, config[i][1]);
		n += 2;
	}
	reply_array_at(c, mark, n);
}

void cmd_config(struct conn *c)
{
	static const struct subcommand table[] = {
		{ "get", -3, config_get },
	};

	run_subcommand(c, table, COUNT(table));
}

/* COMMAND ------------------------------------------------------------------------- */

static void reply_flags(struct conn *c, const struct command *cmd)
{
	reply_array(c, cmd->flags & CMD_FAST ? 2 : 1);
	reply_status(c, cmd->flags & CMD_WRITE ? "write" : "readonly");
	if (cmd->flags & CMD_FAST)
		reply_status(c, "fast");
}

/* as Redis 7: six facts, and four lists we leave empty */
static void reply_command(struct conn *c, const struct command *cmd)
{
	int i;

	if (!cmd) {
		reply_nil_array(c);
		return;
	}
	reply_array(c, 10);
	reply_str(c, cmd->name);
	reply_int(c, cmd->arity);
	reply_flags(c, cmd);
	reply_int(c, cmd->first_key);
	reply_int(c, cmd->last_key);
	reply_int(c, cmd->key_step);
	for (i = 0; i < 4; i++)
		reply_array(c, 0);
}

static void reply_all_commands(struct conn *c)
{
	size_t i;

	reply_array(c, command_count());
	for (i = 0; i < command_count(); i++)
		reply_command(c, command_at(i));
}

static void command_info(struct conn *c)
{
	int i;

	if (c->argc == 2) {
		reply_all_commands(c);
		return;
	}
	reply_array(c, c->argc - 2);
	for (i = 2; i < c->argc; i++)
		reply_command(c, command_find(c->argv[i].p, c->argv[i].len));
}

static void command_count_reply(struct conn *c)
{
	reply_int(c, command_count());
}

static void command_docs(struct conn *c)
{
	reply_array(c, 0);
}

static void command_list(struct conn *c)
{
	size_t i;

	reply_array(c, command_count());
	for (i = 0; i < command_count(); i++)
		reply_str(c, command_at(i)->name);
}

void cmd_command(struct conn *c)
{
	static const struct subcommand table[] = {
		{ "count", 2, command_count_reply },
		{ "docs", -2, command_docs },
		{ "info", -2, command_info },
		{ "list", 2, command_list },
	};

	if (c->argc == 1)
		reply_all_commands(c);
	else
		run_subcommand(c, table, COUNT(table));
}

/* MEMORY -------------------------------------------------------------------------- */

static void add_entry(void *ctx, struct dictent *e)
{
	size_t *sum = ctx;

	*sum += hspan_usable_size(e) + hspan_usable_size(e->key) +
		hspan_usable_size(e->val);
}

static size_t list_size(const struct list *l)
{
	size_t sum = 0;
	struct lpos pos;
	bool more;

	for (more = list_seek(l, 0, &pos); more; more = list_next(&pos)) {
		if (!pos.i)
			sum += hspan_usable_size(pos.node);
		sum += hspan_usable_size(*lpos_slot(&pos));
	}
	return sum;
}

/* bytes of its objects; what it shares with other keys is counted for each */
static void memory_usage(struct conn *c)
{
	struct keyent *e = key_peek(c, &c->argv[2]);
	size_t sum = 0;

	if (!e) {
		reply_nil(c);
		return;
	}
	add_entry(&sum, &e->e);
	if (e->type == T_LIST) {
		sum += list_size(E_LIST(e));
	} else if (e->type != T_STRING) {
		sum += hspan_usable_size(E_DICT(e)->table[0]);
		sum += hspan_usable_size(E_DICT(e)->table[1]);
		dict_each(E_DICT(e), add_entry, &sum);
	}
	reply_int(c, sum);
}

void cmd_memory(struct conn *c)
{
	static const struct subcommand table[] = {
		{ "usage", -3, memory_usage },
	};

	run_subcommand(c, table, COUNT(table));
}
