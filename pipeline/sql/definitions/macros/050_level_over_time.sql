-- macro: how many intervals are under way at once, over time
-- param: intervals; name of a relation with the columns run, time_ns and duration_ns
-- param: buckets; how many buckets of time the longest run is divided into
-- column: run; the run's name
-- column: time_ns; when the bucket begins
-- column: mean; how many were under way, mean over the bucket
-- column: most; most that were under way at once in it
-- example: FROM level_over_time('sleeps', 10)
WITH given AS (SELECT run, time_ns, duration_ns FROM query_table(intervals)),
changes AS (
    SELECT run, time_ns, 1 AS change FROM given
    UNION ALL
    SELECT run, time_ns + duration_ns, -1 FROM given
),
under_way AS (SELECT * FROM levels('changes'))
SELECT run, time_ns, mean, most FROM mean_levels('under_way', buckets)
