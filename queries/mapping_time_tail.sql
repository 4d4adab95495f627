-- question: What share of maps and of unmaps takes at least a given time to be served?
-- param: per_octave = 4; points per doubling of the time
-- column: run; name of the run
-- column: site; map: from the request to having the mapping; unmap: from asking to undo it to being done
-- column: time_us (us); a time; of those that took none there is no point
-- column: at_least; operations that took at least so long
-- column: share_percent (%); their share of all operations; exact at each point
-- reads: operations
-- Times are counted in intervals of equal ratio, of which the least is the point.
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

octaves AS (
    SELECT
        run,
        site,
        CASE WHEN ns > 0 THEN CAST(floor(log2(ns) * $per_octave) AS INTEGER) END AS octave,
        count(*) AS n,
        min(ns) AS least
    FROM times
    GROUP BY ALL
),

summed AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY run, site ORDER BY octave DESC) AS at_least,
        sum(n) OVER (PARTITION BY run, site) AS total
    FROM octaves
)

SELECT
    run,
    site,
    least / 1e3 AS time_us,
    at_least,
    100.0 * at_least / total AS share_percent
FROM summed
WHERE octave IS NOT NULL
ORDER BY run, site, time_us
