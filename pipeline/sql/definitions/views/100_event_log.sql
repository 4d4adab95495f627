-- view: one row per event of the log, in time order for each run: map_asked, lock_wait, lock_hold, hit, miss,
--     direct, served_by_fallback (mapped, if unknown), unmap, and the kinds in `events` (a relock as
--     lock_wait and lock_hold)
-- column: time_ns int64 (ns); begin of the event; for hit, miss, direct and served_by_fallback, time of the
--     mapping
-- column: event string; kind of event
-- column: site string; map, unmap or worker, for lock_wait and lock_hold
-- column: duration_ns int64 (ns); duration of the event
-- column: cpu int16; CPU of the event
-- column: task int32; task of the event
-- column: op int64; operation of the event
-- column: page int64; mapped page, for events of maps and unmaps
-- column: slot int32; slot of the event
-- column: value int64; number of slots probed, for hit, miss, direct and served_by_fallback; else the event's
--     quantity
-- column: other int32; holder of the lock, for lock_wait; else the task or CPU that caused the event
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
SELECT run, coalesce(unmap_asked_ns, done_ns), 'unmap', NULL, done_ns - unmap_asked_ns, cpu_unmap, unmap_task,
    op, page, slot, NULL, NULL
FROM operations WHERE coalesce(unmap_asked_ns, done_ns) IS NOT NULL
UNION ALL
SELECT run, time_ns, 'lock_wait', site, wait_ns, cpu, task, op, NULL, NULL, NULL, holder FROM lock_waits
UNION ALL
SELECT run, time_ns, 'lock_hold', site, hold_ns, cpu, task, op, NULL, NULL, NULL, NULL FROM lock_holds
UNION ALL
SELECT run, time_ns, event, NULL, duration_ns, cpu, task, op, NULL, slot, value, other
FROM events WHERE event <> 'relock'
ORDER BY run, time_ns, op, duration_ns DESC, event
