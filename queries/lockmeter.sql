-- question: How busy is the lock, in the columns of lockmeter?
-- param: top = 20; rows of a table of measured locks: those with most waiting
-- column: run; name of the run, or of the table of measured locks
-- column: lock; the pool's lock, or what a tool calls the lock; NULL: it does not tell
-- column: site; all, or the side of the operation: map or unmap; of measured locks, who took it
-- column: util_percent (%); UTIL: share of the wall time during which the lock was held
-- column: con_percent (%); CON: share of acquisitions that found the lock busy
-- column: hold_mean_us (us); HOLD: mean over all acquisitions
-- column: hold_max_us (us); longest hold
-- column: wait_mean_us (us); WAIT: mean spin of contended acquisitions
-- column: wait_max_us (us); longest spin
-- column: cpu_percent (%); %CPU: spinning as a share of wall time x CPUs
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
