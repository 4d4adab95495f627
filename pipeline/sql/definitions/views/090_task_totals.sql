-- view: one row per run, task and kind of operation: sums over the operations
-- column: task int32; thread
-- column: kind string; kind of operation
-- column: operations int64; number of completed operations
-- column: hits int64; number of operations whose page was already mapped
-- column: misses int64; number of operations that took a slot
-- column: map_ns int64 (ns); time from request to mapped
-- column: map_max_ns int64 (ns); longest time from request to mapped
-- column: mapped_ns int64 (ns); time from mapped to unmapped
-- column: lock_wait_ns int64 (ns); wait time for the first lock of map and unmap
-- column: hold_ns int64 (ns); hold time of the first lock of map and unmap
-- column: asleep_ns int64 (ns); time asleep for a slot
-- column: pin_wait_ns int64 (ns); time ready and waiting for the CPU to which the task was pinned
-- column: scanned int64 (slots); number of slots scanned
-- column: sleeps int64; number of sleeps for a slot
-- column: slept int64; number of operations that slept at least once
-- column: probed_locked int64 (slots); number of slots probed by maps that took the lock
-- column: misses_locked int64; number of misses by maps that took the lock
-- kept: a session makes it once
-- summed: while the run is written
SELECT run, task, kind, count(*) AS operations, count(*) FILTER (WHERE served = 'hit') AS hits,
    count(*) FILTER (WHERE served = 'miss') AS misses, sum(mapped_ns - asked_ns) AS map_ns,
    max(mapped_ns - asked_ns) AS map_max_ns, sum(done_ns - mapped_ns) AS mapped_ns,
    sum(map_wait_ns + unmap_wait_ns) AS lock_wait_ns, sum(map_hold_ns + unmap_hold_ns) AS hold_ns,
    sum(asleep_ns) AS asleep_ns, sum(pin_wait_ns) AS pin_wait_ns, sum(scanned) AS scanned,
    sum(sleeps) AS sleeps, count(*) FILTER (WHERE sleeps > 0) AS slept,
    sum(CASE WHEN map_hold_ns > 0 THEN probed WHEN map_hold_ns = 0 THEN 0 END) AS probed_locked,
    count(*) FILTER (WHERE map_hold_ns > 0 AND served = 'miss') AS misses_locked
FROM operations
GROUP BY run, task, kind
