-- question: How soon is a page mapped again, counted in operations?
-- param: sampled_operations = 10000000; longer runs are asked about a sample of their pages
-- column: run; name of the run
-- column: operations_from; this row: pages mapped again after at least so many operations; NULL: never before
-- column: operations_to; and fewer than so many
-- column: maps; mappings of the pages looked at
-- column: share_percent (%); their share
-- column: up_to_percent (%); mappings of a page that had been mapped fewer than operations_to before
-- column: distinct_pages; pages in operations_to operations in a row, mean; scaled up if pages were sampled
-- column: pages_percent (%); pages looked at; 100: exact; less: shares are rough where few pages are hot
-- reads: totals, operations
-- An interval counts operations since the page was mapped before, in the trace's order, this one included: an
-- upper bound of the distinct pages since then (the stack distance). Pages are sampled by a hash of their
-- number (Waldspurger et al., SHARDS, FAST 2015); distinct pages in a window follow from the intervals alone
-- (Xiang et al., HOTL, ASPLOS 2013): a window misses a page if it lies within one of the page's intervals.
WITH sampling AS (
    SELECT
        run,
        least(65536, ceil(65536.0 * $sampled_operations / greatest(operations, 1))) AS below
    FROM runs
    WHERE events = 'full'
),

sample AS (
    SELECT
        o.run,
        o.page,
        o.op
    FROM operations AS o
    INNER JOIN sampling AS s ON o.run = s.run
    WHERE hash(o.page) & CAST(65535 AS UBIGINT) < s.below
),

extent AS (
    SELECT
        o.run,
        max(o.op) + 1 AS operations,
        any_value(s.below) / 65536.0 AS sampled
    FROM operations AS o
    INNER JOIN sampling AS s ON o.run = s.run
    GROUP BY o.run
),

-- Windows without an order of their own take the rows as they are sorted, and need not sort them again.
sorted AS (
    SELECT
        run,
        page,
        op
    FROM sample
    ORDER BY run, page, op
),

-- The first mapping of a page has no interval, but windows before it miss the page as well.
intervals AS MATERIALIZED (
    SELECT
        run,
        op,
        CASE WHEN lag(page) OVER () = page AND lag(run) OVER () = run THEN op - lag(op) OVER () END AS ops,
        coalesce(lead(page) OVER () <> page OR lead(run) OVER () <> run, 1 = 1) AS is_last
    FROM sorted
),

histogram AS (
    SELECT
        run,
        ops,
        count(*) AS maps
    FROM intervals
    GROUP BY run, ops
),

gaps AS (
    SELECT
        run,
        ops AS gap,
        maps AS n
    FROM histogram
    WHERE ops IS NOT NULL
    UNION ALL
    SELECT
        run,
        op + 1 AS gap,
        count(*) AS n
    FROM intervals
    WHERE ops IS NULL
    GROUP BY ALL
    UNION ALL
    SELECT
        i.run,
        e.operations - i.op AS gap,
        count(*) AS n
    FROM intervals AS i
    INNER JOIN extent AS e ON i.run = e.run
    WHERE i.is_last
    GROUP BY ALL
),

pages AS (
    SELECT
        run,
        count(*) AS pages
    FROM intervals
    WHERE is_last
    GROUP BY run
),

octaves AS (
    SELECT
        run,
        CASE WHEN ops IS NOT NULL THEN 1 << CAST(floor(log2(ops)) AS BIGINT) END AS operations_from,
        sum(maps) AS maps
    FROM histogram
    GROUP BY ALL
),

-- The windows looked at are as long as octaves begin, so that of each octave the sums are enough.
gap_octaves AS (
    SELECT
        run,
        1 << CAST(floor(log2(gap)) AS BIGINT) AS gap_from,
        sum(n) AS n,
        sum(n * gap) AS total
    FROM gaps
    GROUP BY ALL
),

windows AS (
    SELECT
        o.run,
        o.operations_from,
        any_value(p.pages)
        - coalesce(sum(g.total - g.n * 2 * o.operations_from), 0)
        / nullif(greatest(any_value(e.operations) - 2 * o.operations_from + 1, 0), 0) AS pages
    FROM octaves AS o
    INNER JOIN pages AS p ON o.run = p.run
    INNER JOIN extent AS e ON o.run = e.run
    LEFT JOIN gap_octaves AS g ON o.run = g.run AND g.gap_from >= 2 * o.operations_from
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
    w.pages / e.sampled AS distinct_pages,
    100.0 * e.sampled AS pages_percent
FROM octaves AS o
INNER JOIN extent AS e ON o.run = e.run
LEFT JOIN windows AS w ON o.run = w.run AND o.operations_from = w.operations_from
ORDER BY o.run, o.operations_from NULLS LAST
