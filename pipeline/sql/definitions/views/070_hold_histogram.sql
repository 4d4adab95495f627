-- view: counts of lock hold times by site, for the macros `quantiles` and `tail`
-- column: part string; site: map or unmap
-- column: value int64 (ns); lock hold time
-- column: n int64; number of holds of exactly this length
-- kept: a session makes it once
-- summed: while the run is written, unless there are very many distinct values
SELECT run, site AS part, hold_ns AS value, count(*) AS n FROM lock_holds GROUP BY run, site, hold_ns
