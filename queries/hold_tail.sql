-- question: What share of holds lasts at least a given time?
-- param: per_octave = 4; points per doubling of the time
-- column: run; name of the run
-- column: site; map or unmap
-- column: hold_us (us); a hold
-- column: holds_at_least; holds that lasted at least as long
-- column: share_percent (%); their share of all holds of the site; exact at each point
-- reads: operations, relock
SELECT
    run,
    part AS site,
    value / 1e3 AS hold_us,
    at_least AS holds_at_least,
    100.0 * at_least / total AS share_percent
FROM tail('hold_histogram', $per_octave)
ORDER BY run, site, hold_us
