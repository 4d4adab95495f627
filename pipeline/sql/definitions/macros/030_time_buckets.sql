-- macro: equal buckets of time, the same for all runs that have a log, up to each run's end
-- param: buckets; how many buckets of time the longest run is divided into
-- column: run; the run's name
-- column: bucket; number of the bucket, from 0
-- column: time_ns; when the bucket begins
-- column: width_ns; how long a bucket is
-- column: length_ns; how much of it lies before the run's end: less than the width in the last one
-- example: FROM time_buckets(10)
SELECT run, bucket, bucket * width_ns AS time_ns, width_ns,
    least(width_ns, wall_ns - bucket * width_ns) AS length_ns
FROM (
    SELECT run, wall_ns, events,
        greatest(max(wall_ns) OVER (), buckets) / buckets AS width_ns, unnest(range(buckets)) AS bucket
    FROM runs
)
WHERE events = 'full' AND bucket * width_ns < wall_ns
