-- view: one row per acquisition of a lock: of each map, of each unmap, and each time one of them took it
--     again
-- column: site string; map or unmap
-- column: op int64; operation
-- column: task int32; task that held it
-- column: cpu int16; CPU it ran on
-- column: time_ns int64 (ns); when it got the lock
-- column: hold_ns int64 (ns); how long it held it
-- column: lock int32; number of the lock; NULL: the log does not tell
-- column: relock bool; whether this map or unmap had held a lock before
SELECT run, 'map' AS site, op, task, cpu_map AS cpu, locked_ns AS time_ns, map_hold_ns AS hold_ns,
    map_lock AS lock, false AS relock
FROM operations WHERE map_hold_ns > 0
UNION ALL
SELECT run, 'unmap', op, task, cpu_unmap,
    unmap_asked_ns + unmap_lead_ns + unmap_wait_ns, unmap_hold_ns, unmap_lock,
    false
FROM operations WHERE unmap_hold_ns > 0
UNION ALL
SELECT run, CASE site WHEN 0 THEN 'map' ELSE 'unmap' END, op, task, cpu, time_ns, duration_ns, lock,
    true
FROM events WHERE event = 'relock'
