-- question: Which tasks sleep longest for a slot, and which task wakes them?
-- param: top = 10; number of tasks per run
-- column: run; name of the run
-- column: task; task number
-- column: sleeps; number of sleeps for a slot
-- column: asleep_ms (ms); total time asleep
-- column: share_percent (%); share of all time asleep in the run
-- column: longest_us (us); longest sleep
-- column: mostly_woken_by; task that woke it most often
-- reads: sleep
SELECT
    run,
    task,
    count(*) AS sleeps,
    sum(duration_ns) / 1e6 AS asleep_ms,
    100.0 * sum(duration_ns) / nullif(sum(sum(duration_ns)) OVER (PARTITION BY run), 0) AS share_percent,
    max(duration_ns) / 1e3 AS longest_us,
    mode(woken_by ORDER BY woken_by) AS mostly_woken_by
FROM sleeps
GROUP BY run, task
QUALIFY row_number() OVER (PARTITION BY run ORDER BY sum(duration_ns) DESC, task) <= $top
ORDER BY run, asleep_ms DESC, task
