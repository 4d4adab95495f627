-- view: one row per contended acquisition: the spin before the acquisition
-- column: site string; map, unmap or worker
-- column: op int64; operation; NULL: of a worker
-- column: task int32; task that spun
-- column: kind string; kind of operation; NULL for a relock
-- column: cpu int16; CPU of the spin
-- column: time_ns int64 (ns); begin of the spin
-- column: wait_ns int64 (ns); length of the spin
-- column: holder int32; longest holder of the lock during the spin; known for an operation's longest wait
-- column: flush_op int64; operation of the longest flush under the lock during the spin; known likewise
-- column: lock int32; number of the lock; NULL: not in the log
-- column: relock bool; whether this map or unmap had already held a lock, or a worker took it
-- Both sides of an operation come from a single read of its row, which is faster than reading the log twice.
WITH sides AS (SELECT unnest(['map', 'unmap']) AS site),
waited AS (
    SELECT o.*, s.site, s.site = 'map' AS is_map,
        CASE s.site WHEN 'map' THEN o.map_wait_ns ELSE o.unmap_wait_ns END AS wait_ns
    FROM operations AS o CROSS JOIN sides AS s
    WHERE (o.map_wait_ns > 0 OR o.unmap_wait_ns > 0) AND wait_ns > 0
)
SELECT run, site, op, CASE WHEN is_map THEN task ELSE unmap_task END AS task, kind, CASE WHEN is_map THEN cpu_map ELSE cpu_unmap END AS cpu,
    CASE WHEN is_map THEN locked_ns - map_wait_ns ELSE unmap_asked_ns + unmap_lead_ns END AS time_ns, wait_ns,
    CASE WHEN is_map = (map_wait_ns >= unmap_wait_ns) THEN holder END AS holder,
    CASE WHEN is_map = (map_wait_ns >= unmap_wait_ns) THEN flush_op END AS flush_op,
    CASE WHEN is_map THEN map_lock ELSE unmap_lock END AS lock, false AS relock
FROM waited
UNION ALL
SELECT run, CASE site WHEN 0 THEN 'map' WHEN 1 THEN 'unmap' ELSE 'worker' END, op, task, NULL, cpu, time_ns - wait_ns, wait_ns,
    other, NULL, lock, true
FROM events WHERE event = 'relock' AND wait_ns > 0
