-- view: histogram of the time from request to served of maps and unmaps, in 256 cells for each doubling
-- column: site string; map or unmap
-- column: cell int32; number of the cell: 256 x the binary logarithm of the time in ns; NULL: zero time
-- column: n int64; number of operations
-- column: sum_ns double (ns); sum of the times
-- column: least_ns int64 (ns); shortest time
-- column: most_ns int64 (ns); longest time
-- kept: a session makes it once
WITH times AS (
    SELECT run, 'map' AS site, mapped_ns - asked_ns AS ns FROM operations
    UNION ALL
    SELECT run, 'unmap', done_ns - unmap_asked_ns FROM operations WHERE done_ns IS NOT NULL
)
SELECT run, site, CASE WHEN ns > 0 THEN CAST(floor(256 * log2(ns)) AS INTEGER) END AS cell,
    count(*) AS n, CAST(sum(ns) AS DOUBLE) AS sum_ns, min(ns) AS least_ns, max(ns) AS most_ns
FROM times
GROUP BY ALL
