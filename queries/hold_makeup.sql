-- question: What is the time for which the lock is held made of?
-- column: run; name of the run
-- column: site; map or unmap
-- column: part; scan, flush, local_flush, search, pte_write; rest: book-keeping, interrupts, contention
-- column: source; measured: events within the hold; derived: a count x its price in the profile; rest
-- column: total_ms (ms); time of all holds of the site that went to it
-- column: share_percent (%); its share of them
-- column: per_hold_us (us); the same per acquisition
-- reads: totals, operations, relock, scan, flush, local_flush
WITH within AS MATERIALIZED (
    SELECT
        run,
        op,
        event,
        time_ns,
        duration_ns
    FROM events
    WHERE event IN ('scan', 'flush', 'local_flush')
),

-- Operations by number alone first: of other runs, some come along.
holds AS MATERIALIZED (
    SELECT
        h.run,
        h.site,
        h.op,
        h.time_ns,
        h.hold_ns
    FROM lock_holds AS h
    SEMI JOIN within AS w ON h.op = w.op
),

logged AS (
    SELECT
        h.run,
        h.site,
        e.event AS part,
        'measured' AS source,
        sum(least(e.time_ns + e.duration_ns, h.time_ns + h.hold_ns) - e.time_ns) AS ns
    FROM within AS e
    INNER JOIN holds AS h
        ON e.run = h.run AND e.op = h.op AND e.time_ns >= h.time_ns AND e.time_ns < h.time_ns + h.hold_ns
    GROUP BY h.run, h.site, e.event
),

counts AS (
    SELECT
        run,
        sum(probed_locked) AS probed,
        sum(misses_locked) AS misses
    FROM task_totals
    GROUP BY run
),

prices AS (
    SELECT
        run,
        max(CAST(value AS BIGINT)) FILTER (WHERE cost = 'probe_ns') AS probe_ns,
        max(CAST(value AS BIGINT)) FILTER (WHERE cost = 'pte_write_ns') AS pte_write_ns
    FROM costs
    WHERE cost IN ('probe_ns', 'pte_write_ns')
    GROUP BY run
),

-- A price is not charged for what no event tells of: a search or a write that took no time has no row.
parts AS (
    FROM logged
    UNION ALL
    SELECT
        c.run,
        'map' AS site,
        'search' AS part,
        'derived' AS source,
        c.probed * p.probe_ns AS ns
    FROM counts AS c
    INNER JOIN prices AS p ON c.run = p.run
    UNION ALL
    SELECT
        c.run,
        'map' AS site,
        'pte_write' AS part,
        'derived' AS source,
        c.misses * p.pte_write_ns AS ns
    FROM counts AS c
    INNER JOIN prices AS p ON c.run = p.run
),

known AS (
    SELECT
        run,
        site,
        sum(ns) AS ns
    FROM parts
    GROUP BY run, site
),

sites AS (
    SELECT t.*
    FROM lock_totals AS t
    INNER JOIN runs ON t.run = runs.run
    WHERE t.acquisitions > 0 AND runs.events = 'full'
),

together AS (
    FROM parts
    UNION ALL
    SELECT
        s.run,
        s.site,
        'rest' AS part,
        'rest' AS source,
        s.hold_ns - coalesce(k.ns, 0) AS ns
    FROM sites AS s
    LEFT JOIN known AS k ON s.run = k.run AND s.site = k.site
)

SELECT
    s.run,
    s.site,
    t.part,
    t.source,
    t.ns / 1e6 AS total_ms,
    100.0 * t.ns / nullif(s.hold_ns, 0) AS share_percent,
    t.ns / s.acquisitions / 1e3 AS per_hold_us
FROM together AS t
INNER JOIN sites AS s ON t.run = s.run AND t.site = s.site
WHERE t.ns <> 0 OR t.part = 'rest'
ORDER BY s.run, s.site, total_ms DESC, t.part
