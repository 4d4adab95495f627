-- question: Who was woken for nothing and slept again?
-- param: top = 10; tasks for each run
-- column: run; name of the run
-- column: task; thread
-- column: sleeps; its sleeps for a slot
-- column: for_nothing; those after which the same operation slept again
-- column: for_nothing_percent (%); their share
-- column: operations; its operations that slept more than once
-- column: most_sleeps; most sleeps of one of its operations
-- column: asleep_ms (ms); time asleep of those that slept more than once
-- reads: operations
SELECT
    run,
    task,
    sum(sleeps) AS sleeps,
    sum(sleeps - 1) AS for_nothing,
    100.0 * sum(sleeps - 1) / sum(sleeps) AS for_nothing_percent,
    count(*) FILTER (WHERE sleeps > 1) AS operations,
    max(sleeps) AS most_sleeps,
    sum(asleep_ns) FILTER (WHERE sleeps > 1) / 1e6 AS asleep_ms
FROM operations
WHERE sleeps > 0
GROUP BY run, task
HAVING max(sleeps) > 1
QUALIFY row_number() OVER (PARTITION BY run ORDER BY sum(sleeps - 1) DESC, task) <= $top
ORDER BY run, for_nothing DESC, task
