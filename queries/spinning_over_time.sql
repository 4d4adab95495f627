-- question: How many CPUs spin on the lock, over time?
-- param: buckets = 120; number of time buckets in the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: spinning_mean (CPUs); mean number of CPUs spinning
-- column: spinning_max (CPUs); largest number of CPUs spinning
-- reads: operations, relock
SELECT
    s.run,
    s.time_ns / 1e6 AS time_ms,
    s.mean AS spinning_mean,
    s.most AS spinning_max
FROM mean_levels('spinning', $buckets) AS s
INNER JOIN runs ON s.run = runs.run
-- A recording does not show which tasks spun.
WHERE runs.provenance = 'simulated'
ORDER BY s.run, time_ms
