-- question: What share of acquisitions waits at least a given time?
-- param: per_octave = 4; points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: wait_us (us); a wait
-- column: waits_at_least; acquisitions that waited at least as long
-- column: share_percent (%); their share of all acquisitions of the site; exact at each point
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
