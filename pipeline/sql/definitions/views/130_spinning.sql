-- view: how many CPUs spin on the lock, from each moment at which that changes until the next one; in order of
--     run and time
-- column: time_ns int64 (ns); from when
-- column: until_ns int64 (ns); until when; NULL: from the last change on
-- column: level int64; CPUs spinning
-- column: before int64; CPUs that had been spinning until then
-- kept: a session makes it once
WITH steps AS (
    SELECT run, locked_ns - map_wait_ns AS time_ns, 1 AS change FROM operations WHERE map_wait_ns > 0
    UNION ALL
    SELECT run, locked_ns, -1 FROM operations WHERE map_wait_ns > 0
    UNION ALL
    SELECT run, unmap_asked_ns, 1 FROM operations WHERE unmap_wait_ns > 0
    UNION ALL
    SELECT run, unmap_asked_ns + unmap_wait_ns, -1 FROM operations WHERE unmap_wait_ns > 0
    UNION ALL
    SELECT run, time_ns - wait_ns, 1 FROM events WHERE event = 'relock' AND wait_ns > 0
    UNION ALL
    SELECT run, time_ns, -1 FROM events WHERE event = 'relock' AND wait_ns > 0
)
SELECT run, time_ns, until_ns, level, before FROM levels('steps')
