-- question: How long do contended acquisitions wait for the lock?
-- column: run; name of the run
-- column: site; map or unmap
-- column: waits; contended acquisitions
-- column: mean_us (us); mean wait
-- column: p50_us (us); half of the waits were no longer
-- column: p90_us (us); 90 % were no longer
-- column: p99_us (us); 99 % were no longer
-- column: max_us (us); longest wait
-- reads: operations, relock
-- Quantiles are exact: the shortest wait that at least this share of all waits does not exceed.
WITH histogram AS (
    SELECT
        run,
        site,
        wait_ns,
        count(*) AS waits
    FROM lock_waits
    GROUP BY run, site, wait_ns
),

cumulative AS (
    SELECT
        run,
        site,
        wait_ns,
        waits,
        sum(waits) OVER (PARTITION BY run, site ORDER BY wait_ns) AS up_to,
        sum(waits) OVER (PARTITION BY run, site) AS total
    FROM histogram
)

SELECT
    run,
    site,
    max(total) AS waits,
    sum(wait_ns * waits) / max(total) / 1e3 AS mean_us,
    min(wait_ns) FILTER (WHERE up_to >= 0.50 * total) / 1e3 AS p50_us,
    min(wait_ns) FILTER (WHERE up_to >= 0.90 * total) / 1e3 AS p90_us,
    min(wait_ns) FILTER (WHERE up_to >= 0.99 * total) / 1e3 AS p99_us,
    max(wait_ns) / 1e3 AS max_us
FROM cumulative
GROUP BY run, site
ORDER BY run, site
