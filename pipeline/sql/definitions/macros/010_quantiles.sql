-- macro: exact quantiles of integers: the smallest value that at least this share of the values does not
--     exceed
-- param: histogram; name of a relation with the columns run, part, value (an integer) and n (its count)
-- column: run; the run's name
-- column: part; part of the run, such as the site
-- column: n; number of values
-- column: mean; mean of the values
-- column: least; smallest value
-- column: p50; median
-- column: p90; 90th percentile
-- column: p99; 99th percentile
-- column: most; largest value
-- example: FROM quantiles('hold_histogram')
-- Values are grouped into cells. Only values of the cells that contain a quantile are sorted.
WITH cells AS (
    SELECT run, part, sum(n) AS n, sum(CAST(value AS DOUBLE) * n) AS sum_of_values, min(value) AS least,
        max(value) AS most
    FROM query_table(histogram)
    GROUP BY run, part,
        CASE WHEN value > 0 THEN CAST(floor(32 * log2(value)) AS SMALLINT) ELSE value - 1 END
),
summed AS (
    SELECT *, sum(n) OVER (PARTITION BY run, part ORDER BY least) - n AS below,
        sum(n) OVER (PARTITION BY run, part) AS total
    FROM cells
),
chosen AS (
    SELECT run, part, least, most, below, total FROM summed
    WHERE (below < 0.50 * total AND below + n >= 0.50 * total)
        OR (below < 0.90 * total AND below + n >= 0.90 * total)
        OR (below < 0.99 * total AND below + n >= 0.99 * total)
),
ranked AS (
    SELECT g.run, g.part, g.value, c.total,
        c.below + sum(g.n) OVER (PARTITION BY g.run, g.part, c.least ORDER BY g.value) AS up_to
    FROM query_table(histogram) AS g
    INNER JOIN chosen AS c
        ON g.run = c.run AND g.part IS NOT DISTINCT FROM c.part AND g.value BETWEEN c.least AND c.most
),
points AS (
    SELECT run, part,
        min(value) FILTER (WHERE up_to >= 0.50 * total) AS p50,
        min(value) FILTER (WHERE up_to >= 0.90 * total) AS p90,
        min(value) FILTER (WHERE up_to >= 0.99 * total) AS p99
    FROM ranked GROUP BY run, part
),
whole AS (
    SELECT run, part, sum(n) AS n, sum(sum_of_values) / sum(n) AS mean, min(least) AS least,
        max(most) AS most
    FROM cells GROUP BY run, part
)
SELECT w.run, w.part, w.n, w.mean, w.least, p.p50, p.p90, p.p99, w.most
FROM whole AS w INNER JOIN points AS p ON w.run = p.run AND w.part IS NOT DISTINCT FROM p.part
