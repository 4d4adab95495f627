-- question: How busy is the lock, in the format of lockmeter?
-- param: top = 20; number of rows per table of measured locks: those with the longest total wait
-- column: run; name of the run, or of the table of measured locks
-- column: lock; the pool's lock, or the name of the lock in the measuring tool; NULL: not available
-- column: site; all, or the side of the operation: map or unmap; of measured locks, the code that took it
-- column: util_percent (%); UTIL: share of wall time during which the lock is held
-- column: con_percent (%); CON: contended acquisitions as a share of all
-- column: hold_mean_us (us); HOLD: mean hold of all acquisitions
-- column: hold_max_us (us); longest hold
-- column: wait_mean_us (us); WAIT: mean wait of contended acquisitions
-- column: wait_max_us (us); longest wait
-- column: cpu_percent (%); %CPU: time spent spinning, as a share of wall time x CPUs
-- column: acquisitions; TOTAL: times the lock was taken
-- reads: totals
SELECT
    run,
    lock,
    site,
    util_percent,
    con_percent,
    hold_mean_ns / 1e3 AS hold_mean_us,
    hold_max_ns / 1e3 AS hold_max_us,
    wait_mean_ns / 1e3 AS wait_mean_us,
    wait_max_ns / 1e3 AS wait_max_us,
    cpu_percent,
    acquisitions
FROM locks
WHERE provenance = 'simulated' OR place <= $top
ORDER BY run, place, site
