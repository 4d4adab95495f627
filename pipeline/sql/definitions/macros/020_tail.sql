-- macro: number of values at or above each value, exact at each point; the first point of each interval and
--     the last point of the curve are kept
-- param: histogram; name of a relation with the columns run, part, value (an integer) and n (its count)
-- param: per_octave; intervals per doubling of the value
-- column: run; the run's name
-- column: part; part of the run, such as the site
-- column: value; a value
-- column: at_least; number of values at or above it
-- column: total; number of all values
-- example: FROM tail('hold_histogram', 4)
-- The values at or above an interval's first value are those of this interval and of all higher ones.
WITH octaves AS (
    SELECT run, part, floor(log2(value) * per_octave) AS octave, sum(n) AS n, min(value) AS least,
        max(value) AS most
    FROM query_table(histogram) GROUP BY run, part, octave
),
summed AS (
    SELECT *, sum(n) OVER (PARTITION BY run, part ORDER BY octave DESC) AS at_least,
        sum(n) OVER (PARTITION BY run, part) AS total
    FROM octaves
)
SELECT run, part, least AS value, at_least, total FROM summed
UNION ALL
SELECT s.run, s.part, s.most, sum(g.n), any_value(s.total)
FROM summed AS s
INNER JOIN query_table(histogram) AS g
    ON s.run = g.run AND s.part IS NOT DISTINCT FROM g.part AND s.most = g.value
WHERE s.at_least = s.n AND s.most > s.least
GROUP BY s.run, s.part, s.most
