-- question: How do the kinds of operations compare?
-- column: run; name of the run
-- column: kind; kernel operation that requested the mapping
-- column: operations; operations completed
-- column: share_percent (%); share of all operations of the run
-- column: hit_percent (%); hits as a share of hits and misses
-- column: map_mean_us (us); time from request to mapped, mean
-- column: map_max_us (us); time from request to mapped, longest
-- column: mapped_mean_us (us); time from mapped to unmap request, mean
-- column: lock_wait_ms (ms); total wait for the first lock of each map and unmap
-- column: hold_ms (ms); total hold time of the first lock of each map and unmap
-- column: asleep_ms (ms); total time asleep for a slot
-- column: pin_wait_ms (ms); total time ready but waiting for the CPU to which the task was pinned
-- column: scanned (slots); slots scanned
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
