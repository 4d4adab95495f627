-- macro: equal buckets of time up to the end of each run, the same for all runs with a log
-- param: buckets; number of buckets of the longest run
-- column: run; the run's name
-- column: bucket; number of the bucket, from 0
-- column: time_ns; begin of the bucket
-- column: width_ns; length of a bucket
-- column: length_ns; part of the bucket before the end of the run, shorter than the width in the last one
-- example: FROM time_buckets(10)
SELECT run, bucket, bucket * width_ns AS time_ns, width_ns,
    least(width_ns, wall_ns - bucket * width_ns) AS length_ns
FROM (
    SELECT run, wall_ns, events,
        greatest(max(wall_ns) OVER (), buckets) / buckets AS width_ns, unnest(range(buckets)) AS bucket
    FROM runs
)
WHERE events = 'full' AND bucket * width_ns < wall_ns
