-- question: When does the design flush?
-- param: buckets = 60; time buckets over the longest run
-- column: run; name of the run
-- column: time_ms (ms); start of the bucket, in simulated time
-- column: flushes; flushes that began in it
-- column: per_second (1/s); the same per second
-- reads: flush
WITH bounds AS (
    SELECT * FROM time_buckets($buckets)
),

width AS (
    SELECT max(width_ns) AS ns FROM bounds
),

counts AS (
    SELECT
        f.run,
        least(floor(f.time_ns / width.ns), $buckets - 1) AS bucket,
        count(*) AS flushes
    FROM flushes AS f
    CROSS JOIN width
    GROUP BY ALL
)

SELECT
    b.run,
    b.time_ns / 1e6 AS time_ms,
    coalesce(c.flushes, 0) AS flushes,
    1e9 * coalesce(c.flushes, 0) / b.length_ns AS per_second
FROM bounds AS b
LEFT JOIN counts AS c ON b.run = c.run AND b.bucket = c.bucket
ORDER BY b.run, time_ms
