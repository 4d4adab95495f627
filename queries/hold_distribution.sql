-- question: How long is the lock held?
-- column: run; name of the run
-- column: site; map or unmap
-- column: holds; acquisitions of the lock
-- column: mean_us (us); mean hold
-- column: p50_us (us); median hold
-- column: p90_us (us); 90th percentile
-- column: p99_us (us); 99th percentile
-- column: max_us (us); longest hold
-- reads: operations, relock
-- Quantiles are exact: the smallest hold that is at least as long as this share of all holds.
SELECT
    run,
    part AS site,
    n AS holds,
    mean / 1e3 AS mean_us,
    p50 / 1e3 AS p50_us,
    p90 / 1e3 AS p90_us,
    p99 / 1e3 AS p99_us,
    most / 1e3 AS max_us
FROM quantiles('hold_histogram')
ORDER BY run, site
