-- macro: a count over time, one row per change, in order of run and time
-- param: steps; name of a relation with the columns run, time_ns (0 to 2**46) and change (1, -1 or 0); the
--     changes of a run must add up to 0
-- column: run; the run's name
-- column: time_ns; begin
-- column: until_ns; end; NULL after the last step
-- column: level; the count
-- column: before; the count before the change
-- example: WITH steps AS (SELECT run, time_ns, 1 AS change FROM sleeps) FROM levels('steps')
-- Run, time and change are sorted as one number, which takes less than half the time. Windows without an
-- order use the order of the sorted rows. Each run starts at 0, as the previous run ended at 0.
-- Of simultaneous steps only the last has a length, and its level includes all of them.
WITH sorted AS (
    SELECT (CAST(enum_code(CAST(run AS run_name)) AS BIGINT) << 48) + CAST(time_ns AS BIGINT) * 4 + change + 1
        AS step
    FROM query_table(steps) ORDER BY step
),
counted AS (
    SELECT step >> 48 AS code, (step & 281474976710655) >> 2 AS time_ns,
        CASE WHEN lead(step) OVER () >> 48 = step >> 48
            THEN (lead(step) OVER () & 281474976710655) >> 2 END AS until_ns,
        count(*) FILTER (WHERE step & 3 = 2) OVER (ROWS UNBOUNDED PRECEDING)
        - count(*) FILTER (WHERE step & 3 = 0) OVER (ROWS UNBOUNDED PRECEDING) AS level
    FROM sorted
),
changed AS (
    SELECT *, lag(level, 1, 0) OVER () AS before FROM counted WHERE until_ns IS NULL OR until_ns > time_ns
)
SELECT runs.run, c.time_ns, c.until_ns, c.level, c.before
FROM changed AS c INNER JOIN runs ON enum_code(runs.run) = c.code
