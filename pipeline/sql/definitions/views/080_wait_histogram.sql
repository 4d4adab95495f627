-- view: counts of the wait times of contended acquisitions by site, for the macros `quantiles` and `tail`
-- column: part string; site: map or unmap
-- column: value int64 (ns); wait time of a contended acquisition
-- column: n int64; number of waits of exactly this length; if nearly all waits differ, a value may have
--     several rows
-- summed: while the run is written, unless there are very many distinct values
SELECT run, site AS part, wait_ns AS value, 1 AS n FROM lock_waits
