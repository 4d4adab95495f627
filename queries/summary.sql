-- question: How do the designs compare?
-- column: run; name of the run
-- column: wall_ms (ms); simulated time until the last operation completed
-- column: operations_per_second (1/s); operations completed per second of simulated time
-- column: hit_percent (%); hits as a share of hits and misses
-- column: map_mean_us (us); time from request to mapped, mean
-- column: hold_mean_us (us); lock hold time, mean over all acquisitions
-- column: lock_wait_percent (%); time spent spinning on the lock, as a share of wall time x CPUs
-- column: flushes; global or directed TLB flushes
-- column: ipis; CPUs interrupted by these flushes
-- column: sleeps; sleeps for a slot
-- column: asleep_ms (ms); total time asleep
-- column: pin_wait_ms (ms); total time that ready tasks waited for their pinned CPU
-- column: idle_percent (%); share of CPU time without a task to run
-- column: address_space_kib (KiB); kernel address space of the slots, with pages of 4 KiB
-- column: findings; number of hazards
-- reads: totals
WITH locks AS (
    SELECT
        run,
        sum(acquisitions) AS acquisitions,
        sum(hold_ns) AS hold_ns,
        sum(wait_ns) AS wait_ns
    FROM lock_totals
    GROUP BY run
),

idle AS (
    SELECT
        run,
        100.0 * sum(ns) FILTER (WHERE category = 'idle') / nullif(sum(ns), 0) AS idle_percent
    FROM cpu_time
    GROUP BY run
)

SELECT
    runs.run,
    runs.wall_ns / 1e6 AS wall_ms,
    1e9 * runs.operations / nullif(runs.wall_ns, 0) AS operations_per_second,
    100.0 * runs.hits / nullif(runs.hits + runs.misses, 0) AS hit_percent,
    runs.map_ns / nullif(runs.operations, 0) / 1e3 AS map_mean_us,
    locks.hold_ns / nullif(locks.acquisitions, 0) / 1e3 AS hold_mean_us,
    CASE
        WHEN runs.provenance = 'simulated'
            THEN coalesce(100.0 * locks.wait_ns / nullif(runs.wall_ns * runs.cpus, 0), 0)
    END AS lock_wait_percent,
    runs.flushes,
    runs.ipis,
    runs.sleeps,
    runs.asleep_ns / 1e6 AS asleep_ms,
    runs.pin_wait_ns / 1e6 AS pin_wait_ms,
    idle.idle_percent,
    runs.address_space_pages * 4 AS address_space_kib,
    runs.findings
FROM runs
LEFT JOIN locks ON runs.run = locks.run
LEFT JOIN idle ON runs.run = idle.run
ORDER BY runs.run
