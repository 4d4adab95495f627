-- question: How long do maps and unmaps take?
-- column: run; name of the run
-- column: site; map: time from request to mapped; unmap: time from unmap request to done
-- column: operations; number of operations
-- column: mean_us (us); mean
-- column: p50_us (us); median
-- column: p99_us (us); 99th percentile
-- column: p999_us (us); 99.9th percentile
-- column: max_us (us); longest
-- reads: operations
-- Quantiles come from a histogram and are at most 0.3 % too high.
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
