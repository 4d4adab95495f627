-- question: How long is a scan, by how many slots were mapped when it began?
-- param: step = 16; mapped slots are put together in steps of so many
-- column: run; name of the run
-- column: slots_from (slots); slots with a mapping in force when the scan began: at least so many
-- column: slots_to (slots); at most so many
-- column: scans; scans that began so
-- column: mappings_mean; mappings in force, mean; more than slots where several map one page
-- column: scanned_mean (slots); slots passed over, mean
-- column: freed_mean (slots); slots that became free, mean
-- column: duration_mean_us (us); length of the scan, mean
-- column: duration_max_us (us); longest
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
