-- question: How long is the lock held?
-- column: run; name of the run
-- column: site; map or unmap
-- column: holds; acquisitions of the lock
-- column: mean_us (us); mean hold
-- column: p50_us (us); half of the holds were no longer
-- column: p90_us (us); 90 % were no longer
-- column: p99_us (us); 99 % were no longer
-- column: max_us (us); longest hold
-- reads: operations, relock
-- Quantiles are exact: the smallest hold that at least this share of all holds does not exceed.
WITH histogram AS (
    SELECT
        run,
        site,
        hold_ns,
        count(*) AS holds
    FROM lock_holds
    GROUP BY run, site, hold_ns
),

cumulative AS (
    SELECT
        run,
        site,
        hold_ns,
        holds,
        sum(holds) OVER (PARTITION BY run, site ORDER BY hold_ns) AS up_to,
        sum(holds) OVER (PARTITION BY run, site) AS total
    FROM histogram
)

SELECT
    run,
    site,
    max(total) AS holds,
    sum(hold_ns * holds) / max(total) / 1e3 AS mean_us,
    min(hold_ns) FILTER (WHERE up_to >= 0.50 * total) / 1e3 AS p50_us,
    min(hold_ns) FILTER (WHERE up_to >= 0.90 * total) / 1e3 AS p90_us,
    min(hold_ns) FILTER (WHERE up_to >= 0.99 * total) / 1e3 AS p99_us,
    max(hold_ns) / 1e3 AS max_us
FROM cumulative
GROUP BY run, site
ORDER BY run, site
