-- question: How fast did each run process each block of the trace, and how long did mapping take there?
-- param: blocks = 25; number of blocks with equally many rows
-- column: run; name of the run
-- column: block; number of the block, from 0
-- column: operations; completed operations of the block
-- column: done_ms (ms); completion time of these operations, mean
-- column: lost_us (us); time from request to mapped plus time from unmap request to done, mean per operation
-- reads: operations
-- Blocks are cut from the rows of the trace, of which a run that ended early replayed fewer.
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
    -- Numbers of blocks that do not divide 600 cannot be computed from the sums.
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
