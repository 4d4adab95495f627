-- question: When does each design flush?
-- param: single = 200; a run with at most this many flushes has one row per flush
-- param: buckets = 60; largest number of time buckets of other runs
-- param: per_bucket = 20; smallest mean number of flushes per bucket
-- column: run; name of the run
-- column: time_ms (ms); time of a single flush, or start of a bucket, in simulated time
-- column: flushes; number of flushes; 0 in the last row of a run with single flushes, which marks its end
-- column: per_second (1/s); flushes per second of the bucket; NULL for single flushes
-- reads: flush
WITH counts AS (
    SELECT
        r.run,
        any_value(r.wall_ns) AS wall_ns,
        count(f.run) AS flushes,
        least($buckets, greatest(count(f.run) // $per_bucket, 1)) AS buckets
    FROM runs AS r
    LEFT JOIN flushes AS f ON r.run = f.run
    WHERE r.events = 'full'
    GROUP BY r.run
),

many AS (
    SELECT
        f.run,
        least(floor(f.time_ns * c.buckets / c.wall_ns), c.buckets - 1) AS bucket,
        count(*) AS flushes
    FROM flushes AS f
    INNER JOIN counts AS c ON f.run = c.run
    WHERE c.flushes > $single
    GROUP BY ALL
),

buckets AS (
    SELECT
        run,
        wall_ns / buckets AS width_ns,
        unnest(range(buckets)) AS bucket
    FROM counts
    WHERE flushes > $single
),

together AS (
    SELECT
        b.run,
        b.bucket * b.width_ns AS time_ns,
        coalesce(m.flushes, 0) AS flushes,
        1e9 * coalesce(m.flushes, 0) / b.width_ns AS per_second
    FROM buckets AS b
    LEFT JOIN many AS m ON b.run = m.run AND b.bucket = m.bucket
    UNION ALL
    SELECT
        f.run,
        f.time_ns,
        1 AS flushes,
        NULL AS per_second
    FROM flushes AS f
    INNER JOIN counts AS c ON f.run = c.run
    WHERE c.flushes <= $single
    UNION ALL
    SELECT
        run,
        wall_ns AS time_ns,
        0 AS flushes,
        NULL AS per_second
    FROM counts
    WHERE flushes <= $single
)

SELECT
    run,
    time_ns / 1e6 AS time_ms,
    flushes,
    per_second
FROM together
ORDER BY run, time_ms, flushes DESC
