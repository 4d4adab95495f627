-- question: What is the time for which the lock is held made of?
-- column: run; name of the run
-- column: site; map or unmap
-- column: part; scan, flush, local_flush, search, pte_write, line traffic; the remainder is book-keeping and
--     interrupts, or with several locks, whose line traffic is not known, rest
-- column: source; measured: events within the hold; derived: a count x its price in the profile; rest
-- column: total_ms (ms); time of all holds of the site that went to it
-- column: share_percent (%); its share of them
-- column: per_hold_us (us); the same per acquisition
-- reads: totals, operations, relock, scan, flush, local_flush
-- Line traffic is what spinners make a release wait: their number then x the price of each. It is that of at
-- most some 200,000 holds of each run, evenly chosen. An interrupt during a hold may fall into a time that is
-- measured already, which the log does not tell: interrupts are in the remainder.
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

steps AS (
    SELECT
        run,
        greatest(sum(acquisitions) // 200000, 1) AS step
    FROM lock_totals
    GROUP BY run
),

chosen AS MATERIALIZED (
    SELECT
        h.run,
        h.site,
        h.lock,
        h.time_ns,
        h.time_ns + h.hold_ns AS end_ns
    FROM lock_holds AS h
    INNER JOIN steps AS s ON h.run = s.run
    WHERE h.op % s.step = 0
),

shares AS (
    SELECT
        c.run,
        c.site,
        any_value(t.acquisitions) / count(*) AS scale
    FROM chosen AS c
    INNER JOIN lock_totals AS t ON c.run = t.run AND c.site = t.site
    GROUP BY c.run, c.site
),

prices AS (
    SELECT
        run,
        max(CAST(value AS BIGINT)) FILTER (WHERE cost = 'probe_ns') AS probe_ns,
        max(CAST(value AS BIGINT)) FILTER (WHERE cost = 'pte_write_ns') AS pte_write_ns,
        max(CAST(value AS BIGINT)) FILTER (WHERE cost = 'hold_per_spinner_ns') AS spinner_ns
    FROM costs
    WHERE cost IN ('probe_ns', 'pte_write_ns', 'hold_per_spinner_ns')
    GROUP BY run
),

single AS (
    SELECT run
    FROM chosen
    GROUP BY run
    HAVING count(DISTINCT lock) = 1
),

-- Who comes while the release waits makes it wait no longer, so that it is looked at before that.
releases AS (
    SELECT
        c.run,
        c.site,
        greatest(c.end_ns - coalesce(s.level, 0) * p.spinner_ns, c.time_ns) AS release_ns,
        p.spinner_ns
    FROM chosen AS c
    SEMI JOIN single ON c.run = single.run
    INNER JOIN prices AS p ON c.run = p.run AND p.spinner_ns > 0
    ASOF LEFT JOIN spinning AS s ON c.run = s.run AND c.end_ns > s.time_ns
),

delays AS (
    SELECT
        r.run,
        r.site,
        sum(s.level * r.spinner_ns) AS ns
    FROM releases AS r
    ASOF INNER JOIN spinning AS s ON r.run = s.run AND r.release_ns >= s.time_ns
    GROUP BY r.run, r.site
),

counts AS (
    SELECT
        run,
        sum(probed_locked) AS probed,
        sum(misses_locked) AS misses
    FROM task_totals
    GROUP BY run
),

-- A price is not charged for what no event tells of: a search or a write that took no time has no row.
parts AS (
    FROM logged
    UNION ALL
    SELECT
        d.run,
        d.site,
        'line traffic' AS part,
        'derived' AS source,
        d.ns * s.scale AS ns
    FROM delays AS d
    INNER JOIN shares AS s ON d.run = s.run AND d.site = s.site
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
        CASE WHEN single.run IS NULL THEN 'rest' ELSE 'book-keeping, interrupts' END AS part,
        'rest' AS source,
        s.hold_ns - coalesce(k.ns, 0) AS ns
    FROM sites AS s
    LEFT JOIN single ON s.run = single.run
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
WHERE t.ns <> 0 OR t.source = 'rest'
ORDER BY s.run, s.site, total_ms DESC, t.part
