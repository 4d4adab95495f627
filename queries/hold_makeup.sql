-- question: How is lock hold time spent?
-- param: sample = 75000; line traffic is estimated from at least this many holds of each run, or from all
-- column: run; name of the run
-- column: site; map or unmap
-- column: part; scan, flush, local_flush, search, pte_write or line traffic; the remainder is "book-keeping,
--     interrupts", or "rest" in runs with several locks, whose line traffic is not known
-- column: source; measured: events during the hold; derived: a count x its cost in the machine profile; rest
-- column: total_ms (ms); hold time of the site spent on this part
-- column: share_percent (%); the same as a share of the site's hold time
-- column: per_hold_us (us); the same per acquisition
-- reads: totals, operations, relock, scan, flush, local_flush
-- Line traffic is the delay of a release by spinning CPUs: their number x the cost of each. It is estimated
-- from a sample of the holds. The log does not tell whether an interrupt during a hold
-- overlaps a measured event, so interrupts are part of the remainder.
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

-- Filtered by operation number only; the join below drops the holds of other runs.
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

-- Holds are sampled by the time of their release: in one of every mask + 1 windows of 2**bits ns.
windows AS (
    SELECT
        t.run,
        CAST(floor(log2(greatest(any_value(runs.wall_ns) / 30000, 1))) AS INTEGER) AS bits,
        (1 << CAST(floor(log2(greatest(sum(t.acquisitions) / $sample, 1))) AS INTEGER)) - 1 AS mask,
        -- Longest possible delay of a release.
        coalesce(any_value(runs.cpus * p.spinner_ns), 0) AS reach_ns
    FROM lock_totals AS t
    INNER JOIN runs ON t.run = runs.run
    LEFT JOIN prices AS p ON t.run = p.run
    GROUP BY t.run
),

chosen AS MATERIALIZED (
    SELECT
        h.run,
        h.site,
        h.lock,
        h.time_ns,
        h.time_ns + h.hold_ns AS end_ns
    FROM lock_holds AS h
    INNER JOIN windows AS w ON h.run = w.run
    WHERE ((h.time_ns + h.hold_ns) >> w.bits) & w.mask = w.mask >> 1
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

-- Levels in the sampled windows and in reach_ns before the end of every window.
near AS MATERIALIZED (
    SELECT
        s.run,
        s.time_ns,
        s.level
    FROM spinning AS s
    INNER JOIN windows AS w ON s.run = w.run
    WHERE
        (s.time_ns >> w.bits) & w.mask = w.mask >> 1
        OR coalesce((s.until_ns + w.reach_ns) >> w.bits > s.time_ns >> w.bits, TRUE)
),

single AS (
    SELECT run
    FROM chosen
    GROUP BY run
    HAVING min(lock) = max(lock)
),

-- CPUs that start to spin during the delay do not extend it, so the level at the start of the delay counts.
releases AS (
    SELECT
        c.run,
        c.site,
        greatest(c.end_ns - coalesce(s.level, 0) * p.spinner_ns, c.time_ns) AS release_ns,
        p.spinner_ns
    FROM chosen AS c
    SEMI JOIN single ON c.run = single.run
    INNER JOIN prices AS p ON c.run = p.run AND p.spinner_ns > 0
    ASOF LEFT JOIN near AS s ON c.run = s.run AND c.end_ns > s.time_ns
),

delays AS (
    SELECT
        r.run,
        r.site,
        sum(s.level * r.spinner_ns) AS ns
    FROM releases AS r
    ASOF INNER JOIN near AS s ON r.run = s.run AND r.release_ns >= s.time_ns
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

-- A search or a PTE write that took no time has no row.
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
