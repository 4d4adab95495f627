-- question: How many tasks are asleep for a slot, over time?
-- param: buckets = 120; time buckets over the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: asleep_mean (tasks); mean number of tasks asleep
-- column: asleep_max (tasks); most tasks asleep at once
-- reads: sleep
WITH width AS (
    SELECT greatest(max(wall_ns), $buckets) / $buckets AS ns FROM runs
),

bounds AS (
    SELECT
        runs.run,
        width.ns AS width_ns,
        unnest(range($buckets)) AS bucket,
        runs.wall_ns
    FROM runs
    CROSS JOIN width
    WHERE runs.events = 'full'
),

-- Each bucket's start is a step of 0, so that no interval between two steps crosses into another bucket.
steps AS (
    SELECT
        run,
        time_ns,
        1 AS change
    FROM sleeps
    UNION ALL
    SELECT
        run,
        time_ns + duration_ns AS time_ns,
        -1 AS change
    FROM sleeps
    UNION ALL
    SELECT
        run,
        bucket * width_ns AS time_ns,
        0 AS change
    FROM bounds
    WHERE bucket * width_ns < wall_ns
),

levels AS (
    SELECT
        run,
        time_ns,
        sum(sum(change)) OVER (PARTITION BY run ORDER BY time_ns) AS level,
        lead(time_ns) OVER (PARTITION BY run ORDER BY time_ns) AS until_ns
    FROM steps
    GROUP BY run, time_ns
),

intervals AS (
    SELECT
        levels.run,
        levels.level,
        coalesce(levels.until_ns, levels.time_ns) - levels.time_ns AS length_ns,
        least(floor(levels.time_ns / width.ns), $buckets - 1) * width.ns AS bucket_ns,
        width.ns AS width_ns
    FROM levels
    CROSS JOIN width
)

SELECT
    run,
    bucket_ns / 1e6 AS time_ms,
    sum(level * length_ns) / any_value(width_ns) AS asleep_mean,
    max(level) AS asleep_max
FROM intervals
GROUP BY run, bucket_ns
ORDER BY run, bucket_ns
