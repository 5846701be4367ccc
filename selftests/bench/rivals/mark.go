// SPDX-License-Identifier: MIT
// Time to mark a live heap, the shapes of mark.c; arguments: shape, nodes.

package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

type node struct {
	left, right *node
	a           uint64
	b           *[64]byte
}

type pair struct{ left, right *pair }

func shuffle(order []*node) {
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
}

// Nodes in no order, linked as a tree or in a row.
func shuffled(n int, list, payload bool) any {
	order := make([]*node, n)

	for i := range order {
		order[i] = &node{}
	}
	shuffle(order)
	if payload {
		for i := range order {
			order[i].b = new([64]byte)
		}
		shuffle(order)
	}
	for i := range order {
		switch {
		case list && i+1 < n:
			order[i].left = order[i+1]
		case !list && 2*i+2 < n:
			order[i].right = order[2*i+2]
			fallthrough
		case !list && 2*i+1 < n:
			order[i].left = order[2*i+1]
		}
	}
	return order[0]
}

func dense(depth int) *pair {
	if depth == 0 {
		return &pair{}
	}
	return &pair{dense(depth - 1), dense(depth - 1)}
}

// The root, and the number of objects.
func build(shape string, n int) (any, int) {
	switch shape {
	case "tree":
		return shuffled(n, false, false), n
	case "list":
		return shuffled(n, true, false), n
	case "noscan":
		return shuffled(n, false, true), 2 * n
	case "dense":
		depth := 0
		for 1<<(depth+2) <= n+1 {
			depth++
		}
		return dense(depth), 1<<(depth+1) - 1
	}
	fmt.Fprintln(os.Stderr, "mark: no such shape:", shape)
	os.Exit(2)
	return nil, 0
}

func main() {
	shape := "tree"
	if len(os.Args) > 1 {
		shape = os.Args[1]
	}
	debug.SetGCPercent(-1)
	root, n := build(shape, argument(2, 16<<20))
	runtime.GC()
	best := time.Duration(1 << 62)
	for range 3 {
		start := time.Now()
		runtime.GC()
		best = min(best, time.Since(start))
	}
	runtime.KeepAlive(root)
	figure("mark", float64(best.Nanoseconds())/float64(n), "ns/object")
	figureUsage()
}
