// SPDX-License-Identifier: MIT
/*
 * Runs a command, with LD_PRELOAD if a library is given, and tells how long it
 * took and how much memory it had at most.
 *
 *	measure LIBRARY|- COMMAND [ARGUMENT...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage ru;
	double start;
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	start = now();
	pid = fork();
	if (!pid) {
		if (strcmp(argv[1], "-"))
			setenv("LD_PRELOAD", argv[1], 1);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &ru) < 0)
		return 1;
	printf("time\t%.3f\ts\n", now() - start);
	printf("cpu\t%.3f\ts\n", seconds(&ru.ru_utime) + seconds(&ru.ru_stime));
	printf("peak\t%.2f\tMiB\n", (double)ru.ru_maxrss / 1024);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
