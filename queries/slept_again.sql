-- question: Which tasks are woken in vain and sleep again?
-- param: top = 10; number of tasks per run
-- column: run; name of the run
-- column: task; task number
-- column: sleeps; number of sleeps for a slot
-- column: for_nothing; sleeps after which the same operation slept again
-- column: for_nothing_percent (%); these sleeps as a share of all
-- column: operations; operations of the task that slept more than once
-- column: most_sleeps; largest number of sleeps of one operation
-- column: asleep_ms (ms); total time asleep of the operations that slept more than once
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
