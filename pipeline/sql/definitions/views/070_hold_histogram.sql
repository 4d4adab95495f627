-- view: how often each hold of the lock occurs, by site: what the macros `quantiles` and `tail` take
-- column: part string; site: map or unmap
-- column: value int64 (ns); a hold of the lock
-- column: n int64; how many lasted exactly so long
-- kept: a session makes it once
-- summed: while the run is written, unless there are very many different ones
SELECT run, site AS part, hold_ns AS value, count(*) AS n FROM lock_holds GROUP BY run, site, hold_ns
