-- question: When does the design flush?
-- param: buckets = 60; time buckets over the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: flushes; flushes that began in it
-- column: per_second (1/s); the same per second
-- reads: flush
WITH width AS (
    SELECT greatest(max(wall_ns), $buckets) / $buckets AS ns FROM runs
),

bounds AS (
    SELECT
        runs.run,
        runs.wall_ns,
        unnest(range($buckets)) AS bucket
    FROM runs
    WHERE runs.events = 'full'
),

counts AS (
    SELECT
        flushes.run,
        least(floor(flushes.time_ns / width.ns), $buckets - 1) AS bucket,
        count(*) AS flushes
    FROM flushes
    CROSS JOIN width
    GROUP BY ALL
)

SELECT
    b.run,
    b.bucket * width.ns / 1e6 AS time_ms,
    coalesce(c.flushes, 0) AS flushes,
    1e9 * coalesce(c.flushes, 0) / width.ns AS per_second
FROM bounds AS b
CROSS JOIN width
LEFT JOIN counts AS c ON b.run = c.run AND b.bucket = c.bucket
WHERE b.bucket * width.ns < b.wall_ns
ORDER BY b.run, time_ms
