-- question: How is CPU time spent?
-- column: run; name of the run
-- column: category; what the CPUs did
-- column: share_percent (%); share of wall time x CPUs
-- column: cpu_seconds (s); CPU time, all CPUs together
-- reads: totals
SELECT
    run,
    category,
    100.0 * sum(ns) / nullif(sum(sum(ns)) OVER (PARTITION BY run), 0) AS share_percent,
    sum(ns) / 1e9 AS cpu_seconds
FROM cpu_time
GROUP BY run, category
ORDER BY run, category
