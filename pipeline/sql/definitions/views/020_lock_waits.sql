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
SELECT run, 'map' AS site, op, task, kind, cpu_map AS cpu, locked_ns - map_wait_ns AS time_ns,
    map_wait_ns AS wait_ns, CASE WHEN map_wait_ns >= unmap_wait_ns THEN holder END AS holder,
    CASE WHEN map_wait_ns >= unmap_wait_ns THEN flush_op END AS flush_op, map_lock AS lock,
    false AS relock
FROM operations WHERE map_wait_ns > 0
UNION ALL
SELECT run, 'unmap', op, task, kind, cpu_unmap, unmap_asked_ns, unmap_wait_ns,
    CASE WHEN unmap_wait_ns > map_wait_ns THEN holder END,
    CASE WHEN unmap_wait_ns > map_wait_ns THEN flush_op END, unmap_lock, false
FROM operations WHERE unmap_wait_ns > 0
UNION ALL
SELECT run, CASE site WHEN 0 THEN 'map' ELSE 'unmap' END, op, task, NULL, cpu, time_ns - wait_ns, wait_ns,
    other, NULL, lock, true
FROM events WHERE event = 'relock' AND wait_ns > 0
