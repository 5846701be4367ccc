// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas opened by name: who finds which, under what permissions, and at the
 * same address.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "abi.h"

#define ALICE	1001
#define BOB	1002

static int create(const char *name, unsigned int mode, unsigned long base)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * HSPAN_BLOCK_SIZE,
		.base = base,
		.fd_flags = O_CLOEXEC,
		.mode = mode,
	};
	int dev = abi_device(), fd, err;

	memcpy(args.name, name, strlen(name));
	fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	err = errno;
	close(dev);
	errno = err;
	return fd;
}

static int find_on(int dev, const char *name)
{
	struct hspan_arena_find args = { .fd_flags = O_CLOEXEC };

	memcpy(args.name, name, strlen(name));
	return ioctl(dev, HSPAN_IOC_ARENA_FIND, &args);
}

static int find(const char *name)
{
	int dev = abi_device(), fd = find_on(dev, name), err = errno;

	close(dev);
	errno = err;
	return fd;
}

/* errno of a find by that user, who gets the device opened; 0 if found. */
static int find_as(unsigned int id, unsigned int group, const char *name)
{
	int dev = abi_device(), status;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(group ? 1 : 0, &group))
			_exit(99);
		if (setresgid(id, id, id) || setresuid(id, id, id))
			_exit(98);
		_exit(find_on(dev, name) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	close(dev);
	return WEXITSTATUS(status);
}

static void found_is_another_client(void **state)
{
	int one = create("heap", 0600, 0), two = find("heap");
	struct hspan_arena_info a, b;

	(void)state;
	assert_true(one >= 0 && two >= 0);
	assert_int_equal(ioctl(one, HSPAN_IOC_ARENA_INFO, &a), 0);
	assert_int_equal(ioctl(two, HSPAN_IOC_ARENA_INFO, &b), 0);
	assert_int_equal(a.id, b.id);
	assert_int_not_equal(a.client, b.client);
	assert_int_equal(fcntl(two, F_GETFD), FD_CLOEXEC);
	assert_int_equal(abi_stats(one).clients, 2);
	close(one);
	close(two);
}

static void a_name_lives_as_long_as_its_arena(void **state)
{
	int fd, second;
	char *p;

	(void)state;
	assert_errno(find("heap"), ENOENT);
	fd = create("heap", 0600, 0);
	assert_true(fd >= 0);
	assert_errno(create("heap", 0600, 0), EEXIST);
	assert_errno(find("hea"), ENOENT);
	assert_errno(find("heap2"), ENOENT);
	p = abi_map(fd, HSPAN_OFF_CONTROL, 4096, PROT_READ);
	close(fd);
	second = find("heap");	/* the mapping keeps it */
	assert_true(second >= 0);
	munmap(p, 4096);
	assert_errno(create("heap", 0600, 0), EEXIST);
	close(second);
	assert_errno(find("heap"), ENOENT);
	fd = create("heap", 0600, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
}

static void names_refused(void **state)
{
	static const char * const bad[] = {
		"", "a/b", "a b", "a\n", "\xc3\xa4", "\x7f",
	};
	struct hspan_arena_find args = { .name = "heap" };
	struct hspan_arena_create long_name = { .size = HSPAN_BLOCK_SIZE };
	int dev = abi_device(), fd = create("heap", 0600, 0);
	char most[HSPAN_NAME_SIZE] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_errno(find_on(dev, bad[i]), EINVAL);
	memset(args.name, 'x', sizeof(args.name));
	memset(long_name.name, 'x', sizeof(long_name.name));
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_FIND, &args), ENAMETOOLONG);
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_CREATE, &long_name),
		     ENAMETOOLONG);
	strcpy(args.name, "heap");
	args.name[6] = 'x';	/* after the end */
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_FIND, &args), EINVAL);
	args = (struct hspan_arena_find){ .name = "heap", .flags = 1 };
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_FIND, &args), EINVAL);
	args = (struct hspan_arena_find){ .name = "heap", .fd_flags = 1 };
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_FIND, &args), EINVAL);
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_FIND, NULL), EFAULT);
	assert_int_equal(abi_stats(fd).clients, 1);
	close(fd);
	memset(most, '~', sizeof(most) - 1);
	fd = create(most, 0600, 0);
	assert_true(fd >= 0);
	close(find(most));
	close(fd);
	close(dev);
	(void)state;
}

