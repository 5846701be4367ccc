// SPDX-License-Identifier: MIT
// Lines of figures in the form of mem.h: metric, value, unit.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func figure(metric string, value float64, unit string) {
	fmt.Printf("%s\t%.6g\t%s\n", metric, value, unit)
}

func figureUsage() {
	var u syscall.Rusage

	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	figure("cpu", float64(u.Utime.Nano()+u.Stime.Nano())/1e9, "s")
	figure("peak", float64(u.Maxrss)/1024, "MiB")
}

// The longest of the last 256 stops; no benchmark here has more cycles that count.
func figureCollector() {
	var m runtime.MemStats
	var longest uint64

	runtime.ReadMemStats(&m)
	for _, ns := range m.PauseNs {
		longest = max(longest, ns)
	}
	figure("collections", float64(m.NumGC), "")
	figure("longest stop", float64(longest)/1e3, "us")
}

// The command line's argument i, or what stands for it.
func argument(i, otherwise int) int {
	if i >= len(os.Args) {
		return otherwise
	}
	n, err := strconv.Atoi(os.Args[i])
	if err != nil || n < 1 {
		fmt.Fprintf(os.Stderr, "%s: not a number: %s\n", os.Args[0], os.Args[i])
		os.Exit(2)
	}
	return n
}
