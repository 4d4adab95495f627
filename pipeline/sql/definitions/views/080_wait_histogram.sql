-- view: how often each wait of a contended acquisition occurs, by site: what the macros `quantiles` and
--     `tail` take
-- column: part string; site: map or unmap
-- column: value int64 (ns); a wait of a contended acquisition
-- column: n int64; how many lasted exactly so long
-- kept: a session makes it once
SELECT run, site AS part, wait_ns AS value, count(*) AS n FROM lock_waits GROUP BY run, site, wait_ns
