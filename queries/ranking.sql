-- question: How far did each run get, block by block of the trace, and what did mapping cost there?
-- param: blocks = 25; blocks of equally many rows that the trace is cut into
-- column: run; name of the run
-- column: block; block of the trace's rows, from 0
-- column: operations; operations of the block that were done
-- column: done_ms (ms); when they were done, mean
-- column: lost_us (us); an operation's map and unmap, each from asking to being served, mean
-- reads: operations
-- A run that ended early has seen fewer rows of the trace than another.
WITH cut AS (
    SELECT
        run,
        greatest(max(operations) OVER (PARTITION BY trace_sha256), 1) AS operations
    FROM runs
    WHERE 600 % $blocks <> 0
),

parts AS (
    SELECT
        run,
        block * $blocks // 600 AS block,
        operations,
        done_ns,
        lost_ns
    FROM trace_blocks
    WHERE 600 % $blocks = 0
    UNION ALL
    -- Blocks that the sums are not made of.
    SELECT
        o.run,
        least(o.op * $blocks // c.operations, $blocks - 1) AS block,
        1 AS operations,
        o.done_ns,
        (o.mapped_ns - o.asked_ns) + (o.done_ns - o.unmap_asked_ns) AS lost_ns
    FROM operations AS o
    INNER JOIN cut AS c ON o.run = c.run
)

SELECT
    run,
    block,
    sum(operations) AS operations,
    sum(done_ns) / sum(operations) / 1e6 AS done_ms,
    sum(lost_ns) / sum(operations) / 1e3 AS lost_us
FROM parts
GROUP BY run, block
ORDER BY run, block
