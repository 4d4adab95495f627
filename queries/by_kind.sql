-- question: How does each kind of operation fare?
-- column: run; name of the run
-- column: kind; what asked for the mapping
-- column: operations; operations completed
-- column: share_percent (%); of all operations of the run
-- column: hit_percent (%); hits as a share of hits and misses
-- column: map_mean_us (us); from asking to having the mapping, mean
-- column: map_max_us (us); longest
-- column: mapped_mean_us (us); from having the mapping until it was undone, mean
-- column: lock_wait_ms (ms); waits for the first lock of map and unmap, all together
-- column: hold_ms (ms); holds of the first lock of map and unmap, all together
-- column: asleep_ms (ms); time asleep for a slot, all together
-- column: pin_wait_ms (ms); time ready but waiting for the CPU they were pinned to
-- column: scanned (slots); slots passed over by their scans
-- reads: operations
SELECT
    run,
    kind,
    sum(operations) AS operations,
    100.0 * sum(operations) / sum(sum(operations)) OVER (PARTITION BY run) AS share_percent,
    100.0 * sum(hits) / nullif(sum(hits) + sum(misses), 0) AS hit_percent,
    sum(map_ns) / sum(operations) / 1e3 AS map_mean_us,
    max(map_max_ns) / 1e3 AS map_max_us,
    sum(mapped_ns) / sum(operations) / 1e3 AS mapped_mean_us,
    sum(lock_wait_ns) / 1e6 AS lock_wait_ms,
    sum(hold_ns) / 1e6 AS hold_ms,
    sum(asleep_ns) / 1e6 AS asleep_ms,
    sum(pin_wait_ns) / 1e6 AS pin_wait_ms,
    sum(scanned) AS scanned
FROM task_totals
GROUP BY run, kind
ORDER BY run, operations DESC, kind
