-- view: number of CPUs that spin on the lock, one row per change, in order of run and time
-- column: time_ns int64 (ns); begin
-- column: until_ns int64 (ns); end; NULL after the last change
-- column: level int64; number of CPUs that spin
-- column: before int64; number of CPUs before the change
-- kept: a session makes it once
WITH changes AS (SELECT unnest([1, -1]) AS change),
steps AS (
    SELECT w.run, CASE c.change WHEN 1 THEN w.time_ns ELSE w.time_ns + w.wait_ns END AS time_ns, c.change
    FROM lock_waits AS w CROSS JOIN changes AS c
)
SELECT run, time_ns, until_ns, level, before FROM levels('steps')
