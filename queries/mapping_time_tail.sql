-- question: What fraction of maps and unmaps takes at least a given time?
-- param: per_octave = 4; number of points per doubling of the time, at most 256
-- column: run; name of the run
-- column: site; map: time from request to mapped; unmap: time from unmap request to done
-- column: time_us (us); a time greater than 0
-- column: at_least; number of operations that took at least this long
-- column: share_percent (%); these operations as a share of all; exact at each point
-- reads: operations
WITH octaves AS (
    SELECT
        run,
        site,
        CAST(floor(cell * $per_octave / 256) AS INTEGER) AS octave,
        sum(n) AS n,
        min(least_ns) AS least_ns
    FROM mapping_cells
    GROUP BY ALL
),

summed AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY run, site ORDER BY least_ns DESC) AS at_least,
        sum(n) OVER (PARTITION BY run, site) AS total
    FROM octaves
)

SELECT
    run,
    site,
    least_ns / 1e3 AS time_us,
    at_least,
    100.0 * at_least / total AS share_percent
FROM summed
WHERE octave IS NOT NULL
ORDER BY run, site, time_us
