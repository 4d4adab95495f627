-- question: Is the delay shared fairly among the tasks?
-- param: least_operations = 10; tasks with fewer operations are left out
-- column: run; name of the run
-- column: delay; request to mapped; lock wait: first lock of map and unmap; asleep: sleeps for a slot
-- column: tasks; number of tasks compared
-- column: mean_us (us); delay per operation, mean over the tasks
-- column: jain_index; (sum x)^2 / (n * sum x^2) over delays per operation: 1 all equal, 1/n all on one task
-- column: least_us (us); smallest delay per operation of any task
-- column: most_us (us); largest delay per operation of any task
-- column: most_to_mean; the largest delay divided by the mean
-- column: unluckiest; task with the largest delay
-- reads: operations
-- Index: R. Jain, D. Chiu, W. Hawe, A Quantitative Measure of Fairness, DEC-TR-301, 1984.
WITH tasks AS (
    SELECT
        run,
        task,
        sum(map_ns) / sum(operations) AS map_ns,
        sum(lock_wait_ns) / sum(operations) AS wait_ns,
        sum(asleep_ns) / sum(operations) AS asleep_ns
    FROM task_totals
    GROUP BY run, task
    HAVING sum(operations) >= $least_operations
),

delays AS (
    SELECT
        run,
        task,
        'request to mapped' AS delay,
        map_ns AS ns
    FROM tasks
    UNION ALL
    SELECT
        run,
        task,
        'lock wait' AS delay,
        wait_ns AS ns
    FROM tasks
    UNION ALL
    SELECT
        run,
        task,
        'asleep' AS delay,
        asleep_ns AS ns
    FROM tasks
)

SELECT
    run,
    delay,
    count(ns) AS tasks,
    avg(ns) / 1e3 AS mean_us,
    sum(ns) * sum(ns) / nullif(count(ns) * sum(ns * ns), 0) AS jain_index,
    min(ns) / 1e3 AS least_us,
    max(ns) / 1e3 AS most_us,
    max(ns) / nullif(avg(ns), 0) AS most_to_mean,
    CASE WHEN max(ns) > 0 THEN arg_max(task, ns ORDER BY task) END AS unluckiest
FROM delays
GROUP BY run, delay
HAVING count(ns) > 0
ORDER BY run, delay
