-- question: How does the length of a scan depend on the number of slots in use?
-- param: step = 16; width of a group of scans, in slots in use
-- column: run; name of the run
-- column: slots_from (slots); slots in use when the scan began: at least this many
-- column: slots_to (slots); at most this many
-- column: scans; number of scans
-- column: mappings_mean; mappings in use, mean; more than the slots if several mappings share a page
-- column: scanned_mean (slots); slots scanned, mean
-- column: freed_mean (slots); slots freed, mean
-- column: duration_mean_us (us); mean duration
-- column: duration_max_us (us); longest duration
-- reads: totals, operations, scan
WITH pinned AS (
    SELECT
        s.run,
        s.scanned,
        s.freed,
        s.duration_ns,
        m.mappings,
        m.slots // $step * $step AS slots_from
    FROM scans AS s
    INNER JOIN mapped_at('scans') AS m ON s.run = m.run AND s.time_ns = m.time_ns
)

SELECT
    run,
    slots_from,
    slots_from + $step - 1 AS slots_to,
    count(*) AS scans,
    avg(mappings) AS mappings_mean,
    avg(scanned) AS scanned_mean,
    avg(freed) AS freed_mean,
    avg(duration_ns) / 1e3 AS duration_mean_us,
    max(duration_ns) / 1e3 AS duration_max_us
FROM pinned
GROUP BY run, slots_from
ORDER BY run, slots_from
