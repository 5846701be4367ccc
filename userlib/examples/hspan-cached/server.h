/* SPDX-License-Identifier: MIT */
/* Connections, the keyspace and what command handlers work with. */
#ifndef CACHED_SERVER_H
#define CACHED_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "object.h"
#include "object_types.h"

#define CACHED_VERSION "7.0.15"		/* of Redis: whose replies we give */

/* Options and figures (main.c, server.c) ------------------------------------ */

struct options {
	int port;
	const char *bind;
	const char *unix_path;
	int threads;
};

#define COUNTERS(X) \
	X(connections) X(rejected) X(commands) X(errors) X(hits) X(misses) \
	X(expired) X(net_in) X(net_out)

struct server {
	struct options opt;
	int64_t started_ms;
	int clients_max;
	atomic_int clients;
	atomic_int stop;
	atomic_ullong next_client;
#define COUNTER_FIELD(name) atomic_ullong name;
	COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

extern struct server server;

#define count_add(name, n) \
	atomic_fetch_add_explicit(&server.name, n, memory_order_relaxed)
#define count_read(name) \
	atomic_load_explicit(&server.name, memory_order_relaxed)

int64_t now_ms(void);
int64_t now_us(void);

/* Connections (conn.c, net.c, proto.c) -------------------------------------- */

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

/* @off: in the query buffer while the command is being read, @p after it */
struct arg {
	const char *p;
	size_t len;
	size_t off;
	uint64_t hash;
};

struct command;
struct worker;

struct conn {
	int fd;
	uint32_t events;
	struct worker *worker;
	struct conn *next, *prev;
	uint64_t id;
	char *name;
	struct buf in, out;
	size_t in_pos, out_pos;
	struct arg *argv;
	int argc, argv_cap;
	int64_t bulks_left, bulk_len;
	int64_t now;
	const struct command *cmd;
	const char *full_name;
	bool eof, close_after, broken;
};

#define QUERY_MAX	((size_t)1 << 30)	/* client-query-buffer-limit */
#define REPLY_MAX	((size_t)1 << 30)	/* one client's unsent replies */
#define REPLY_PAUSE	((size_t)1 << 20)	/* stop executing above this */
#define INLINE_MAX	(64 * 1024)
#define CLIENTS_MAX	10000

bool buf_reserve(struct buf *b, size_t more, size_t limit);

struct conn *conn_new(int fd);
void conn_free(struct conn *c);
bool conn_flush(struct conn *c);
bool conn_fill(struct conn *c);
bool conn_run(struct conn *c);

enum parse { PARSE_MORE, PARSE_COMMAND, PARSE_ERROR };

enum parse proto_next(struct conn *c);
int inline_split(struct conn *c, size_t from, size_t to);
bool argv_push(struct conn *c, size_t off, size_t len);

int net_listen(const struct options *opt);
int net_init(void);
int net_run(void);
void net_stop(void);

/* Replies (reply.c) ---------------------------------------------------------- */

void reply_raw(struct conn *c, const void *p, size_t len);
void reply_status(struct conn *c, const char *s);
void reply_ok(struct conn *c);
void reply_error(struct conn *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void reply_int(struct conn *c, long long v);
void reply_bulk(struct conn *c, const void *p, size_t len);
void reply_bytes(struct conn *c, const struct bytes *b);
void reply_str(struct conn *c, const char *s);
void reply_nil(struct conn *c);
void reply_nil_array(struct conn *c);
void reply_array(struct conn *c, long long n);
size_t reply_later(struct conn *c);
void reply_array_at(struct conn *c, size_t mark, long long n);

void error_arity(struct conn *c);
void error_syntax(struct conn *c);
void error_type(struct conn *c);
void error_expire(struct conn *c);

/* Keyspace (keyspace.c, ttl.c) ------------------------------------------------ */

#define SHARD_BITS	6
#define SHARDS		(1 << SHARD_BITS)
#define SHARDS_ALL	(~0ull)

/* the only way into the heap: two words a shard, registered as roots */
struct shard_root {
	struct dict *keys;
	struct keyent **ttl;
};

struct shard {
	pthread_mutex_t lock;
	uint32_t ttl_len, ttl_cap;
} __attribute__((aligned(64)));

extern struct shard_root shard_roots[SHARDS];
extern struct shard shards[SHARDS];

static inline unsigned int shard_of(uint64_t hash)
{
	return hash >> (64 - SHARD_BITS);
}

int keyspace_init(void);
void shards_lock(uint64_t mask);
void shards_unlock(uint64_t mask);
void shard_tick(unsigned int shard);
void keyspace_flush(void);
uint64_t keyspace_len(uint64_t *expires);

/* all these need the lock of the key's shard */
struct keyent *key_peek(struct conn *c, const struct arg *key);
struct keyent *key_find(struct conn *c, const struct arg *key);
bool key_get(struct conn *c, const struct arg *key, enum value_type type,
	     struct keyent **e);
struct keyent *key_add(const struct arg *key, enum value_type type, void *val);
struct keyent *key_set(struct conn *c, const struct arg *key,
		       enum value_type type, void *val, bool keep_ttl);
void key_delete(struct keyent *e);
bool key_expired(struct conn *c, struct keyent *e);
void key_expire_at(struct keyent *e, int64_t when);

void ttl_set(unsigned int shard, struct keyent *e, int64_t when);
void ttl_remove(unsigned int shard, struct keyent *e);
struct keyent *ttl_first(unsigned int shard);

#define E_KEY(ent)	((ent)->e.key)
#define E_STR(ent)	((struct bytes *)(ent)->e.val)
#define E_DICT(ent)	((struct dict *)(ent)->e.val)
#define E_LIST(ent)	((struct list *)(ent)->e.val)

/* Commands (commands.c) ------------------------------------------------------- */

#define CMD_ALL		(1u << 0)	/* takes every shard's lock */
#define CMD_WRITE	(1u << 1)
#define CMD_FAST	(1u << 2)

typedef void command_fn(struct conn *c);

/* @arity: arguments with the name; -n = at least n; keys as Redis has them */
struct command {
	const char *name;
	int arity;
	unsigned int flags;
	int first_key, last_key, key_step;
	command_fn *fn;
};

struct subcommand {
	const char *name;
	int arity;
	command_fn *fn;
};

void commands_init(void);
void command_run(struct conn *c);
const struct command *command_find(const char *name, size_t len);
const struct command *command_at(size_t i);
size_t command_count(void);
void run_subcommand(struct conn *c, const struct subcommand *table, size_t n);

/* Arguments (num.c, glob.c) --------------------------------------------------- */

bool parse_ll(const char *p, size_t len, long long *v);
bool parse_ld(const char *p, size_t len, long double *v);
size_t format_ll(char *buf, long long v);
size_t format_ld(char *buf, size_t size, long double v);
bool arg_is(const struct arg *a, const char *word);
bool arg_ll(struct conn *c, int i, long long *v);
bool arg_db(struct conn *c, int i);
bool arg_positive(struct conn *c, int i, long long *v);
bool glob_match(const char *pat, size_t plen, const char *s, size_t slen);
struct bytes *arg_bytes(const struct arg *a);
void *scratch(size_t size);

#endif /* CACHED_SERVER_H */