/* Programs built before there were names say nothing about them. */
static void first_version_of_the_struct(void **state)
{
	struct hspan_arena_create args = {
		.size = HSPAN_BLOCK_SIZE, .name = "heap", .mode = 0666,
	};
	unsigned int old = _IOC(_IOC_WRITE, HSPAN_IOC_MAGIC, 0x01, 32);
	int dev = abi_device(), fd = ioctl(dev, old, &args);

	assert_true(fd >= 0);
	assert_errno(find("heap"), ENOENT);
	close(fd);
	close(dev);
	(void)state;
}

/* Owner, group and others, as for a file; both reading and writing. */
static void permissions(void **state)
{
	static const struct {
		unsigned int mode;
		int alice, bobs_group, bob;
	} cases[] = {
		{ 0600, 0, EACCES, EACCES },
		{ 0660, 0, 0, EACCES },
		{ 0666, 0, 0, 0 },
		{ 0606, 0, EACCES, 0 },
		{ 0400, EACCES, EACCES, EACCES },
		{ 0200, EACCES, EACCES, EACCES },
		{ 0644, 0, EACCES, EACCES },
		{ 0066, EACCES, 0, 0 },
		{ 0000, EACCES, EACCES, EACCES },
	};
	unsigned int i;
	struct stat st;
	int fd, up[2], status;
	pid_t pid;
	char c;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(pipe(up), 0);
		pid = fork();
		if (!pid) {
			/* Alice, with what she inherits from us. */
			int dev = abi_device();
			struct hspan_arena_create args = {
				.size = HSPAN_BLOCK_SIZE, .name = "alice's",
				.mode = cases[i].mode,
			};

			abi_become(ALICE);
			fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
			close(up[1]);
			_exit(fd < 0 || read(up[0], &c, 1) < 0);
		}
		while ((fd = find("alice's")) < 0)	/* root may always */
			assert_int_equal(errno, ENOENT);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_uid, ALICE);
		assert_int_equal(st.st_gid, ALICE);
		assert_int_equal(st.st_mode & 07777, cases[i].mode);
		assert_int_equal(find_as(ALICE, 0, "alice's"), cases[i].alice);
		assert_int_equal(find_as(BOB, ALICE, "alice's"),
				 cases[i].bobs_group);
		assert_int_equal(find_as(BOB, 0, "alice's"), cases[i].bob);
		close(up[0]);
		close(up[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(fd);
	}
}

