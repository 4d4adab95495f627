-- question: What share of acquisitions waits at least a given time?
-- param: per_octave = 4; points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: wait_us (us); a wait
-- column: waits_at_least; acquisitions that waited at least as long
-- column: share_percent (%); their share of all acquisitions of the site; exact at each point
-- reads: operations, relock
WITH acquisitions AS (
    SELECT
        run,
        site,
        count(*) AS total
    FROM lock_holds
    GROUP BY run, site
),

histogram AS (
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
        floor(log2(wait_ns) * $per_octave) AS bucket,
        sum(waits) OVER (PARTITION BY run, site ORDER BY wait_ns DESC) AS waits_at_least
    FROM histogram
)

-- Of each bucket its first point is kept, and of the whole curve its last, so that no tail is cut.
SELECT
    c.run,
    c.site,
    c.wait_ns / 1e3 AS wait_us,
    c.waits_at_least,
    100.0 * c.waits_at_least / a.total AS share_percent
FROM cumulative AS c
INNER JOIN acquisitions AS a ON c.run = a.run AND c.site = a.site
QUALIFY
    row_number() OVER (PARTITION BY c.run, c.site, c.bucket ORDER BY c.wait_ns) = 1
    OR row_number() OVER (PARTITION BY c.run, c.site ORDER BY c.wait_ns DESC) = 1
ORDER BY c.run, c.site, wait_us
