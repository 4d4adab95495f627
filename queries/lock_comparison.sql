-- question: How do locks measured on a real machine compare with those simulated?
-- param: top = 10; rows of a table of measured locks: those with most waiting
-- param: name = '%'; pattern (LIKE) of the measured locks or sites
-- column: run; name of the run, or of the table of measured locks
-- column: provenance; simulated or measured
-- column: lock; the pool's lock, or what a tool calls the lock; NULL: it does not tell
-- column: site; all, or who took or waited for the lock
-- column: type; spinlock, mutex, rwsem:R ...
-- column: acquisitions; times the lock was taken
-- column: contended; those that waited for it
-- column: con_percent (%); their share
-- column: hold_mean_us (us); mean hold
-- column: hold_max_us (us); longest hold
-- column: wait_mean_us (us); mean wait of contended acquisitions
-- column: wait_max_us (us); longest wait
-- column: wait_ms (ms); all waits together
-- column: wall_ms (ms); how long was measured or simulated
-- column: derived; of what was measured, the figures that follow from others; NULL figures are absent
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
