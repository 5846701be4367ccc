// SPDX-License-Identifier: GPL-2.0-only
/*
 * From an ioctl number to its handler: one table, one way in, one way out.
 *
 * The size of the caller's struct is in the command.  A shorter one (down to
 * the first version's size) is extended by zeros, a longer one accepted if
 * what we do not know is zero.  A struct that only goes out is cut or
 * zero-extended to the caller's size.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "hugespan.h"
#include "trace.h"

#define HSPAN_ON_DEVICE		BIT(0)
#define HSPAN_ON_ARENA		BIT(1)
#define HSPAN_ON_SNAPSHOT	BIT(2)

/**
 * struct hspan_ioctl - one command
 * @handler: does it
 * @cmd: its number as in the header, for direction and size
 * @min_size: bytes of the struct's first version
 * @flags: HSPAN_ON_*
 */
struct hspan_ioctl {
	long (*handler)(struct hspan_call *call);
	unsigned int cmd;
	unsigned int min_size;
	unsigned int flags;
};

/* A command whose struct has not grown since the first version. */
#define HSPAN_IOCTL(_cmd, _handler, _flags)			\
	[_IOC_NR(_cmd)] = {					\
		.handler = _handler,				\
		.cmd = _cmd,					\
		.min_size = _IOC_SIZE(_cmd),			\
		.flags = _flags,				\
	}

/* One whose struct ended after @_last in the first version. */
#define HSPAN_IOCTL_GROWN(_cmd, _handler, _flags, _struct, _last)	\
	[_IOC_NR(_cmd)] = {					\
		.handler = _handler,				\
		.cmd = _cmd,					\
		.min_size = offsetofend(struct _struct, _last),	\
		.flags = _flags,				\
	}

static const struct hspan_ioctl hspan_ioctls[] = {
	HSPAN_IOCTL(HSPAN_IOC_DEVICE_INFO, hspan_cmd_device_info,
		    HSPAN_ON_DEVICE | HSPAN_ON_ARENA),
	HSPAN_IOCTL_GROWN(HSPAN_IOC_ARENA_CREATE, hspan_cmd_arena_create,
			  HSPAN_ON_DEVICE, hspan_arena_create, fd_flags),
	HSPAN_IOCTL(HSPAN_IOC_ARENA_INFO, hspan_cmd_arena_info, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_ARENA_OPEN, hspan_cmd_arena_open, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_SPAN_GET, hspan_cmd_span_get, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_SPAN_PUT, hspan_cmd_span_put, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_SWEEP_NEXT, hspan_cmd_sweep_next, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_CYCLE, hspan_cmd_cycle, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_RELEASE, hspan_cmd_release, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_LIMIT, hspan_cmd_limit, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_STATS, hspan_cmd_stats, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_ARENA_FIND, hspan_cmd_arena_find,
		    HSPAN_ON_DEVICE),
	HSPAN_IOCTL(HSPAN_IOC_SNAPSHOT, hspan_cmd_snapshot, HSPAN_ON_ARENA),
	HSPAN_IOCTL(HSPAN_IOC_SNAPSHOT_INFO, hspan_cmd_snapshot_info,
		    HSPAN_ON_SNAPSHOT),
};

/**
 * hspan_call_read() - copy the caller's struct in
 * @call: uarg, usize and ksize are set
 *
 * Return: 0, -EFAULT, or -E2BIG for bytes we do not know that are not zero.
 */
int hspan_call_read(struct hspan_call *call)
{
	return copy_struct_from_user(&call->arg, call->ksize, call->uarg,
				     call->usize);
}

/**
 * hspan_call_write() - copy the outcome to the caller's struct, once
 * @call: the call
 *
 * Return: 0 or -EFAULT.
 */
int hspan_call_write(struct hspan_call *call)
{
	size_t size = min(call->ksize, call->usize);

	if (call->written)
		return 0;
	call->written = true;
	if (copy_to_user(call->uarg, &call->arg, size))
		return -EFAULT;
	if (call->usize > size &&
	    clear_user(call->uarg + size, call->usize - size))
		return -EFAULT;
	return 0;
}

