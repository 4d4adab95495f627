-- question: How is the time of each CPU spent?
-- column: run; name of the run
-- column: cpu; CPU
-- column: category; what the CPU did
-- column: share_percent (%); share of the wall time
-- column: cpu_ms (ms); CPU time
-- reads: totals
SELECT
    run,
    cpu,
    category,
    100.0 * ns / nullif(sum(ns) OVER (PARTITION BY run, cpu), 0) AS share_percent,
    ns / 1e6 AS cpu_ms
FROM cpu_time
ORDER BY run, cpu, category
