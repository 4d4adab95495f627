-- view: how many operations lie between those of one page, in the trace's order, by power of two
-- column: gap string; again: since the page was mapped before; first: since the trace began, of the page's
--     first mapping; last: from its last mapping to the trace's end; the later operation counts
-- column: operations_from int64; operations of a gap, at least; fewer than twice as many
-- column: n int64; gaps
-- column: operations int64; operations of all of them together
-- kept: a session makes it once
-- summed: while the run is written, unless it ended early or its trace has very many pages
-- Windows without an order of their own take the rows as they are sorted.
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
