-- macro: number of concurrent intervals over time
-- param: intervals; name of a relation with the columns run, time_ns and duration_ns
-- param: buckets; number of buckets of the longest run
-- column: run; the run's name
-- column: time_ns; begin of the bucket
-- column: mean; mean number in the bucket
-- column: most; largest number in the bucket
-- example: FROM level_over_time('sleeps', 10)
WITH given AS (SELECT run, time_ns, duration_ns FROM query_table(intervals)),
changes AS (
    SELECT run, time_ns, 1 AS change FROM given
    UNION ALL
    SELECT run, time_ns + duration_ns, -1 FROM given
),
under_way AS (SELECT * FROM levels('changes'))
SELECT run, time_ns, mean, most FROM mean_levels('under_way', buckets)
