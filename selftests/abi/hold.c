// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds an arena of so many blocks, all written, until its input ends; for the
 * shell tests.  hold BLOCKS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/hugespan.h>

static int die(const char *what)
{
	int err = errno;

	printf("%s: %s\n", what, strerror(err));
	return err;
}

int main(int argc, char **argv)
{
	unsigned long blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	struct hspan_arena_create create = { .size = blocks * HSPAN_BLOCK_SIZE };
	struct hspan_span span;
	struct hspan_span_get get = {
		.spans = (unsigned long)&span, .nr = 1,
		.span_class = HSPAN_CLASS_LARGE_NOSCAN,
		.npages = blocks * HSPAN_BLOCK_PAGES,
	};
	int dev = open("/dev/" HSPAN_DEVICE_NAME, O_RDWR), fd;
	char *p, c;

	if (dev < 0)
		return die("open");
	fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &create);
	if (fd < 0)
		return die("create");
	if (ioctl(fd, HSPAN_IOC_SPAN_GET, &get))
		return die("get");
	p = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return die("mmap");
	close(dev);
	close(fd);	/* the mapping keeps it */
	memset(p, 0x5a, create.size);
	puts("held");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		continue;
	return 0;
}
