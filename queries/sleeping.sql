-- question: How many tasks sleep for a slot, how often and for how long?
-- column: run; name of the run
-- column: sleeps; number of sleeps for a slot
-- column: per_1000_operations; sleeps per thousand operations
-- column: tasks; tasks that slept at least once
-- column: asleep_ms (ms); total time asleep
-- column: asleep_mean (tasks); mean number of tasks asleep: total time asleep / wall time
-- column: sleep_mean_us (us); mean duration of a sleep
-- column: sleep_max_us (us); longest sleep
-- column: wakes; wake-ups of a wait queue with sleepers
-- column: woken_per_wake (tasks); tasks woken per wake-up, mean
-- column: futile_percent (%); share of sleeps after which the same operation slept again
-- reads: totals, operations, sleep
WITH per_run AS (
    SELECT
        run,
        count(DISTINCT task) AS tasks,
        max(duration_ns) AS longest_ns
    FROM sleeps
    GROUP BY run
),

repeated AS (
    SELECT
        run,
        100.0 * (sum(sleeps) - sum(slept)) / nullif(sum(sleeps), 0) AS futile_percent
    FROM task_totals
    GROUP BY run
)

SELECT
    runs.run,
    runs.sleeps,
    1000.0 * runs.sleeps / nullif(runs.operations, 0) AS per_1000_operations,
    CASE WHEN runs.events = 'full' THEN coalesce(p.tasks, 0) END AS tasks,
    runs.asleep_ns / 1e6 AS asleep_ms,
    1.0 * runs.asleep_ns / nullif(runs.wall_ns, 0) AS asleep_mean,
    runs.asleep_ns / nullif(runs.sleeps, 0) / 1e3 AS sleep_mean_us,
    p.longest_ns / 1e3 AS sleep_max_us,
    runs.wakes,
    1.0 * runs.woken / nullif(runs.wakes, 0) AS woken_per_wake,
    r.futile_percent
FROM runs
LEFT JOIN per_run AS p ON runs.run = p.run
LEFT JOIN repeated AS r ON runs.run = r.run
ORDER BY runs.run
