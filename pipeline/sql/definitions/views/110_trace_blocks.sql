-- view: progress of a run in 600 blocks of equally many rows of its trace; the blocks divide the largest
--     number of operations that a run of the trace in this session completed
-- column: block int64; number of the block, from 0
-- column: operations int64; number of completed operations
-- column: done_ns double (ns); sum of the completion times
-- column: lost_ns int64 (ns); sum of the times from request to served, for map and unmap
-- kept: a session makes it once
-- summed: while the run is written, unless it ended early
WITH cut AS (
    SELECT run, max(operations) OVER (PARTITION BY trace_sha256) AS operations FROM runs
)
SELECT o.run, least(o.op * 600 // c.operations, 599) AS block, count(*) AS operations,
    CAST(sum(o.done_ns) AS DOUBLE) AS done_ns,
    sum((o.mapped_ns - o.asked_ns) + (o.done_ns - o.unmap_asked_ns)) AS lost_ns
FROM operations AS o INNER JOIN cut AS c ON o.run = c.run
GROUP BY o.run, block
