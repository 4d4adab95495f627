-- question: How often does each design flush, and what does a flush achieve?
-- column: run; name of the run
-- column: flushes; global or directed TLB flushes
-- column: per_second (1/s); flushes per second of simulated time
-- column: per_1000_misses; flushes per thousand misses
-- column: ipis_per_flush (CPUs); CPUs interrupted per flush, mean
-- column: freed_per_flush (slots); slots freed by scans, per flush
-- column: scans; scans of the pool
-- column: scan_mean (slots); slots scanned per scan, mean
-- column: local_flushes; single addresses invalidated on the local CPU only
-- column: full_local_flushes; flushes of the whole TLB on the local CPU only
-- reads: totals
SELECT
    run,
    flushes,
    1e9 * flushes / nullif(wall_ns, 0) AS per_second,
    1000.0 * flushes / nullif(misses, 0) AS per_1000_misses,
    1.0 * ipis / nullif(flushes, 0) AS ipis_per_flush,
    1.0 * freed / nullif(flushes, 0) AS freed_per_flush,
    scans,
    1.0 * scanned / nullif(scans, 0) AS scan_mean,
    local_flushes,
    full_local_flushes
FROM runs
ORDER BY run
