# SPDX-License-Identifier: MIT
# From medians: geometric means of time, CPU time and peak memory as multiples of
# mimalloc's over the programs of hand-freed memory, and the worst of them.
BEGIN { FS = OFS = "\t" }
/^hand-/ { value[$1, $2, $3] = $4; bench[$1]; metrics[$2]; system_[$3] }
END {
	for (s in system_)
		for (metric in metrics) {
			sum = n = worst = 0
			for (b in bench) {
				if (!((b, metric, s) in value) || !((b, metric, "mimalloc") in value))
					continue
				r = value[b, metric, s] / value[b, metric, "mimalloc"]
				sum += log(r)
				n++
				if (r > worst)
					worst = r
			}
			if (n) {
				printf "hand\t%s-geomean\t%s\t%.3f\tx\n", metric, s, exp(sum / n)
				printf "hand\t%s-worst\t%s\t%.3f\tx\n", metric, s, worst
			}
		}
}
