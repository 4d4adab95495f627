-- question: How soon is a page mapped again, counted in operations?
-- column: run; name of the run
-- column: operations_from; this row: pages mapped again after at least so many operations; NULL: never before
-- column: operations_to; and fewer than so many
-- column: maps; mappings
-- column: share_percent (%); their share
-- column: up_to_percent (%); mappings of a page that had been mapped fewer than operations_to before
-- column: distinct_pages; pages in operations_to operations in a row, mean
-- reads: operations
-- An interval counts operations since the page was mapped before, in the trace's order, this one included: an
-- upper bound of the distinct pages since then (the stack distance). Distinct pages in a window follow from
-- the intervals alone (Xiang et al., HOTL, ASPLOS 2013): a window misses a page if it lies within one of the
-- page's intervals, or before its first mapping or after its last.
-- The gaps of one page reach from one operation before the trace to its end.
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

-- The windows looked at are as long as octaves begin, so that of each octave the sums are enough.
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
