-- question: Which kind of operation waits for the lock, and behind which kind's flush?
-- column: run; name of the run
-- column: site; side of the operation that waited: map or unmap
-- column: kind; what asked for the mapping that waited; NULL: the lock was taken again
-- column: flush_kind; kind of the operation whose flush it waited for longest; NULL: no flush
-- column: waits; contended acquisitions
-- column: wait_ms (ms); their time together
-- column: mean_us (us); mean wait
-- column: share_percent (%); of all time waited for the lock in the run
-- reads: operations, relock, flush
WITH flushers AS (
    SELECT DISTINCT
        o.run,
        o.op,
        o.kind
    FROM operations AS o
    SEMI JOIN flushes AS f ON o.run = f.run AND o.op = f.op
)

SELECT
    w.run,
    w.site,
    w.kind,
    f.kind AS flush_kind,
    count(*) AS waits,
    sum(w.wait_ns) / 1e6 AS wait_ms,
    avg(w.wait_ns) / 1e3 AS mean_us,
    100.0 * sum(w.wait_ns) / nullif(sum(sum(w.wait_ns)) OVER (PARTITION BY w.run), 0) AS share_percent
FROM lock_waits AS w
LEFT JOIN flushers AS f ON w.run = f.run AND w.flush_op = f.op
GROUP BY w.run, w.site, w.kind, f.kind
ORDER BY w.run, wait_ms DESC, w.site, w.kind, flush_kind
