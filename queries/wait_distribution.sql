-- question: How long do contended acquisitions wait for the lock?
-- column: run; name of the run
-- column: site; map or unmap
-- column: waits; contended acquisitions
-- column: mean_us (us); mean wait
-- column: p50_us (us); median wait
-- column: p90_us (us); 90th percentile
-- column: p99_us (us); 99th percentile
-- column: max_us (us); longest wait
-- reads: operations, relock
-- Quantiles are exact: the shortest wait that is at least as long as this share of all waits.
SELECT
    run,
    part AS site,
    n AS waits,
    mean / 1e3 AS mean_us,
    p50 / 1e3 AS p50_us,
    p90 / 1e3 AS p90_us,
    p99 / 1e3 AS p99_us,
    most / 1e3 AS max_us
FROM quantiles('wait_histogram')
ORDER BY run, site
