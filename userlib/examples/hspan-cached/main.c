// SPDX-License-Identifier: MIT
/* hspan-cached: a cache server with its data in a collected heap. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

struct server server = {
	.opt = { .port = 6379, .bind = "127.0.0.1" },
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "bind", required_argument, NULL, 'b' },
	{ "threads", required_argument, NULL, 't' },
	{ "unix", required_argument, NULL, 'u' },
	{ "backend", required_argument, NULL, 'B' },
	{ "gc-percent", required_argument, NULL, 'g' },
	{ "memory-limit", required_argument, NULL, 'm' },
	{ "trace", no_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
"usage: hspan-cached [options]\n"
"  --port N            TCP port, 0 = none (6379)\n"
"  --bind ADDRESS      IPv4 address (127.0.0.1)\n"
"  --unix PATH         listen on this socket as well\n"
"  --threads N         worker threads (one a CPU)\n"
"  --backend NAME      module, embedded or auto (auto)\n"
"  --gc-percent N      collect when the heap has grown by this much (100)\n"
"  --memory-limit N    most bytes of heap, with K, M or G (none)\n"
"  --trace             a line on stderr for each collection\n";

int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

int64_t now_ms(void)
{
	return now_us() / 1000;
}

/* Options ---------------------------------------------------------------------- */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "hspan-cached: %s: %s\n", what, why);
	exit(1);
}

static long number(const char *name, const char *s, long min, long max)
{
	char *end;
	long v = strtol(s, &end, 10);

	if (end == s || *end || v < min || v > max)
		die(name, "not a number that makes sense here");
	return v;
}

static size_t bytes_option(const char *s)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;
	size_t v = strtoull(s, &end, 10);

	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (end == s || (*end && (!unit || end[1])))
		die("--memory-limit", "not a number of bytes");
	return unit ? v << (10 * (unit - units + 1)) : v;
}

static enum hspan_backend backend_option(const char *s)
{
	if (!strcmp(s, "module"))
		return HSPAN_BACKEND_MODULE;
	if (!strcmp(s, "embedded"))
		return HSPAN_BACKEND_EMBEDDED;
	if (strcmp(s, "auto"))
		die("--backend", "neither module nor embedded nor auto");
	return HSPAN_BACKEND_AUTO;
}

static void set_option(int opt, struct hspan_options *heap)
{
	switch (opt) {
	case 'p':
		server.opt.port = number("--port", optarg, 0, 65535);
		break;
	case 'b':
		server.opt.bind = optarg;
		break;
	case 't':
		server.opt.threads = number("--threads", optarg, 1, 64);
		break;
	case 'u':
		server.opt.unix_path = optarg;
		break;
	case 'B':
		heap->backend = backend_option(optarg);
		break;
	case 'g':
		heap->gc_percent = number("--gc-percent", optarg, -1, 1000000);
		break;
	case 'm':
		heap->memory_limit = bytes_option(optarg);
		break;
	case 'T':
		heap->trace |= HSPAN_TRACE_GC;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static void parse_options(int argc, char **argv, struct hspan_options *heap)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int opt;

	server.opt.threads = cpus < 1 ? 1 : cpus > 64 ? 64 : cpus;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(opt, heap);
	if (optind < argc || (!server.opt.port && !server.opt.unix_path)) {
		fputs(usage, stderr);
		exit(2);
	}
}

/* Starting ----------------------------------------------------------------------- */

static void on_signal(int sig)
{
	(void)sig;
	net_stop();
}

static void signals_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* as many files as clients, or as many clients as files */
static void clients_init(void)
{
	struct rlimit r;
	rlim_t want = CLIENTS_MAX + 64;

	server.clients_max = CLIENTS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= want)
		return;
	r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < want)
		server.clients_max = r.rlim_cur > 96 ? r.rlim_cur - 64 : 32;
}

static void heap_init(const struct hspan_options *heap)
{
	int err = hspan_init(heap);

	if (err)
		die("cannot make the heap", strerror(-err));
	if (object_init())
		die("cannot describe the types", strerror(errno));
	err = keyspace_init();
	if (err)
		die("cannot add the roots", strerror(-err));
}

static void print_ready(void)
{
	printf("hspan-cached ready:");
	if (server.opt.port)
		printf(" port %d,", server.opt.port);
	if (server.opt.unix_path)
		printf(" socket %s,", server.opt.unix_path);
	printf(" backend %s, threads %d, pid %d\n", hspan_backend_name(),
	       server.opt.threads, (int)getpid());
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct hspan_options heap = HSPAN_OPTIONS_INIT;
	int err;

	parse_options(argc, argv, &heap);
	hash_seed();
	commands_init();
	clients_init();
	server.started_ms = now_ms();
	heap_init(&heap);
	err = net_listen(&server.opt);
	if (err)
		die("cannot listen", strerror(-err));
	err = net_init();
	if (err)
		die("cannot make the workers", strerror(-err));
	signals_init();
	print_ready();
	err = net_run();
	keyspace_flush();
	hspan_root_remove(shard_roots);
	hspan_shutdown();
	return err ? 1 : 0;
}
