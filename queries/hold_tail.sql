-- question: What fraction of lock holds is at least as long as a given time?
-- param: per_octave = 4; number of points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: hold_us (us); a hold time
-- column: holds_at_least; number of holds at least this long
-- column: share_percent (%); these holds as a share of all holds of the site; exact at each point
-- reads: operations, relock
SELECT
    run,
    part AS site,
    value / 1e3 AS hold_us,
    at_least AS holds_at_least,
    100.0 * at_least / total AS share_percent
FROM tail('hold_histogram', $per_octave)
ORDER BY run, site, hold_us
