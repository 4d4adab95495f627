-- Named row sets that the kinds of slices read beside the views; each reads only earlier ones. `arrow` numbers an
-- arrow, unique in a run: a CPU answers one interrupt, and a task is woken once, at a time.
WITH
switches AS (SELECT * FROM events WHERE event = 'switch'),
ipis AS (
    SELECT *, (CAST(time_ns AS UBIGINT) * 64 + CAST(cpu AS UBIGINT)) * 2 AS arrow
    FROM events WHERE event = 'ipi'
),
local_flushes AS (SELECT * FROM events WHERE event = 'local_flush'),
hazards AS (SELECT * FROM events WHERE event = 'finding'),
wakes AS (
    SELECT op, cpu, task, time_ns, duration_ns, CAST(other AS BIGINT) AS queue, value AS woken_tasks
    FROM events WHERE event = 'wake'
),
-- Which interrupts a flush sent: those of its operation since, up to the operation's next flush.
flushed AS (
    SELECT f.op, f.cpu, f.time_ns, list(i.arrow ORDER BY i.arrow) AS arrows
    FROM ipis AS i
    ASOF JOIN flushes AS f ON i.op = f.op AND i.other = f.cpu AND i.time_ns >= f.time_ns
    GROUP BY ALL
),
sleepers AS (
    SELECT *, (CAST(time_ns + duration_ns AS UBIGINT) * 131072 + CAST(task AS UBIGINT)) * 2 + 1 AS arrow
    FROM sleeps
),
woken AS (
    SELECT time_ns + duration_ns AS time_ns, woken_by AS task, queue, list(arrow ORDER BY task) AS arrows
    FROM sleepers WHERE woken_by IS NOT NULL GROUP BY ALL
),
-- The log has the CPU that mapped; where a task that slept since took the lock first, its switches say.
slept AS (SELECT * FROM operations WHERE sleeps > 0),
first_locked AS (
    SELECT o.op, s.cpu FROM (SELECT op, task, locked_ns FROM slept WHERE locked_ns IS NOT NULL) AS o
    ASOF JOIN switches AS s ON o.task = s.task AND o.locked_ns >= s.time_ns
),
cpu_waits AS (
    SELECT w.* REPLACE (coalesce(f.cpu, w.cpu) AS cpu) FROM lock_waits AS w
    LEFT JOIN first_locked AS f ON w.op = f.op AND w.site = 'map' AND NOT w.relock
),
cpu_holds AS (
    SELECT h.* REPLACE (coalesce(f.cpu, h.cpu) AS cpu) FROM lock_holds AS h
    LEFT JOIN first_locked AS f ON h.op = f.op AND h.site = 'map' AND NOT h.relock
),
-- A map that slept ran from its asking and from each switch to it, until it fell asleep and had let go of
-- the lock, or was mapped.
began AS (
    SELECT o.op, o.asked_ns AS begin_ns, s.cpu FROM slept AS o
    ASOF JOIN switches AS s ON o.task = s.task AND o.asked_ns >= s.time_ns
    UNION ALL
    SELECT o.op, s.time_ns + s.duration_ns, s.cpu FROM slept AS o
    JOIN switches AS s ON o.op = s.op AND s.time_ns >= o.asked_ns AND s.time_ns < o.mapped_ns
),
left_cpu AS (
    SELECT b.op, b.begin_ns, max(l.left_ns) AS left_ns
    FROM (
        SELECT op, time_ns, time_ns AS left_ns FROM sleeps
        UNION ALL
        SELECT op, time_ns, time_ns + hold_ns FROM cpu_holds WHERE site = 'map'
    ) AS l
    ASOF JOIN began AS b ON l.op = b.op AND l.time_ns >= b.begin_ns
    GROUP BY ALL
),
map_stretches AS (
    SELECT op, task, cpu_map AS cpu, served, asked_ns AS begin_ns, mapped_ns AS end_ns
    FROM operations WHERE sleeps = 0 AND mapped_ns > asked_ns
    UNION ALL
    SELECT op, o.task, b.cpu, o.served, b.begin_ns,
        CASE WHEN lead(b.begin_ns) OVER (PARTITION BY op ORDER BY b.begin_ns) IS NULL
            THEN o.mapped_ns ELSE coalesce(l.left_ns, b.begin_ns) END
    FROM began AS b JOIN slept AS o USING (op) LEFT JOIN left_cpu AS l USING (op, begin_ns)
),
-- A mapping is in use on the CPU from when its task last came back to it: from a nested operation, or
-- from being switched out.
came_back AS (
    SELECT s.op, max(s.time_ns + s.duration_ns) AS back_ns FROM switches AS s
    JOIN operations AS o ON s.op = o.op AND s.time_ns >= o.mapped_ns GROUP BY s.op
    UNION ALL
    SELECT p.op, max(n.done_ns) FROM (SELECT * FROM operations WHERE depth > 0) AS n
    ASOF JOIN (
        SELECT * FROM operations WHERE task IN (SELECT task FROM operations WHERE depth > 0)
    ) AS p ON p.task = n.task AND p.depth = n.depth - 1 AND n.asked_ns >= p.mapped_ns
    GROUP BY p.op
),
use_stretches AS (
    SELECT o.op, o.task, o.cpu_unmap AS cpu,
        greatest(o.mapped_ns, coalesce(b.back_ns, 0)) AS begin_ns, o.unmap_asked_ns AS end_ns
    FROM operations AS o
    LEFT JOIN (SELECT op, max(back_ns) AS back_ns FROM came_back GROUP BY op) AS b ON o.op = b.op
    WHERE o.unmap_asked_ns > greatest(o.mapped_ns, coalesce(b.back_ns, 0))
)
