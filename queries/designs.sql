-- question: How does each design scale with the number of CPUs, compared with a reference design?
-- param: beside = 'direct_map'; label of the reference design
-- column: run; design with its changed options; runs on other CPU counts and traces are further rows
-- column: trace; name of the trace
-- column: machine; machine profile
-- column: cpus; number of simulated CPUs
-- column: throughput_percent (%); operations per second of simulated time, relative to the reference design
-- column: map_mean_us (us); time from request to mapped, mean
-- column: dearer_us (us); CPU time per operation, without idle time, in excess of the reference design's
-- column: lock_wait_percent (%); lock spin time as a share of wall time x CPUs
-- column: flushes_per_1000; global or directed TLB flushes per thousand operations
-- column: ipis_per_1000; CPUs interrupted by these flushes, per thousand operations
-- column: sleeps_per_1000; sleeps for a slot, per thousand operations
-- column: pin_waits_per_1000; waits of ready tasks for their pinned CPU, per thousand operations
-- column: address_space_kib (KiB); kernel address space of the slots, with pages of 4 KiB
-- reads: totals
WITH busy AS (
    SELECT
        run,
        sum(ns) FILTER (WHERE category <> 'idle') AS busy_ns,
        100.0 * sum(ns) FILTER (WHERE category = 'spin') / nullif(sum(ns), 0) AS spin_percent
    FROM cpu_time
    GROUP BY run
),

figures AS (
    SELECT
        r.run AS name,
        r.label AS run,
        r.trace,
        r.machine,
        r.cpus,
        1e9 * r.operations / nullif(r.wall_ns, 0) AS per_second,
        r.map_ns / nullif(r.operations, 0) / 1e3 AS map_mean_us,
        busy.busy_ns / nullif(r.operations, 0) / 1e3 AS busy_us,
        busy.spin_percent AS lock_wait_percent,
        1e3 * r.flushes / nullif(r.operations, 0) AS flushes_per_1000,
        1e3 * r.ipis / nullif(r.operations, 0) AS ipis_per_1000,
        1e3 * r.sleeps / nullif(r.operations, 0) AS sleeps_per_1000,
        1e3 * r.pin_waits / nullif(r.operations, 0) AS pin_waits_per_1000,
        r.address_space_pages * 4 AS address_space_kib
    FROM runs AS r
    INNER JOIN busy ON r.run = busy.run
),

measures AS (
    SELECT
        trace,
        machine,
        cpus,
        avg(per_second) AS per_second,
        avg(busy_us) AS busy_us
    FROM figures
    WHERE run = $beside
    GROUP BY trace, machine, cpus
)

SELECT
    f.run,
    f.trace,
    f.machine,
    f.cpus,
    100.0 * f.per_second / m.per_second AS throughput_percent,
    f.map_mean_us,
    f.busy_us - m.busy_us AS dearer_us,
    f.lock_wait_percent,
    f.flushes_per_1000,
    f.ipis_per_1000,
    f.sleeps_per_1000,
    f.pin_waits_per_1000,
    f.address_space_kib
FROM figures AS f
LEFT JOIN measures AS m ON f.trace = m.trace AND f.machine = m.machine AND f.cpus = m.cpus
ORDER BY f.trace, f.machine, f.name, f.cpus
