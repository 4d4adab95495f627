-- question: How busy is the lock, in the format of /proc/lock_stat?
-- param: top = 20; number of rows per table of measured locks: those with the longest total wait
-- column: run; name of the run, or of the table of measured locks
-- column: lock; the pool's lock, or the name of the lock in the measuring tool; NULL: not available
-- column: site; all, or the side of the operation: map or unmap; of measured locks, the code that took it
-- column: con_bounces; contended acquisitions on another CPU than the last holder's; NULL: not available
-- column: contentions; contended acquisitions
-- column: waittime_min (us); shortest wait of a contended acquisition; NULL without a log
-- column: waittime_max (us); longest wait
-- column: waittime_total (us); total wait
-- column: waittime_avg (us); mean wait of contended acquisitions
-- column: acq_bounces; acquisitions on another CPU than the last holder's; NULL: not available
-- column: acquisitions; times the lock was taken
-- column: holdtime_min (us); shortest hold; NULL without a log
-- column: holdtime_max (us); longest hold
-- column: holdtime_total (us); total hold
-- column: holdtime_avg (us); mean hold of all acquisitions
-- reads: totals, operations, relock
WITH holds AS (
    SELECT
        run,
        coalesce(part, 'all') AS site,
        min(value) AS ns
    FROM hold_histogram
    GROUP BY GROUPING SETS ((run), (run, part))
),

waits AS (
    SELECT
        run,
        coalesce(part, 'all') AS site,
        min(value) AS ns
    FROM wait_histogram
    GROUP BY GROUPING SETS ((run), (run, part))
)

SELECT
    l.run,
    l.lock,
    l.site,
    l.con_bounces,
    l.contended AS contentions,
    coalesce(l.wait_min_ns, waits.ns) / 1e3 AS waittime_min,
    l.wait_max_ns / 1e3 AS waittime_max,
    l.wait_ns / 1e3 AS waittime_total,
    l.wait_mean_ns / 1e3 AS waittime_avg,
    l.acq_bounces,
    l.acquisitions,
    coalesce(l.hold_min_ns, holds.ns) / 1e3 AS holdtime_min,
    l.hold_max_ns / 1e3 AS holdtime_max,
    l.hold_ns / 1e3 AS holdtime_total,
    l.hold_mean_ns / 1e3 AS holdtime_avg
FROM locks AS l
LEFT JOIN holds ON l.run = holds.run AND l.site = holds.site
LEFT JOIN waits ON l.run = waits.run AND l.site = waits.site
WHERE l.provenance = 'simulated' OR l.place <= $top
ORDER BY l.run, l.place, l.site
