-- question: How long does it take from a request until it is served?
-- column: run; name of the run
-- column: site; map: from the request to having the mapping; unmap: from asking to undo it to being done
-- column: operations; how many
-- column: mean_us (us); mean
-- column: p50_us (us); half took no longer
-- column: p99_us (us); 99 % took no longer
-- column: p999_us (us); 99.9 % took no longer
-- column: max_us (us); the longest
-- reads: operations
-- Times are counted in 256 cells for each doubling: a quantile is its cell's longest, at most 0.3 % more.
WITH times AS (
    SELECT
        run,
        'map' AS site,
        mapped_ns - asked_ns AS ns
    FROM operations
    UNION ALL
    SELECT
        run,
        'unmap' AS site,
        done_ns - unmap_asked_ns AS ns
    FROM operations
),

cells AS (
    SELECT
        run,
        site,
        count(*) AS n,
        sum(CAST(ns AS DOUBLE)) AS sum_ns,
        max(ns) AS most
    FROM times
    GROUP BY run, site, CASE WHEN ns > 0 THEN CAST(floor(256 * log2(ns)) AS INTEGER) ELSE -1 END
),

summed AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY run, site ORDER BY most) AS up_to,
        sum(n) OVER (PARTITION BY run, site) AS total
    FROM cells
)

SELECT
    run,
    site,
    sum(n) AS operations,
    sum(sum_ns) / sum(n) / 1e3 AS mean_us,
    min(most) FILTER (WHERE up_to >= 0.5 * total) / 1e3 AS p50_us,
    min(most) FILTER (WHERE up_to >= 0.99 * total) / 1e3 AS p99_us,
    min(most) FILTER (WHERE up_to >= 0.999 * total) / 1e3 AS p999_us,
    max(most) / 1e3 AS max_us
FROM summed
GROUP BY run, site
ORDER BY run, site
