// SPDX-License-Identifier: MIT
// A cache under load, the same work as churn.c; arguments: entries, operations,
// threads.

package main

import (
	"sync"
	"time"
)

const buckets = 1 << 20 // of a microsecond each

type node struct {
	next       *node
	key, value uint64
}

type entry struct {
	head    *node
	payload *[128]byte
}

var table []*entry

func newEntry(key uint64) *entry {
	var head *node

	for i := uint64(0); i < 8; i++ {
		head = &node{head, key, i}
	}
	return &entry{head, new([128]byte)}
}

func readEntry(key uint64) (sum uint64) {
	for n := table[key].head; n != nil; n = n.next {
		sum += n.value
	}
	return sum
}

func run(index, operations int, histogram []uint32) (sum uint64) {
	s := uint64(index)*0x9E3779B97F4A7C15 + 1

	for i := 0; i < operations; i++ {
		start := time.Now()

		s ^= s << 13
		s ^= s >> 7
		s ^= s << 17
		key := s % uint64(len(table))
		if s&1 != 0 {
			sum += readEntry(key)
		} else {
			table[key] = newEntry(key)
		}
		us := time.Since(start).Microseconds()
		histogram[min(us, buckets-1)]++
	}
	return sum
}

func figureLatency(metric string, share float64, histograms [][]uint32, operations int) {
	want, seen := int(float64(operations)*share), 0

	for us := 0; us < buckets; us++ {
		for _, h := range histograms {
			seen += int(h[us])
		}
		if seen >= want {
			figure(metric, float64(us), "us")
			return
		}
	}
}

func main() {
	entries, operations, threads := argument(1, 1000000), argument(2, 8000000), argument(3, 2)
	histograms := make([][]uint32, threads)
	sums := make([]uint64, threads)
	var group sync.WaitGroup

	table = make([]*entry, entries)
	for i := range table {
		table[i] = newEntry(uint64(i))
	}
	start := time.Now()
	for t := range histograms {
		histograms[t] = make([]uint32, buckets)
		group.Add(1)
		go func() {
			defer group.Done()
			sums[t] = run(t, operations/threads, histograms[t])
		}()
	}
	group.Wait()
	figure("throughput", float64(operations)/time.Since(start).Seconds()/1e6, "M/s")
	figureLatency("p99.9", 0.999, histograms, operations)
	figureLatency("p99.99", 0.9999, histograms, operations)
	figureLatency("longest operation", 1, histograms, operations)
	figureUsage()
	figureCollector()
}
