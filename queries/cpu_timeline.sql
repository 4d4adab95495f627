-- question: What did each CPU do around the longest flush, or else around the slowest map?
-- param: focus_op = -1; show the time around the map of this operation instead; -1: none
-- param: most_us = 4000.0; longest time shown; of a longer event, the end is shown
-- param: marks = 300; number of stretches shown per run: the longest
-- column: run; name of the run
-- column: cpu; CPU
-- column: doing; map or unmap, switch, spin, hold, scan, flush or interrupted; a later one overlays earlier
--     ones
-- column: from_us (us); start, relative to the start of the event
-- column: to_us (us); end, relative to the start of the event
-- column: task; task that ran
-- column: op; operation that the task was working on
-- column: around; the event: flush or map
-- column: around_op; operation of the event
-- column: at_ms (ms); start of the event, in simulated time
-- column: length_us (us); duration of the event
-- reads: operations, flush, scan, ipi, local_flush, sleep, switch, relock
-- Of equally long flushes, the one with the longest total wait is chosen.
WITH longest AS (
    SELECT
        run,
        max(duration_ns) AS ns
    FROM flushes
    WHERE $focus_op < 0
    GROUP BY run
),

-- Little happens while a map sleeps or waits for its CPU, so maps without either are preferred.
slowest AS (
    SELECT
        run,
        coalesce(max(mapped_ns - asked_ns) FILTER (WHERE asleep_ns + pin_wait_ns = 0), 0) AS awake_ns,
        max(mapped_ns - asked_ns) AS ns
    FROM operations
    WHERE $focus_op < 0 AND run NOT IN (SELECT longest.run FROM longest)
    GROUP BY run
),

candidates AS (
    SELECT
        f.run,
        f.op,
        f.time_ns,
        f.duration_ns
    FROM flushes AS f
    INNER JOIN longest AS l ON f.run = l.run AND f.duration_ns = l.ns
),

waited AS (
    SELECT
        o.run,
        o.flush_op,
        sum(o.map_wait_ns + o.unmap_wait_ns) AS ns
    FROM operations AS o
    SEMI JOIN candidates AS c ON o.run = c.run AND o.flush_op = c.op
    GROUP BY o.run, o.flush_op
),

events_of_interest AS (
    SELECT
        c.run,
        'flush' AS around,
        c.op,
        c.time_ns AS begin_ns,
        c.time_ns + c.duration_ns AS end_ns,
        coalesce(w.ns, 0) AS waited_ns
    FROM candidates AS c
    LEFT JOIN waited AS w ON c.run = w.run AND c.op = w.flush_op
    UNION ALL
    SELECT
        o.run,
        'map' AS around,
        o.op,
        o.asked_ns AS begin_ns,
        o.mapped_ns AS end_ns,
        0 AS waited_ns
    FROM operations AS o
    INNER JOIN slowest AS s
        ON
            o.run = s.run
            AND o.mapped_ns - o.asked_ns = CASE WHEN s.awake_ns > 0 THEN s.awake_ns ELSE s.ns END
            AND (s.awake_ns = 0 OR o.asleep_ns + o.pin_wait_ns = 0)
    WHERE s.ns > 0
    UNION ALL
    SELECT
        run,
        'map' AS around,
        op,
        asked_ns AS begin_ns,
        mapped_ns AS end_ns,
        0 AS waited_ns
    FROM operations
    WHERE op = $focus_op
),

spans AS (
    SELECT
        *,
        least(greatest(3 * (end_ns - begin_ns), 100000), $most_us * 1e3) AS span_ns
    FROM events_of_interest
    QUALIFY row_number() OVER (PARTITION BY run ORDER BY waited_ns DESC, begin_ns, op) = 1
),

looked_at AS (
    SELECT
        *,
        end_ns + span_ns / 4 - span_ns AS from_ns,
        end_ns + span_ns / 4 AS to_ns
    FROM spans
),

-- Whole numbers, like the times of the log: DuckDB can then skip most row groups by their statistics.
around AS MATERIALIZED (
    SELECT
        w.run,
        CAST(floor(any_value(w.from_ns)) AS BIGINT) AS from_ns,
        CAST(ceil(any_value(w.to_ns)) AS BIGINT) AS to_ns,
        CAST(floor(any_value(w.from_ns)) AS BIGINT)
        - coalesce(max(e.duration_ns) FILTER (WHERE e.event NOT IN ('sleep', 'pin_wait')), 0)
            AS events_from_ns
    FROM looked_at AS w
    LEFT JOIN events AS e ON w.run = e.run
    GROUP BY w.run
),

within AS (
    SELECT
        o.run,
        o.op,
        o.task,
        o.cpu_map,
        o.cpu_unmap,
        o.asked_ns,
        o.locked_ns,
        o.mapped_ns,
        o.unmap_asked_ns,
        o.done_ns,
        o.map_wait_ns,
        o.map_hold_ns,
        o.unmap_lead_ns,
        o.unmap_wait_ns,
        o.unmap_hold_ns
    FROM operations AS o
    INNER JOIN around AS w ON o.run = w.run AND o.asked_ns < w.to_ns AND o.done_ns > w.from_ns
),

