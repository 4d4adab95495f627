-- question: After how many operations is a page mapped again?
-- column: run; name of the run
-- column: operations_from; pages mapped again after at least this many operations; NULL: mapped for the
--     first time
-- column: operations_to; pages mapped again after fewer than this many operations
-- column: maps; number of mappings
-- column: share_percent (%); these mappings as a share of all
-- column: up_to_percent (%); share of mappings whose page was last mapped fewer than operations_to
--     operations ago
-- column: distinct_pages; distinct pages in operations_to successive operations, mean
-- reads: operations
-- A reuse interval counts operations since the previous mapping of the page, in the order of the trace. It
-- includes the current operation, so it is an upper bound on the stack distance. The number of distinct pages
-- in a window follows from the intervals (Xiang et al., HOTL, ASPLOS 2013). A window misses a page if it lies
-- within one of the page's intervals, before its first mapping or after its last.
-- The intervals of a page span one operation before the trace to the end of the trace.
WITH extent AS (
    SELECT
        run,
        sum(n) FILTER (WHERE gap = 'last') AS pages,
        sum(operations) // pages - 1 AS operations
    FROM page_gaps
    GROUP BY run
),

octaves AS (
    SELECT
        run,
        CASE WHEN gap = 'again' THEN operations_from END AS operations_from,
        sum(n) AS maps
    FROM page_gaps
    WHERE gap <> 'last'
    GROUP BY ALL
),

-- Window lengths are powers of two, so the sums of each octave are sufficient.
windows AS (
    SELECT
        o.run,
        o.operations_from,
        any_value(e.pages)
        - coalesce(sum(g.operations - g.n * 2 * o.operations_from), 0)
        / nullif(greatest(any_value(e.operations) - 2 * o.operations_from + 1, 0), 0) AS pages
    FROM octaves AS o
    INNER JOIN extent AS e ON o.run = e.run
    LEFT JOIN page_gaps AS g ON o.run = g.run AND g.operations_from >= 2 * o.operations_from
    WHERE o.operations_from IS NOT NULL
    GROUP BY o.run, o.operations_from
)

SELECT
    o.run,
    o.operations_from,
    2 * o.operations_from AS operations_to,
    o.maps,
    100.0 * o.maps / sum(o.maps) OVER (PARTITION BY o.run) AS share_percent,
    CASE
        WHEN o.operations_from IS NOT NULL
            THEN
                100.0 * sum(o.maps) OVER (PARTITION BY o.run ORDER BY o.operations_from NULLS LAST)
                / sum(o.maps) OVER (PARTITION BY o.run)
    END AS up_to_percent,
    w.pages AS distinct_pages
FROM octaves AS o
LEFT JOIN windows AS w ON o.run = w.run AND o.operations_from = w.operations_from
ORDER BY o.run, o.operations_from NULLS LAST
