-- macro: how many values are at least so large, exact at each point; of each interval its first point is
--     kept, and of the whole curve its last, so that no tail is cut
-- param: histogram; name of a relation with the columns run, part, value (a whole number) and n (how often
--     it occurs)
-- param: per_octave; intervals per doubling of the value
-- column: run; the run's name
-- column: part; what else tells the histograms apart, such as the site
-- column: value; a value
-- column: at_least; how many values are at least as large
-- column: total; how many values there are
-- example: FROM tail('hold_histogram', 4)
-- At least as large as an interval's first value are all values of this interval and of those above it.
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
