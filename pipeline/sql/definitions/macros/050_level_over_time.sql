-- macro: how many intervals are under way at once, over time
-- param: intervals; name of a relation with the columns run, time_ns and duration_ns
-- param: buckets; how many buckets of time the longest run is divided into
-- column: run; the run's name
-- column: time_ns; when the bucket begins
-- column: mean; how many were under way, mean over the bucket
-- column: most; most that were under way at once in it
-- example: FROM level_over_time('sleeps', 10)
-- Each bucket's start is a step of 0, so that no stretch between two steps crosses into another bucket.
WITH bounds AS (SELECT run, time_ns, width_ns FROM time_buckets(buckets)),
given AS MATERIALIZED (SELECT run, time_ns, duration_ns FROM query_table(intervals)),
changes AS (
    SELECT run, time_ns, 1 AS change FROM given
    UNION ALL
    SELECT run, time_ns + duration_ns, -1 FROM given
    UNION ALL
    SELECT run, CAST(ceil(time_ns) AS BIGINT), 0 FROM bounds
),
width AS (SELECT DISTINCT run, width_ns FROM bounds)
SELECT run, bucket_ns AS time_ns, sum(level_ns) / any_value(width_ns) AS mean, max(level) AS most
FROM (
    SELECT l.run, l.level, width.width_ns,
        CAST(l.level * (coalesce(l.until_ns, l.time_ns) - l.time_ns) AS DOUBLE) AS level_ns,
        least(floor(l.time_ns / width.width_ns), buckets - 1) * width.width_ns AS bucket_ns
    FROM levels('changes') AS l INNER JOIN width ON l.run = width.run
)
GROUP BY run, bucket_ns
