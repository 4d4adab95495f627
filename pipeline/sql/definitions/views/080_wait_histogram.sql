-- view: how often each wait of a contended acquisition occurs, by site: what the macros `quantiles` and
--     `tail` take
-- column: part string; site: map or unmap
-- column: value int64 (ns); a wait of a contended acquisition
-- column: n int64; waits that lasted exactly so long; where nearly all waits differ, there are several rows
--     of those that do not
-- summed: while the run is written, unless there are very many different ones
SELECT run, site AS part, wait_ns AS value, 1 AS n FROM lock_waits
