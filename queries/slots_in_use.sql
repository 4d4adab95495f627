-- question: How many slots are in use, over time?
-- param: buckets = 120; number of sampling times in the longest run
-- column: run; name of the run
-- column: time_ms (ms); sampling time, in simulated time
-- column: slots (slots); slots with a mapping in use, which no scan can free
-- column: mappings; mappings in use; more than the slots if several share a page or need no slot
-- column: pool_percent (%); slots in use as a share of the design's address space
-- reads: totals, operations
WITH instants AS (
    SELECT
        run,
        time_ns
    FROM time_buckets($buckets)
)

SELECT
    m.run,
    m.time_ns / 1e6 AS time_ms,
    m.slots,
    m.mappings,
    100.0 * m.slots / nullif(runs.address_space_pages, 0) AS pool_percent
FROM mapped_at('instants') AS m
INNER JOIN runs ON m.run = runs.run
ORDER BY m.run, time_ms
