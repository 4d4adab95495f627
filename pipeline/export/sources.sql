-- Row sets that the kinds of slices read in addition to the views; each reads only earlier ones. `arrow` is the
-- number of an arrow, unique in a run: at any time, a CPU handles one interrupt, and a task is woken once.
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
-- Interrupts sent by each flush: those of its operation from its start to the operation's next flush.
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
-- The log has the CPU that completed the map. Stretches show the CPU on which the task ran before it slept.
slept AS (
    SELECT o.op, s.begin_ns, min(s.cpu) AS cpu FROM operations AS o LEFT JOIN stretches AS s ON o.op = s.op
    WHERE o.sleeps > 0 GROUP BY ALL
),
-- Two kinds read each of these. If materialized, the rows would take the memory that sorting needs.
cpu_waits AS NOT MATERIALIZED (
    SELECT w.* REPLACE (CASE WHEN w.site = 'map' AND NOT w.relock AND w.op IN (SELECT op FROM slept)
        THEN s.cpu ELSE w.cpu END AS cpu)
    FROM lock_waits AS w LEFT JOIN slept AS s ON w.op = s.op AND w.time_ns = s.begin_ns
),
cpu_holds AS NOT MATERIALIZED (
    SELECT h.* REPLACE (CASE WHEN h.site = 'map' AND NOT h.relock AND h.op IN (SELECT op FROM slept)
        THEN s.cpu ELSE h.cpu END AS cpu)
    FROM lock_holds AS h LEFT JOIN slept AS s ON h.op = s.op AND h.time_ns = s.begin_ns
),
-- Parts of maps with sleeps that ran on a CPU; consecutive stretches form one slice.
ran AS (
    SELECT s.op, s.task, s.cpu, o.served, s.begin_ns, s.end_ns,
        s.begin_ns IS DISTINCT FROM lag(s.end_ns) OVER (PARTITION BY s.op, s.cpu ORDER BY s.begin_ns) AS begins
    FROM stretches AS s JOIN operations AS o ON s.op = o.op
    WHERE o.sleeps > 0 AND s.category <> 'switch' AND s.begin_ns >= o.asked_ns AND s.end_ns <= o.mapped_ns
),
numbered AS (
    SELECT *, sum(CAST(begins AS INTEGER)) OVER (PARTITION BY op, cpu ORDER BY begin_ns) AS slice FROM ran
),
map_stretches AS (
    SELECT op, task, cpu_map AS cpu, served, asked_ns AS begin_ns, mapped_ns AS end_ns
    FROM operations WHERE sleeps = 0 AND mapped_ns > asked_ns
    UNION ALL
    SELECT op, task, cpu, served, min(begin_ns), max(end_ns)
    FROM numbered GROUP BY op, task, cpu, served, slice
),
-- Before a nested map, the task computes with the outer mapping in use. This is not use of the nested mapping.
use_stretches AS (
    SELECT s.op, s.task, s.cpu, s.begin_ns, s.end_ns FROM stretches AS s JOIN operations AS o ON s.op = o.op
    WHERE s.category = 'in_use' AND s.begin_ns >= o.mapped_ns
)
