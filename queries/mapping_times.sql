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
-- A quantile is the longest time of its cell, at most 0.3 % too long.
WITH summed AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY run, site ORDER BY most_ns) AS up_to,
        sum(n) OVER (PARTITION BY run, site) AS total
    FROM mapping_cells
)

SELECT
    run,
    site,
    sum(n) AS operations,
    sum(sum_ns) / sum(n) / 1e3 AS mean_us,
    min(most_ns) FILTER (WHERE up_to >= 0.5 * total) / 1e3 AS p50_us,
    min(most_ns) FILTER (WHERE up_to >= 0.99 * total) / 1e3 AS p99_us,
    min(most_ns) FILTER (WHERE up_to >= 0.999 * total) / 1e3 AS p999_us,
    max(most_ns) / 1e3 AS max_us
FROM summed
GROUP BY run, site
ORDER BY run, site
