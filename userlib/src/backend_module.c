// SPDX-License-Identifier: MIT
/* The module backend: an arena of /dev/hugespan, by ioctl and mmap. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define DEVICE "/dev/" HSPAN_DEVICE_NAME

static struct {
	int fd;
	struct hs_space space;
} module = { .fd = -1 };

static int call(unsigned long request, void *arg)
{
	return ioctl(module.fd, request, arg) < 0 ? -errno : 0;
}

/* The device, if it speaks our ABI and has our size classes; or -errno. */
static int open_device(void)
{
	struct hspan_device_info info = { 0 };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, HSPAN_IOC_DEVICE_INFO, &info) < 0 ||
	    info.abi_version != HSPAN_ABI_VERSION ||
	    info.nr_span_classes != HSPAN_NR_SPAN_CLASSES) {
		close(fd);
		return -EPROTO;
	}
	return fd;
}

static int create_arena(size_t size)
{
	struct hspan_arena_create create = { .size = size, .fd_flags = O_CLOEXEC };
	int dev = open_device();
	int ret = 0;

	if (dev < 0)
		return dev;
	module.fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &create);
	if (module.fd < 0)
		ret = -errno;
	close(dev);
	return ret;
}

static void *map_region(size_t size, int prot, uint64_t offset)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, module.fd, (off_t)offset);

	return p == MAP_FAILED ? NULL : p;
}

/* Data must be aligned to a block, which mmap() alone does not promise. */
static char *map_data(size_t size)
{
	char *range = mmap(NULL, size + HSPAN_BLOCK_SIZE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *data, *p;
	size_t head;

	if (range == MAP_FAILED)
		return NULL;
	data = (char *)(((uintptr_t)range + HSPAN_BLOCK_SIZE - 1) & ~(HSPAN_BLOCK_SIZE - 1));
	head = (size_t)(data - range);
	p = mmap(data, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, module.fd,
		 HSPAN_OFF_DATA);
	if (head)
		munmap(range, head);
	if (HSPAN_BLOCK_SIZE - head)
		munmap(data + size, HSPAN_BLOCK_SIZE - head);
	if (p == MAP_FAILED)
		munmap(data, size);
	return p == MAP_FAILED ? NULL : p;
}

static size_t pages(void)
{
	return module.space.size >> HSPAN_PAGE_SHIFT;
}

static size_t bits_size(void)
{
	return pages() * HSPAN_BITS_STRIDE * HSPAN_BITS_PLANES;
}

static void module_close(void)
{
	struct hs_space *s = &module.space;

	hs_unmap(s->data, s->size);
	hs_unmap((void *)s->page_map, pages() * sizeof(uint32_t));
	hs_unmap(s->bits, bits_size());
	hs_unmap(s->notes, pages() * sizeof(uint32_t));
	hs_unmap((void *)s->control, (size_t)sysconf(_SC_PAGESIZE));
	if (module.fd >= 0)
		close(module.fd);
	memset(&module, 0, sizeof(module));
	module.fd = -1;
}

static int module_open(size_t arena_size, struct hs_space *space)
{
	struct hspan_arena_info info = { 0 };
	struct hs_space *s = &module.space;
	int ret = create_arena(arena_size);

	if (!ret)
		ret = call(HSPAN_IOC_ARENA_INFO, &info);
	if (ret) {
		module_close();
		return ret;
	}
	s->size = arena_size;
	s->limit = info.limit;
	s->data = map_data(arena_size);
	s->page_map = map_region(pages() * sizeof(uint32_t), PROT_READ, HSPAN_OFF_PAGE_MAP);
	s->bits = map_region(bits_size(), PROT_READ | PROT_WRITE, HSPAN_OFF_BITS);
	s->notes = map_region(pages() * sizeof(uint32_t), PROT_READ | PROT_WRITE, HSPAN_OFF_NOTES);
	s->control = map_region((size_t)sysconf(_SC_PAGESIZE), PROT_READ, HSPAN_OFF_CONTROL);
	if (!s->data || !s->page_map || !s->bits || !s->notes || !s->control) {
		module_close();
		return -ENOMEM;
	}
	*space = *s;
	return 0;
}

static int module_span_get(uint32_t span_class, uint32_t npages, uint32_t flags,
			   struct hspan_span *spans, uint32_t nr)
{
	struct hspan_span_get get = { .spans = (uintptr_t)spans,
				      .nr = nr,
				      .span_class = span_class,
				      .npages = npages,
				      .flags = flags };
	int ret = call(HSPAN_IOC_SPAN_GET, &get);

	return ret ? ret : (int)get.nr;
}

static int module_span_put(struct hspan_put *puts, uint32_t nr)
{
	struct hspan_span_put put = { .puts = (uintptr_t)puts, .nr = nr };
	int ret = call(HSPAN_IOC_SPAN_PUT, &put);

	return ret ? ret : (int)put.nr;
}

static int module_sweep_next(struct hspan_span *spans, uint32_t nr)
{
	struct hspan_sweep_next next = { .spans = (uintptr_t)spans, .nr = nr };
	int ret = call(HSPAN_IOC_SWEEP_NEXT, &next);

	return ret ? ret : (int)next.nr;
}

static int module_cycle(uint32_t *sweepgen)
{
	struct hspan_cycle cycle = { 0 };
	int ret = call(HSPAN_IOC_CYCLE, &cycle);

	*sweepgen = cycle.sweepgen;
	return ret;
}

static int64_t module_release(uint64_t max_blocks)
{
	struct hspan_release release = { .max = max_blocks };
	int ret = call(HSPAN_IOC_RELEASE, &release);

	return ret ? ret : (int64_t)release.released;
}

static int module_set_limit(uint64_t blocks)
{
	struct hspan_limit limit = { .limit = blocks };

	return call(HSPAN_IOC_LIMIT, &limit);
}

static int module_notice_fd(void)
{
	return module.fd;
}

static int module_stats(struct hspan_arena_stats *stats)
{
	return call(HSPAN_IOC_STATS, stats);
}

const struct hs_backend hs_backend_module = {
	.name = "module",
	.open = module_open,
	.close = module_close,
	.span_get = module_span_get,
	.span_put = module_span_put,
	.sweep_next = module_sweep_next,
	.cycle = module_cycle,
	.release = module_release,
	.set_limit = module_set_limit,
	.notice_fd = module_notice_fd,
	.stats = module_stats,
};
