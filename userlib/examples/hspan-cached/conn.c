// SPDX-License-Identifier: MIT
/* One connection: bytes in, commands run, bytes out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

#define READ_CHUNK	(16 * 1024)
#define READ_MAX	(256 * 1024)	/* from one client before others */
#define KEEP_CAP	(64 * 1024)	/* buffers larger than this go back */

struct conn *conn_new(int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = fd;
	c->bulk_len = -1;
	c->id = atomic_fetch_add(&server.next_client, 1) + 1;
	return c;
}

void conn_free(struct conn *c)
{
	close(c->fd);
	free(c->in.data);
	free(c->out.data);
	free(c->argv);
	free(c->name);
	free(c);
}

static void buf_shrink(struct buf *b)
{
	if (b->len || b->cap <= KEEP_CAP)
		return;
	free(b->data);
	*b = (struct buf){ 0 };
}

/* writes what the socket takes; false when the connection is gone */
bool conn_flush(struct conn *c)
{
	ssize_t n;

	while (c->out_pos < c->out.len) {
		n = write(c->fd, c->out.data + c->out_pos,
			  c->out.len - c->out_pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		count_add(net_out, n);
		c->out_pos += n;
	}
	c->out_pos = c->out.len = 0;
	buf_shrink(&c->out);
	return true;
}

/* a long bulk string is given its room at once */
static size_t fill_room(const struct conn *c)
{
	size_t have = c->in.len - c->in_pos;

	if (c->bulk_len > 0 && (size_t)c->bulk_len + 2 > have + READ_CHUNK)
		return c->bulk_len + 2 - have;
	return READ_CHUNK;
}

/* reads what has come; false when the connection is to be dropped */
bool conn_fill(struct conn *c)
{
	size_t total = 0, room;
	ssize_t n;

	while (total < READ_MAX) {
		if (!buf_reserve(&c->in, fill_room(c), QUERY_MAX))
			return false;
		room = c->in.cap - c->in.len;
		n = read(c->fd, c->in.data + c->in.len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (!n) {
			c->eof = true;
			return true;
		}
		count_add(net_in, n);
		c->in.len += n;
		total += n;
		if ((size_t)n < room)
			break;
	}
	return true;
}

/* drops what is done with; arguments being gathered stay, moved with the rest */
static void compact(struct conn *c)
{
	size_t done = c->in_pos;
	int i;

	if (c->bulks_left > 0 && c->argc)
		done = c->argv[0].off;
	if (done && (done == c->in.len || done >= c->in.cap / 2)) {
		memmove(c->in.data, c->in.data + done, c->in.len - done);
		c->in.len -= done;
		c->in_pos -= done;
		for (i = 0; c->bulks_left > 0 && i < c->argc; i++)
			c->argv[i].off -= done;
	}
	buf_shrink(&c->in);
}

/* runs whole commands; true when it stopped for want of room for replies */
bool conn_run(struct conn *c)
{
	bool room = true;

	while (!c->close_after && !c->broken) {
		room = c->out.len - c->out_pos < REPLY_PAUSE;
		if (!room || proto_next(c) != PARSE_COMMAND)
			break;
		if (c->argc)
			command_run(c);
	}
	compact(c);
	return !room;
}
