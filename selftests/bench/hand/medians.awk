# SPDX-License-Identifier: MIT
# Medians of lines of bench, metric, system, value, unit, sorted by all of these.
BEGIN { FS = OFS = "\t" }
function flush() { if (n) print key, v[int((n + 1) / 2)], unit; n = 0 }
{ k = $1 OFS $2 OFS $3; if (k != key) { flush(); key = k } v[++n] = $4; unit = $5 }
END { flush() }
