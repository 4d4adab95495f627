-- macro: how many of something there are, from each moment at which that changes until the next one; in
--     order of run and time
-- param: steps; name of a relation with the columns run, time_ns and change (1 comes, -1 goes, 0 stays);
--     what comes must go within its run
-- column: run; the run's name
-- column: time_ns; from when
-- column: until_ns; until when; NULL: from the last step on
-- column: level; how many there were
-- column: before; how many there had been until then
-- example: WITH steps AS (SELECT run, time_ns, 1 AS change FROM sleeps) FROM levels('steps')
-- Time and change are sorted as one number. Windows without an order of their own take the sorted rows as
-- they come, where PARTITION BY would sort them again; a run begins at 0 because the one before ended so.
-- Of the steps of one moment, in whatever order, only the last has a length: its level is that of all.
SELECT run, time_ns, until_ns, level, lag(level, 1, 0) OVER () AS before
FROM (
    SELECT run, step >> 2 AS time_ns,
        CASE WHEN lead(run) OVER () = run THEN lead(step) OVER () >> 2 END AS until_ns,
        count(*) FILTER (WHERE step & 3 = 2) OVER (ROWS UNBOUNDED PRECEDING)
        - count(*) FILTER (WHERE step & 3 = 0) OVER (ROWS UNBOUNDED PRECEDING) AS level
    FROM (
        SELECT run, CAST(time_ns AS BIGINT) * 4 + change + 1 AS step FROM query_table(steps)
        ORDER BY run, step
    )
)
WHERE until_ns IS NULL OR until_ns > time_ns
