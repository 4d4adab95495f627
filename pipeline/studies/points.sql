-- Figures of each run of a study, for its conditions, numbers and charts. If direct_map was replayed in the same
-- setting, the last three columns compare the run with it.
CREATE VIEW points AS
WITH figures AS (
    SELECT
        *,
        hits + misses + fallbacks AS maps,
        wall_ns / 1e9 AS wall_s,
        operations / (wall_ns / 1e9) AS operations_per_s,
        (hits + misses + fallbacks) / (wall_ns / 1e9) AS maps_per_s,
        map_ns / operations / 1e3 AS map_us,
        map_lock_acquisitions + unmap_lock_acquisitions AS acquisitions,
        greatest(map_lock_hold_max_ns, unmap_lock_hold_max_ns) / 1e3 AS longest_hold_us,
        100.0 * (map_lock_contended + unmap_lock_contended)
        / nullif(map_lock_acquisitions + unmap_lock_acquisitions, 0) AS contended_percent,
        100.0 * hits / nullif(hits + misses + fallbacks, 0) AS hit_percent,
        100.0 * cpu_spin_ns / (wall_ns * cpus) AS spin_percent,
        100.0 * cpu_idle_ns / (wall_ns * cpus) AS idle_percent,
        100.0 * (cpu_scan_ns + cpu_flush_ns + cpu_interrupted_ns) / (wall_ns * cpus) AS flush_percent,
        (cpu_scan_ns + cpu_flush_ns) / nullif(scans, 0) / 1e3 AS pass_us,
        cpu_interrupted_ns / nullif(scans, 0) / 1e3 AS stolen_us,
        freed / nullif(scans, 0) AS freed_per_pass,
        (wall_ns::HUGEINT * cpus - cpu_idle_ns) / operations / 1e3 AS busy_us
    FROM results
    WHERE state = 'done'
)
SELECT
    figures.*,
    figures.operations_per_s / bound.operations_per_s AS share,
    figures.wall_ns / bound.wall_ns AS times_as_long,
    figures.busy_us - bound.busy_us AS dearer_us
FROM figures
LEFT JOIN (
    SELECT DISTINCT ON (trace, trace_operations, workload, machine, costs, cpus, lowmem, loop, jitter_percent, replication)
        *
    FROM figures
    WHERE allocator = 'direct_map'
) AS bound
    USING (trace, trace_operations, workload, machine, costs, cpus, lowmem, loop, jitter_percent, replication)
