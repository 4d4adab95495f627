-- view: one row per run, task and kind of operation: what its operations add up to
-- column: task int32; thread
-- column: kind string; what asked for the mappings
-- column: operations int64; operations completed
-- column: hits int64; the page was mapped already
-- column: misses int64; a slot was taken
-- column: map_ns int64 (ns); from asking to having the mapping
-- column: map_max_ns int64 (ns); longest time from asking to having the mapping
-- column: mapped_ns int64 (ns); from having the mapping until it was undone
-- column: lock_wait_ns int64 (ns); waits for the first lock of map and unmap
-- column: hold_ns int64 (ns); holds of the first lock of map and unmap
-- column: asleep_ns int64 (ns); time asleep for a slot
-- column: pin_wait_ns int64 (ns); time ready but waiting for the CPU it was pinned to
-- column: scanned int64 (slots); slots passed over by its scans
-- column: sleeps int64; sleeps for a slot
-- column: slept int64; operations that slept at least once
-- column: probed_locked int64 (slots); slots looked at for a free one, of maps that took the lock
-- column: misses_locked int64; misses, of maps that took the lock
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
