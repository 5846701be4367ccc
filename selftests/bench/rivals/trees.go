// SPDX-License-Identifier: MIT
// binary-trees, the same work as trees.c; argument: depth.

package main

import (
	"fmt"
	"os"
	"time"
)

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func main() {
	const least = 4
	most := argument(1, 20)
	start := time.Now()
	sum := grow(most + 1).count()
	keep := grow(most)

	for d := least; d <= most; d += 2 {
		for i := 0; i < 1<<(most-d+least); i++ {
			sum += grow(d).count()
		}
	}
	sum += keep.count()
	figure("wall", time.Since(start).Seconds(), "s")
	figureUsage()
	figureCollector()
	fmt.Fprintln(os.Stderr, sum, "nodes")
}
