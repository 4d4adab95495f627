-- question: Which tasks wait longest for their mappings, and why?
-- param: top = 10; number of tasks per run, by time from request to mapped
-- column: run; name of the run
-- column: task; task number
-- column: operations; operations completed
-- column: map_ms (ms); total time from request to mapped
-- column: share_percent (%); share of this time of all tasks
-- column: map_mean_us (us); time from request to mapped, mean
-- column: map_max_us (us); time from request to mapped, longest
-- column: lock_wait_ms (ms); total wait for the first lock of each map and unmap
-- column: asleep_ms (ms); total time asleep for a slot
-- column: pin_wait_ms (ms); total time ready but waiting for the CPU to which the task was pinned
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
