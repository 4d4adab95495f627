-- view: number of operations between those of one page, in the order of the trace, by power of two
-- column: gap string; again: since the previous mapping of the page; first: from the begin of the trace to
--     the page's first mapping; last: from its last mapping to the end of the trace. Counts include the later
--     operation
-- column: operations_from int64; smallest number of operations in the gap; the largest is below twice this
-- column: n int64; number of gaps
-- column: operations int64; number of operations in all gaps
-- kept: a session makes it once
-- summed: while the run is written, unless it ended early or its trace has very many pages
-- Windows without an order use the order of the sorted rows.
WITH sorted AS (
    SELECT run, page, op FROM operations ORDER BY run, page, op
),
mapped AS (
    SELECT run, op, CASE WHEN lag(page) OVER () = page AND lag(run) OVER () = run THEN lag(op) OVER () END AS before,
        coalesce(lead(page) OVER () <> page OR lead(run) OVER () <> run, true) AS is_last
    FROM sorted
),
ends AS (
    SELECT run, max(op) + 1 AS op FROM operations GROUP BY run
),
gaps AS (
    SELECT run, CASE WHEN before IS NULL THEN 'first' ELSE 'again' END AS gap, op - coalesce(before, -1) AS ops
    FROM mapped
    UNION ALL
    SELECT m.run, 'last', e.op - m.op FROM mapped AS m INNER JOIN ends AS e ON m.run = e.run WHERE m.is_last
)
SELECT run, gap, 1 << CAST(floor(log2(ops)) AS BIGINT) AS operations_from, count(*) AS n, sum(ops) AS operations
FROM gaps GROUP BY run, gap, operations_from
