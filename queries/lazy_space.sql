-- question: How much address space is unmapped and waits for a flush, over time, without guard pages?
-- column: run; name of the run
-- column: time_ms (ms); begin of the bucket, one of 100 of the longest run
-- column: most_mib (MiB); largest amount in the bucket
-- column: at_end_mib (MiB); amount after the last change in the bucket
-- reads: operations, scan
-- A purge returns all areas that were unmapped before its scan. In vmap_block, pages of blocks wait until the
-- whole block is unmapped, which the log does not show; its runs are left out.
WITH chosen AS (
    SELECT run
    FROM lock_classes
    GROUP BY run
    HAVING NOT bool_or(name IN ('list', 'block'))
),

steps AS (
    SELECT
        o.run,
        o.done_ns AS time_ns,
        o.pages,
        0 AS purge
    FROM operations AS o
    INNER JOIN chosen AS c ON o.run = c.run
    WHERE o.done_ns IS NOT NULL
    UNION ALL
    SELECT
        s.run,
        s.time_ns,
        0 AS pages,
        1 AS purge
    FROM scans AS s
    INNER JOIN chosen AS c ON s.run = c.run
),

numbered AS (
    SELECT
        *,
        sum(purge) OVER (PARTITION BY run ORDER BY time_ns, purge ROWS UNBOUNDED PRECEDING) AS purges
    FROM steps
),

held AS (
    SELECT
        run,
        time_ns,
        sum(pages) OVER (PARTITION BY run, purges ORDER BY time_ns ROWS UNBOUNDED PRECEDING) AS pages
    FROM numbered
),

width AS (SELECT max(wall_ns) // 100 + 1 AS bucket_ns FROM runs)

SELECT
    h.run,
    h.time_ns // w.bucket_ns * w.bucket_ns / 1e6 AS time_ms,
    max(h.pages) * 4096 / 1048576.0 AS most_mib,
    arg_max(h.pages, h.time_ns) * 4096 / 1048576.0 AS at_end_mib
FROM held AS h
CROSS JOIN width AS w
GROUP BY h.run, h.time_ns // w.bucket_ns * w.bucket_ns
ORDER BY h.run, time_ms
