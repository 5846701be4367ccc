# SPDX-License-Identifier: MIT
# From redis-benchmark's output: name, requests, requests/s, p50, p99, p99.9, max in ms.

/throughput summary:/ { rate = $3 }
/latency summary/ { getline; getline; p50 = $3; p99 = $5; max = $6 }
/% <= .* milliseconds/ && !tail { percent = $1 + 0; if (percent >= 99.9) tail = $3 }
/^Cumulative distribution/ { if (!tail) tail = max }
/[Ee]rror|WRONGTYPE|-ERR/ { bad = 1 }

END {
	if (bad || !rate)
		exit 1
	printf "@phase\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", name, n, rate, p50, p99, tail, max
}
