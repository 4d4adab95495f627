-- view: one row per contended acquisition: the spin before the lock was got
-- column: site string; map or unmap
-- column: op int64; operation
-- column: task int32; task that spun
-- column: kind string; what asked for the mapping; NULL of a relock
-- column: cpu int16; CPU it spun on
-- column: time_ns int64 (ns); when the spin began
-- column: wait_ns int64 (ns); how long it spun
-- column: holder int32; task that held the lock longest meanwhile; known for an operation's longest wait
-- column: flush_op int64; operation whose flush under the lock it waited for longest; likewise
-- column: lock int32; number of the lock; NULL: the log does not tell
-- column: relock bool; whether this map or unmap had held a lock before
-- Both sides of an operation are made of one look at it, which takes less than reading the log twice.
WITH sides AS (SELECT unnest(['map', 'unmap']) AS site),
waited AS (
    SELECT o.*, s.site, s.site = 'map' AS is_map,
        CASE s.site WHEN 'map' THEN o.map_wait_ns ELSE o.unmap_wait_ns END AS wait_ns
    FROM operations AS o CROSS JOIN sides AS s
    WHERE (o.map_wait_ns > 0 OR o.unmap_wait_ns > 0) AND wait_ns > 0
)
SELECT run, site, op, task, kind, CASE WHEN is_map THEN cpu_map ELSE cpu_unmap END AS cpu,
    CASE WHEN is_map THEN locked_ns - map_wait_ns ELSE unmap_asked_ns + unmap_lead_ns END AS time_ns, wait_ns,
    CASE WHEN is_map = (map_wait_ns >= unmap_wait_ns) THEN holder END AS holder,
    CASE WHEN is_map = (map_wait_ns >= unmap_wait_ns) THEN flush_op END AS flush_op,
    CASE WHEN is_map THEN map_lock ELSE unmap_lock END AS lock, false AS relock
FROM waited
UNION ALL
SELECT run, CASE site WHEN 0 THEN 'map' ELSE 'unmap' END, op, task, NULL, cpu, time_ns - wait_ns, wait_ns,
    other, NULL, lock, true
FROM events WHERE event = 'relock' AND wait_ns > 0
