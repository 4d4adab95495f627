-- question: What share of holds lasts at least a given time?
-- param: per_octave = 4; points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: hold_us (us); a hold
-- column: holds_at_least; holds that lasted at least as long
-- column: share_percent (%); their share of all holds of the site; exact at each point
-- reads: operations, relock
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
        floor(log2(hold_ns) * $per_octave) AS bucket,
        sum(holds) OVER (PARTITION BY run, site ORDER BY hold_ns DESC) AS holds_at_least,
        sum(holds) OVER (PARTITION BY run, site) AS total
    FROM histogram
)

-- Of each bucket its first point is kept, and of the whole curve its last, so that no tail is cut.
SELECT
    run,
    site,
    hold_ns / 1e3 AS hold_us,
    holds_at_least,
    100.0 * holds_at_least / total AS share_percent
FROM cumulative
QUALIFY
    row_number() OVER (PARTITION BY run, site, bucket ORDER BY hold_ns) = 1
    OR row_number() OVER (PARTITION BY run, site ORDER BY hold_ns DESC) = 1
ORDER BY run, site, hold_us
