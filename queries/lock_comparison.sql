-- question: How do locks measured on a real machine compare with simulated locks?
-- param: top = 10; rows per table of measured locks, by total wait
-- param: name = '%'; pattern (LIKE) for the names of measured locks or sites
-- column: run; name of the run, or of the table of measured locks
-- column: provenance; simulated or measured
-- column: lock; the pool's lock, or the name of the lock in the measuring tool; NULL: not available
-- column: site; all, or the code that took or waited for the lock
-- column: type; spinlock, mutex, rwsem:R ...
-- column: acquisitions; times the lock was taken
-- column: contended; acquisitions that waited
-- column: con_percent (%); contended acquisitions as a share of all
-- column: hold_mean_us (us); mean hold
-- column: hold_max_us (us); longest hold
-- column: wait_mean_us (us); mean wait of contended acquisitions
-- column: wait_max_us (us); longest wait
-- column: wait_ms (ms); total wait
-- column: wall_ms (ms); measured or simulated time
-- column: derived; columns of a measured row that were computed from others; NULL columns are not available
-- reads: totals
SELECT
    run,
    provenance,
    lock,
    site,
    type,
    acquisitions,
    contended,
    con_percent,
    hold_mean_ns / 1e3 AS hold_mean_us,
    hold_max_ns / 1e3 AS hold_max_us,
    wait_mean_ns / 1e3 AS wait_mean_us,
    wait_max_ns / 1e3 AS wait_max_us,
    wait_ns / 1e6 AS wait_ms,
    wall_ns / 1e6 AS wall_ms,
    derived
FROM locks
WHERE provenance = 'simulated' OR lock LIKE $name OR site LIKE $name
QUALIFY provenance = 'simulated' OR row_number() OVER (PARTITION BY run ORDER BY place) <= $top
ORDER BY run, place, site
