-- question: Which tasks wait longest for their mappings, and for what?
-- param: top = 10; tasks for each run, by time from asking to mapped
-- column: run; name of the run
-- column: task; thread
-- column: operations; operations completed
-- column: map_ms (ms); from asking to having the mapping, all together
-- column: share_percent (%); of that time of all tasks
-- column: map_mean_us (us); the same per operation
-- column: map_max_us (us); longest
-- column: lock_wait_ms (ms); waits for the first lock of map and unmap, all together
-- column: asleep_ms (ms); time asleep for a slot, all together
-- column: pin_wait_ms (ms); time ready but waiting for the CPU it was pinned to
-- reads: operations
SELECT
    run,
    task,
    sum(operations) AS operations,
    sum(map_ns) / 1e6 AS map_ms,
    100.0 * sum(map_ns) / nullif(sum(sum(map_ns)) OVER (PARTITION BY run), 0) AS share_percent,
    sum(map_ns) / sum(operations) / 1e3 AS map_mean_us,
    max(map_max_ns) / 1e3 AS map_max_us,
    sum(lock_wait_ns) / 1e6 AS lock_wait_ms,
    sum(asleep_ns) / 1e6 AS asleep_ms,
    sum(pin_wait_ns) / 1e6 AS pin_wait_ms
FROM task_totals
GROUP BY run, task
QUALIFY row_number() OVER (PARTITION BY run ORDER BY sum(map_ns) DESC, task) <= $top
ORDER BY run, map_ms DESC, task
