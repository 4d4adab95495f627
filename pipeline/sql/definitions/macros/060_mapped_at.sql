-- macro: the mappings in force at given times
-- param: instants; name of a relation with the columns run and time_ns
-- column: run; the run's name
-- column: time_ns; the time
-- column: slots; number of slots with a mapping in force, which no scan can free
-- column: mappings; number of mappings in force; more than `slots` if several map one page or need no slot
-- example: FROM mapped_at('scans')
-- Time is divided into 16,384 cells. Only mappings that begin in a cell with an instant, or extend into
-- another cell, are compared with instants. A cell's number includes its run's. Instants need not be
-- integers; for others, `//` keeps the fraction.
WITH width AS (
    SELECT run, wall_ns, wall_ns // 16384 + 1 AS cell_ns, CAST(enum_code(run) AS BIGINT) << 16 AS origin
    FROM runs WHERE events = 'full'
),
asked AS MATERIALIZED (
    SELECT DISTINCT i.run, i.time_ns, w.origin + CAST(floor(i.time_ns / w.cell_ns) AS BIGINT) AS cell
    FROM query_table(instants) AS i INNER JOIN width AS w ON i.run = w.run
),
spans AS MATERIALIZED (
    SELECT slot, mapped_ns, done_ns, first_cell, last_cell
    FROM (
        SELECT o.slot, o.mapped_ns, coalesce(o.done_ns, w.wall_ns + 1) AS done_ns,
            w.origin + o.mapped_ns // w.cell_ns AS first_cell,
            w.origin + coalesce(o.done_ns, w.wall_ns) // w.cell_ns AS last_cell
        FROM operations AS o INNER JOIN width AS w ON o.run = w.run
    )
    WHERE last_cell > first_cell OR first_cell IN (SELECT cell FROM asked)
),
cells AS (
    SELECT slot, mapped_ns, done_ns, first_cell AS cell FROM spans
    UNION ALL
    SELECT slot, mapped_ns, done_ns, unnest(range(first_cell + 1, last_cell + 1))
    FROM spans WHERE last_cell > first_cell
),
there AS (
    SELECT a.run, a.time_ns, count(DISTINCT c.slot) AS slots, count(*) AS mappings
    FROM cells AS c
    INNER JOIN asked AS a ON c.cell = a.cell AND c.mapped_ns <= a.time_ns AND c.done_ns > a.time_ns
    GROUP BY a.run, a.time_ns
)
SELECT a.run, a.time_ns, coalesce(t.slots, 0) AS slots, coalesce(t.mappings, 0) AS mappings
FROM asked AS a
LEFT JOIN there AS t ON a.run = t.run AND a.time_ns = t.time_ns
