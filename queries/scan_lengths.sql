-- question: How many slots does a scan pass over, and how long does it take?
-- column: run; name of the run
-- column: scans; passes over the slots
-- column: slots_mean (slots); slots passed over, mean
-- column: slots_min (slots); fewest
-- column: slots_p50 (slots); half of the scans passed over no more
-- column: slots_p99 (slots); 99 % passed over no more
-- column: slots_max (slots); most
-- column: freed_mean (slots); slots freed by a scan, mean
-- column: duration_mean_us (us); mean length of a scan
-- column: duration_max_us (us); longest scan
-- reads: totals, scan
WITH histogram AS (
    SELECT
        run,
        scanned,
        count(*) AS scans,
        sum(duration_ns) AS duration_ns,
        max(duration_ns) AS duration_max_ns
    FROM scans
    GROUP BY run, scanned
),

cumulative AS (
    SELECT
        *,
        sum(scans) OVER (PARTITION BY run ORDER BY scanned) AS up_to,
        sum(scans) OVER (PARTITION BY run) AS total
    FROM histogram
),

quantiles AS (
    SELECT
        run,
        min(scanned) AS slots_min,
        min(scanned) FILTER (WHERE up_to >= 0.50 * total) AS slots_p50,
        min(scanned) FILTER (WHERE up_to >= 0.99 * total) AS slots_p99,
        max(scanned) AS slots_max,
        sum(duration_ns) / max(total) AS duration_mean_ns,
        max(duration_max_ns) AS duration_max_ns
    FROM cumulative
    GROUP BY run
)

-- Counts and means come from the totals, so that runs without a log have them.
SELECT
    runs.run,
    runs.scans,
    1.0 * runs.scanned / runs.scans AS slots_mean,
    q.slots_min,
    q.slots_p50,
    q.slots_p99,
    q.slots_max,
    1.0 * runs.freed / runs.scans AS freed_mean,
    q.duration_mean_ns / 1e3 AS duration_mean_us,
    q.duration_max_ns / 1e3 AS duration_max_us
FROM runs
LEFT JOIN quantiles AS q ON runs.run = q.run
WHERE runs.scans > 0
ORDER BY runs.run
