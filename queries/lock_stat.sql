-- question: How busy is the lock, in the columns of /proc/lock_stat?
-- column: run; name of the run
-- column: site; all, or the side of the operation: map or unmap
-- column: con_bounces; contended acquisitions from another CPU than the last holder's; not known, NULL
-- column: contentions; acquisitions that found the lock busy
-- column: waittime_min (us); shortest wait of a contended acquisition; NULL without a log
-- column: waittime_max (us); longest
-- column: waittime_total (us); all together
-- column: waittime_avg (us); mean of the contended acquisitions
-- column: acq_bounces; acquisitions from another CPU than the last holder's; not known, NULL
-- column: acquisitions; times the lock was taken
-- column: holdtime_min (us); shortest hold; NULL without a log
-- column: holdtime_max (us); longest
-- column: holdtime_total (us); all together
-- column: holdtime_avg (us); mean of all acquisitions
-- reads: totals, operations, relock
WITH holds AS (
    SELECT
        run,
        part AS site,
        min(value) AS ns
    FROM hold_histogram
    GROUP BY run, part
),

waits AS (
    SELECT
        run,
        part AS site,
        min(value) AS ns
    FROM wait_histogram
    GROUP BY run, part
),

sites AS (
    SELECT
        t.run,
        coalesce(t.site, 'all') AS site,
        sum(t.contended) AS contentions,
        min(waits.ns) AS wait_min_ns,
        max(t.wait_max_ns) AS wait_max_ns,
        sum(t.wait_ns) AS wait_ns,
        sum(t.acquisitions) AS acquisitions,
        min(holds.ns) AS hold_min_ns,
        max(t.hold_max_ns) AS hold_max_ns,
        sum(t.hold_ns) AS hold_ns
    FROM lock_totals AS t
    LEFT JOIN holds ON t.run = holds.run AND t.site = holds.site
    LEFT JOIN waits ON t.run = waits.run AND t.site = waits.site
    GROUP BY GROUPING SETS ((t.run), (t.run, t.site))
)

SELECT
    run,
    site,
    CAST(NULL AS BIGINT) AS con_bounces,
    contentions,
    wait_min_ns / 1e3 AS waittime_min,
    wait_max_ns / 1e3 AS waittime_max,
    wait_ns / 1e3 AS waittime_total,
    wait_ns / nullif(contentions, 0) / 1e3 AS waittime_avg,
    CAST(NULL AS BIGINT) AS acq_bounces,
    acquisitions,
    hold_min_ns / 1e3 AS holdtime_min,
    hold_max_ns / 1e3 AS holdtime_max,
    hold_ns / 1e3 AS holdtime_total,
    hold_ns / acquisitions / 1e3 AS holdtime_avg
FROM sites
WHERE acquisitions > 0
ORDER BY run, site
