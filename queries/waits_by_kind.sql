-- question: Which kinds of operations wait for the lock, and behind flushes of which kinds?
-- column: run; name of the run
-- column: site; side of the operation that waited: map or unmap
-- column: kind; kind of the operation that waited; NULL: the lock was taken again
-- column: flush_kind; kind of the operation whose flush took the longest part of the wait; NULL: no flush
-- column: waits; contended acquisitions
-- column: wait_ms (ms); total of these waits
-- column: mean_us (us); mean wait
-- column: share_percent (%); share of all time waited for the lock in the run
-- reads: operations, relock
WITH waits AS MATERIALIZED (
    SELECT
        run,
        site,
        kind,
        flush_op,
        count(*) AS n,
        sum(wait_ns) AS ns
    FROM lock_waits
    GROUP BY run, site, kind, flush_op
),

flushers AS (
    SELECT DISTINCT
        o.run,
        o.op,
        o.kind
    FROM operations AS o
    SEMI JOIN waits AS w ON o.run = w.run AND o.op = w.flush_op
)

SELECT
    w.run,
    w.site,
    w.kind,
    f.kind AS flush_kind,
    sum(w.n) AS waits,
    sum(w.ns) / 1e6 AS wait_ms,
    sum(w.ns) / sum(w.n) / 1e3 AS mean_us,
    100.0 * sum(w.ns) / nullif(sum(sum(w.ns)) OVER (PARTITION BY w.run), 0) AS share_percent
FROM waits AS w
LEFT JOIN flushers AS f ON w.run = f.run AND w.flush_op = f.op
GROUP BY w.run, w.site, w.kind, f.kind
ORDER BY w.run, wait_ms DESC, w.site, w.kind, flush_kind