static const struct hspan_ioctl *hspan_ioctl_find(unsigned int cmd,
						  unsigned int where)
{
	unsigned int nr = _IOC_NR(cmd);
	const struct hspan_ioctl *desc;

	if (_IOC_TYPE(cmd) != HSPAN_IOC_MAGIC || nr >= ARRAY_SIZE(hspan_ioctls))
		return NULL;
	desc = &hspan_ioctls[array_index_nospec(nr, ARRAY_SIZE(hspan_ioctls))];
	if (!desc->handler || !(desc->flags & where) ||
	    _IOC_DIR(cmd) != _IOC_DIR(desc->cmd))
		return NULL;
	return desc;
}

static long hspan_ioctl_do(struct hspan_client *client,
			   struct hspan_snapshot *snap, unsigned int where,
			   unsigned int cmd, unsigned long arg)
{
	const struct hspan_ioctl *desc = hspan_ioctl_find(cmd, where);
	struct hspan_call call __uninitialized;
	long ret;
	int err;

	if (!desc)
		return -ENOTTY;
	call.client = client;
	call.snap = snap;
	call.uarg = (void __user *)arg;
	call.usize = _IOC_SIZE(cmd);
	call.ksize = _IOC_SIZE(desc->cmd);
	call.written = !(_IOC_DIR(cmd) & _IOC_READ);
	if (call.usize < desc->min_size)
		return -EINVAL;
	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		err = hspan_call_read(&call);
		if (err)
			return err;
	} else {
		memset(&call.arg, 0, call.ksize);
	}

	ret = desc->handler(&call);
	if (ret >= 0) {
		err = hspan_call_write(&call);
		if (err)
			return err;
	}
	return ret;
}

/**
 * hspan_ioctl_refused() - a call has failed
 * @client: who made it; NULL on the device
 * @cmd: which
 * @err: what it returns
 */
void hspan_ioctl_refused(const struct hspan_client *client, unsigned int cmd,
			 long err)
{
	trace_hugespan_ioctl_error(client ? client->arena->id : 0,
				   client ? client->id : 0, _IOC_NR(cmd), err);
}

/* What every call returns, after it is known whether it was refused. */
static long hspan_ioctl_end(struct hspan_client *client, unsigned int cmd,
			    long ret)
{
	/* Commands of others, such as TCGETS, are no news. */
	if (unlikely(ret < 0 && ret != -ENOTTY))
		hspan_ioctl_refused(client, cmd, ret);
	return ret;
}

long hspan_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return hspan_ioctl_end(NULL, cmd,
			       hspan_ioctl_do(NULL, NULL, HSPAN_ON_DEVICE, cmd,
					      arg));
}

long hspan_snapshot_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct hspan_snapshot *snap = file->private_data;

	return hspan_ioctl_end(NULL, cmd,
			       hspan_ioctl_do(NULL, snap, HSPAN_ON_SNAPSHOT,
					      cmd, arg));
}

static noinline long hspan_arena_ioctl_any(struct hspan_client *client,
					   unsigned int cmd, unsigned long arg)
{
	return hspan_ioctl_end(client, cmd,
			       hspan_ioctl_do(client, NULL, HSPAN_ON_ARENA, cmd,
					      arg));
}

/*
 * The two that clients make all the time take a shorter way: they say
 * themselves when they refuse, so nothing is left to do here after them.
 */
long hspan_arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hspan_client *client = file->private_data;

	if (cmd == HSPAN_IOC_SPAN_GET)
		return hspan_span_get(client, (void __user *)arg);
	if (cmd == HSPAN_IOC_SPAN_PUT)
		return hspan_span_put(client, (void __user *)arg);
	return hspan_arena_ioctl_any(client, cmd, arg);
}