-- A task may wake up on another CPU. Its first sleep records the CPU on which the map began.
slept AS (
    SELECT
        s.run,
        s.op,
        min(s.time_ns) AS time_ns,
        arg_min(s.cpu, s.time_ns) AS cpu
    FROM sleeps AS s
    SEMI JOIN within AS o ON s.run = o.run AND s.op = o.op
    GROUP BY s.run, s.op
),

nearby AS (
    SELECT
        o.*,
        coalesce(s.cpu, o.cpu_map) AS cpu_asked,
        coalesce(s.time_ns, o.mapped_ns) AS left_ns
    FROM within AS o
    LEFT JOIN slept AS s ON o.run = s.run AND o.op = s.op
),

stretches AS (
    SELECT
        run,
        cpu_asked AS cpu,
        'map or unmap' AS doing,
        asked_ns AS begin_ns,
        left_ns AS end_ns,
        task,
        op
    FROM nearby
    UNION ALL
    SELECT
        run,
        cpu_unmap,
        'map or unmap' AS doing,
        unmap_asked_ns,
        done_ns,
        task,
        op
    FROM nearby
    UNION ALL
    SELECT
        run,
        cpu_asked,
        'spin' AS doing,
        locked_ns - map_wait_ns AS begin_ns,
        locked_ns AS end_ns,
        task,
        op
    FROM nearby
    WHERE map_wait_ns > 0
    UNION ALL
    SELECT
        run,
        cpu_asked,
        'hold' AS doing,
        locked_ns AS begin_ns,
        locked_ns + map_hold_ns AS end_ns,
        task,
        op
    FROM nearby
    WHERE map_hold_ns > 0
    UNION ALL
    SELECT
        run,
        cpu_unmap,
        'spin' AS doing,
        unmap_asked_ns + unmap_lead_ns AS begin_ns,
        unmap_asked_ns + unmap_lead_ns + unmap_wait_ns AS end_ns,
        task,
        op
    FROM nearby
    WHERE unmap_wait_ns > 0
    UNION ALL
    SELECT
        run,
        cpu_unmap,
        'hold' AS doing,
        unmap_asked_ns + unmap_lead_ns + unmap_wait_ns AS begin_ns,
        unmap_asked_ns + unmap_lead_ns + unmap_wait_ns + unmap_hold_ns AS end_ns,
        task,
        op
    FROM nearby
    WHERE unmap_hold_ns > 0
    UNION ALL
    SELECT
        e.run,
        e.cpu,
        CASE e.event
            WHEN 'ipi' THEN 'interrupted'
            WHEN 'local_flush' THEN 'flush'
            WHEN 'relock' THEN 'hold'
            ELSE e.event
        END AS doing,
        e.time_ns AS begin_ns,
        e.time_ns + e.duration_ns AS end_ns,
        e.task,
        e.op
    FROM events AS e
    INNER JOIN around AS w ON e.run = w.run AND e.time_ns < w.to_ns AND e.time_ns >= w.events_from_ns
    WHERE e.event IN ('scan', 'flush', 'ipi', 'local_flush', 'switch', 'relock')
    UNION ALL
    SELECT
        e.run,
        e.cpu,
        'spin' AS doing,
        e.time_ns - e.wait_ns AS begin_ns,
        e.time_ns AS end_ns,
        e.task,
        e.op
    FROM events AS e
    INNER JOIN looked_at AS w ON e.run = w.run AND e.time_ns - e.wait_ns < w.to_ns AND e.time_ns > w.from_ns
    WHERE e.event = 'relock' AND e.wait_ns > 0
)

SELECT
    s.run,
    s.cpu,
    s.doing,
    (greatest(s.begin_ns, w.from_ns) - w.begin_ns) / 1e3 AS from_us,
    (least(s.end_ns, w.to_ns) - w.begin_ns) / 1e3 AS to_us,
    s.task,
    s.op,
    w.around,
    w.op AS around_op,
    w.begin_ns / 1e6 AS at_ms,
    (w.end_ns - w.begin_ns) / 1e3 AS length_us
FROM stretches AS s
INNER JOIN looked_at AS w ON s.run = w.run
WHERE s.begin_ns < w.to_ns AND s.end_ns > w.from_ns AND s.end_ns > s.begin_ns
QUALIFY
    row_number() OVER (
        PARTITION BY s.run
        ORDER BY
            least(s.end_ns, w.to_ns) - greatest(s.begin_ns, w.from_ns) DESC, s.begin_ns, s.cpu, s.doing, s.op,
            s.task
    ) <= $marks
ORDER BY s.run, from_us, s.cpu, to_us, s.doing, s.op, s.task
