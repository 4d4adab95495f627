-- macro: a count over time, in equal buckets
-- param: levels; name of a relation with the columns run, time_ns, until_ns and level, as of `levels`
-- param: buckets; number of buckets of the longest run
-- column: run; the run's name
-- column: time_ns; begin of the bucket
-- column: mean; mean count in the bucket
-- column: most; largest count in the bucket
-- example: FROM mean_levels('spinning', 10)
-- At most one row of a run crosses the end of a bucket. Rows with the same first and last bucket are summed,
-- and only the crossing row is cut.
WITH width AS (SELECT DISTINCT run, width_ns FROM time_buckets(buckets)),
stretches AS (
    SELECT run, any_value(width_ns) AS width_ns, first, last, max(level) AS most,
        sum(CAST(level * (until_ns - time_ns) AS DOUBLE)) AS level_ns, min(time_ns) AS time_ns,
        max(until_ns) AS until_ns
    FROM (
        SELECT l.run, l.level, l.time_ns, l.until_ns, w.width_ns,
            CAST(least(floor(l.time_ns / w.width_ns), buckets - 1) AS INTEGER) AS first,
            CAST(least(floor(l.until_ns / w.width_ns), buckets - 1) AS INTEGER) AS last
        FROM query_table(levels) AS l INNER JOIN width AS w ON l.run = w.run
        WHERE l.until_ns > l.time_ns
    )
    GROUP BY run, first, last
),
parts AS (
    SELECT run, first AS bucket, most, level_ns FROM stretches WHERE last = first
    UNION ALL
    SELECT run, bucket, most, most * ns AS level_ns
    FROM (
        SELECT run, bucket, most, least(until_ns, CAST(ceil((bucket + 1) * width_ns) AS BIGINT))
            - greatest(time_ns, CAST(ceil(bucket * width_ns) AS BIGINT)) AS ns
        FROM (SELECT *, unnest(range(first, last + 1)) AS bucket FROM stretches WHERE last > first)
    )
    WHERE ns > 0
)
SELECT b.run, b.time_ns, coalesce(sum(p.level_ns), 0) / any_value(b.length_ns) AS mean,
    coalesce(max(p.most), 0) AS most
FROM time_buckets(buckets) AS b LEFT JOIN parts AS p ON b.run = p.run AND b.bucket = p.bucket
GROUP BY b.run, b.time_ns
