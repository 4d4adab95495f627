-- question: How many CPUs spin on the lock, over time?
-- param: buckets = 120; time buckets over the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: spinning_mean (CPUs); mean number of CPUs spinning
-- column: spinning_max (CPUs); most CPUs spinning at once
-- reads: operations, relock
WITH spins AS (
    SELECT
        run,
        time_ns,
        wait_ns AS duration_ns
    FROM lock_waits
)

SELECT
    level.run,
    level.time_ns / 1e6 AS time_ms,
    level.mean AS spinning_mean,
    level.most AS spinning_max
FROM level_over_time('spins', $buckets) AS level
INNER JOIN runs ON level.run = runs.run
-- A recording does not tell who spun.
WHERE runs.provenance = 'simulated'
ORDER BY level.run, time_ms
