-- view: the log line by line, each run in time order: map_asked, lock_wait, lock_hold, hit, miss, direct,
--     served_by_fallback (mapped: not known how), unmap, and the event kinds of `events` (relock as
--     lock_wait and lock_hold)
-- column: time_ns int64 (ns); when it began; of hit, miss and the like: when the mapping was there
-- column: event string; what happened
-- column: site string; map or unmap, of lock_wait and lock_hold
-- column: duration_ns int64 (ns); how long it took
-- column: cpu int16; CPU it happened on
-- column: task int32; task it happened to
-- column: op int64; operation in whose course it happened
-- column: page int64; mapped page, of map_asked, hit, miss and the like, and unmap
-- column: slot int32; slot concerned
-- column: value int64; slots probed, of hit, miss and the like; else the event's quantity
-- column: other int32; holder of the lock, of lock_wait; else the task or CPU that caused it
SELECT run, asked_ns AS time_ns, 'map_asked' AS event, CAST(NULL AS VARCHAR) AS site,
    mapped_ns - asked_ns AS duration_ns, cpu_map AS cpu, task, op, page, CAST(NULL AS INTEGER) AS slot,
    CAST(NULL AS BIGINT) AS value, CAST(NULL AS INTEGER) AS other
FROM operations
UNION ALL
SELECT run, mapped_ns,
    CASE served WHEN 'fallback' THEN 'served_by_fallback' ELSE coalesce(served, 'mapped') END, NULL, 0,
    cpu_map, task, op, page, slot, probed, NULL
FROM operations
UNION ALL
SELECT run, coalesce(unmap_asked_ns, done_ns), 'unmap', NULL, done_ns - unmap_asked_ns, cpu_unmap, task,
    op, page, slot, NULL, NULL
FROM operations
UNION ALL
SELECT run, time_ns, 'lock_wait', site, wait_ns, cpu, task, op, NULL, NULL, NULL, holder FROM lock_waits
UNION ALL
SELECT run, time_ns, 'lock_hold', site, hold_ns, cpu, task, op, NULL, NULL, NULL, NULL FROM lock_holds
UNION ALL
SELECT run, time_ns, event, NULL, duration_ns, cpu, task, op, NULL, slot, value, other
FROM events WHERE event <> 'relock'
ORDER BY run, time_ns, op, duration_ns DESC, event
