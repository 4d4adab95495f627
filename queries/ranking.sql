-- question: How far did each run get, block by block of the trace, and what did mapping cost there?
-- param: blocks = 25; blocks of equally many rows that the trace is cut into
-- column: run; name of the run
-- column: block; block of the trace's rows, from 0
-- column: operations; operations of the block that were done
-- column: done_ms (ms); when they were done, mean
-- column: lost_us (us); an operation's map and unmap, each from asking to being served, mean
-- reads: operations
-- A run that ended early has seen fewer rows of the trace than another.
WITH rows AS (
    SELECT
        trace_sha256,
        max(operations) AS operations
    FROM runs
    GROUP BY trace_sha256
),

cut AS (
    SELECT
        runs.run,
        greatest(rows.operations, 1) AS operations
    FROM runs
    INNER JOIN rows ON runs.trace_sha256 = rows.trace_sha256
)

SELECT
    o.run,
    least(o.op * $blocks // c.operations, $blocks - 1) AS block,
    count(*) AS operations,
    avg(o.done_ns) / 1e6 AS done_ms,
    avg((o.mapped_ns - o.asked_ns) + (o.done_ns - o.unmap_asked_ns)) / 1e3 AS lost_us
FROM operations AS o
INNER JOIN cut AS c ON o.run = c.run
GROUP BY o.run, block
ORDER BY o.run, block
