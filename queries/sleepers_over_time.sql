-- question: How many tasks are asleep for a slot, over time?
-- param: buckets = 120; number of time buckets in the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: asleep_mean (tasks); mean number of tasks asleep
-- column: asleep_max (tasks); largest number of tasks asleep
-- reads: sleep
SELECT
    run,
    time_ns / 1e6 AS time_ms,
    mean AS asleep_mean,
    most AS asleep_max
FROM level_over_time('sleeps', $buckets)
ORDER BY run, time_ms