/* Nothing else leads from a name, a number or a link to the arena. */
static void no_way_around(void **state)
{
	int fd = create("heap", 0600, 0);
	char path[64];

	(void)state;
	assert_errno(fchmod(fd, 0666), EOPNOTSUPP);
	assert_errno(fchown(fd, BOB, BOB), EOPNOTSUPP);
	assert_int_equal(ftruncate(fd, 0), -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_errno(open(path, O_RDWR), ENXIO);
	assert_errno(open(path, O_RDONLY), ENXIO);
	close(fd);
}

/* A container with its own user namespace has its own names. */
static void namespaces_have_their_own(void **state)
{
	int fd = create("heap", 0666, 0), dev = abi_device(), status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct hspan_arena_create args = {
			.size = HSPAN_BLOCK_SIZE, .name = "heap", .mode = 0600,
		};

		if (unshare(CLONE_NEWUSER))
			_exit(errno == ENOSYS || errno == EINVAL ? 77 : 1);
		if (find_on(dev, "heap") >= 0 || errno != ENOENT)
			_exit(2);
		if (ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args) < 0)
			_exit(3);
		if (find_on(dev, "heap") < 0)
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	close(dev);
	close(fd);
	if (WEXITSTATUS(status) == 77)
		print_message("# no user namespaces here\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

/* A node of a list whose pointers mean the same in every process. */
struct node {
	struct node *next;
	unsigned long value;
};

/* Our own part of it: walk what is there, and add one in front. */
static void attach_and_add(const char *name, struct node **head)
{
	struct hspan_arena_info info;
	struct hspan_span span;
	struct node *node;
	unsigned long nr, n;
	int fd = find(name);
	void *p;

	if (fd < 0 || ioctl(fd, HSPAN_IOC_ARENA_INFO, &info))
		_exit(1);
	p = mmap((void *)info.base, info.size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, HSPAN_OFF_DATA);
	if (p != (void *)info.base)
		_exit(2);
	if (abi_get(fd, CLASS_32, 0, &span, 1) != 1)
		_exit(3);
	n = nr = *head ? (*head)->value + 1 : 0;
	for (node = *head; node; node = node->next)
		if (node->value != --n)
			_exit(4);
	if (n)
		_exit(5);
	node = (void *)((char *)p + span.page * HSPAN_PAGE_SIZE);
	node->value = nr;
	node->next = *head;
	*head = node;
	_exit(0);
}

static void same_address_in_each(void **state)
{
	const unsigned long base = 0x600000000000UL;
	struct node **head, *node;
	struct hspan_span span;
	unsigned int i;
	int fd, status;
	char *p;

	(void)state;
	fd = create("shared-heap", 0600, base);
	assert_true(fd >= 0);
	abi_get_all(fd, CLASS_32, 0, &span, 1);
	for (i = 0; i < 3; i++) {
		pid_t pid = fork();

		/* The head is the first word of the first span. */
		if (!pid)
			attach_and_add("shared-heap", (struct node **)
				       (base + span.page * HSPAN_PAGE_SIZE));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	p = mmap((void *)base, ABI_BLOCKS * HSPAN_BLOCK_SIZE,
		 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		 HSPAN_OFF_DATA);
	assert_ptr_equal(p, (void *)base);
	head = (void *)(p + span.page * HSPAN_PAGE_SIZE);
	for (node = *head; node; node = node->next)
		assert_int_equal(node->value, --i);
	assert_int_equal(i, 0);

	/* The range is taken: said so, and what is there stays. */
	assert_ptr_equal(mmap((void *)base, HSPAN_BLOCK_SIZE, PROT_READ,
			      MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
			      HSPAN_OFF_DATA), MAP_FAILED);
	assert_int_equal(errno, EEXIST);
	assert_non_null(*head);
	munmap(p, ABI_BLOCKS * HSPAN_BLOCK_SIZE);
	close(fd);
}

/* Several may try to be the first: one makes it, the others find it. */
static void one_of_many_creates(void **state)
{
	int status, round, i, made;
	pid_t pids[6];

	(void)state;
	for (round = 0; round < 20; round++) {
		int go[2], up[2];
		char c;

		assert_int_equal(pipe(go), 0);
		assert_int_equal(pipe(up), 0);
		for (i = 0; i < (int)ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			if (pids[i])
				continue;
			close(go[1]);
			if (read(go[0], &c, 1) < 0)	/* all at once */
				_exit(2);
			c = create("race", 0600, 0) >= 0;
			if (!c && (errno != EEXIST || find("race") < 0))
				_exit(3);
			close(go[0]);
			if (write(up[1], &c, 1) != 1)
				_exit(4);
			pause();
			_exit(5);
		}
		close(go[0]);
		close(go[1]);
		for (made = i = 0; i < (int)ARRAY_SIZE(pids); i++) {
			assert_int_equal(read(up[0], &c, 1), 1);
			made += c;
		}
		assert_int_equal(made, 1);
		for (i = 0; i < (int)ARRAY_SIZE(pids); i++) {
			kill(pids[i], SIGTERM);
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFSIGNALED(status));
		}
		close(up[0]);
		close(up[1]);
		assert_errno(find("race"), ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_is_another_client),
		cmocka_unit_test(a_name_lives_as_long_as_its_arena),
		cmocka_unit_test(names_refused),
		cmocka_unit_test(first_version_of_the_struct),
		cmocka_unit_test(permissions),
		cmocka_unit_test(no_way_around),
		cmocka_unit_test(namespaces_have_their_own),
		cmocka_unit_test(same_address_in_each),
		cmocka_unit_test(one_of_many_creates),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, abi_baseline, abi_baseline);
}
