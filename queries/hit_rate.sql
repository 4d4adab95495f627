-- question: How often is a page already mapped, by kind of operation?
-- column: run; name of the run
-- column: kind; kernel operation that requested the mapping; all: every kind together
-- column: operations; operations completed
-- column: hits; requests for a page that was already mapped
-- column: misses; requests that took a slot
-- column: hit_percent (%); hits as a share of hits and misses
-- reads: totals, operations
WITH kinds AS (
    SELECT
        run,
        'all' AS kind,
        operations,
        hits,
        misses
    FROM runs
    UNION ALL
    SELECT
        run,
        kind,
        sum(operations) AS operations,
        sum(hits) AS hits,
        sum(misses) AS misses
    FROM task_totals
    GROUP BY run, kind
)

SELECT
    run,
    kind,
    operations,
    hits,
    misses,
    100.0 * hits / nullif(hits + misses, 0) AS hit_percent
FROM kinds
ORDER BY run, kind <> 'all', operations DESC, kind
