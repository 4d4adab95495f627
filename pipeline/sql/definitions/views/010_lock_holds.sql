-- view: one row per acquisition of a lock, including relocks
-- column: site string; map, unmap or worker
-- column: op int64; operation; NULL: of a worker
-- column: task int32; task that held it
-- column: cpu int16; CPU of the task
-- column: time_ns int64 (ns); time of the acquisition
-- column: hold_ns int64 (ns); length of the hold
-- column: lock int32; number of the lock; NULL: not in the log
-- column: relock bool; whether this map or unmap had already held a lock, or a worker took it
SELECT run, 'map' AS site, op, task, cpu_map AS cpu, locked_ns AS time_ns, map_hold_ns AS hold_ns,
    map_lock AS lock, false AS relock
FROM operations WHERE map_hold_ns > 0
UNION ALL
SELECT run, 'unmap', op, unmap_task, cpu_unmap,
    unmap_asked_ns + unmap_lead_ns + unmap_wait_ns, unmap_hold_ns, unmap_lock,
    false
FROM operations WHERE unmap_hold_ns > 0
UNION ALL
SELECT run, CASE site WHEN 0 THEN 'map' WHEN 1 THEN 'unmap' ELSE 'worker' END, op, task, cpu, time_ns, duration_ns, lock,
    true
FROM events WHERE event = 'relock'
