-- view: how many CPUs spin on the lock, from each moment at which that changes until the next one; in order of
--     run and time
-- column: time_ns int64 (ns); from when
-- column: until_ns int64 (ns); until when; NULL: from the last change on
-- column: level int64; CPUs spinning
-- column: before int64; CPUs that had been spinning until then
-- kept: a session makes it once
WITH changes AS (SELECT unnest([1, -1]) AS change),
steps AS (
    SELECT w.run, CASE c.change WHEN 1 THEN w.time_ns ELSE w.time_ns + w.wait_ns END AS time_ns, c.change
    FROM lock_waits AS w CROSS JOIN changes AS c
)
SELECT run, time_ns, until_ns, level, before FROM levels('steps')
