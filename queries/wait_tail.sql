-- question: What fraction of lock acquisitions waits at least a given time?
-- param: per_octave = 4; number of points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: wait_us (us); a wait
-- column: waits_at_least; number of acquisitions that waited at least this long
-- column: share_percent (%); these acquisitions as a share of all of the site; exact at each point
-- reads: totals, operations, relock
SELECT
    w.run,
    w.part AS site,
    w.value / 1e3 AS wait_us,
    w.at_least AS waits_at_least,
    100.0 * w.at_least / a.acquisitions AS share_percent
FROM tail('wait_histogram', $per_octave) AS w
INNER JOIN lock_totals AS a ON w.run = a.run AND w.part = a.site
ORDER BY w.run, w.part, w.value
