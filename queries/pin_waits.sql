-- question: How long do ready tasks wait for their pinned CPU, and are other CPUs idle then?
-- column: run; name of the run
-- column: pin_waits; number of times that a ready task waited for its pinned CPU
-- column: pin_wait_ms (ms); total wait
-- column: waiting_mean (tasks); mean number of waiting tasks: total wait / wall time
-- column: mean_us (us); mean wait
-- column: max_us (us); longest wait
-- column: others_idle; waits that began while another CPU was idle
-- column: others_idle_percent (%); these waits as a share of all
-- reads: totals, pin_wait
WITH logged AS (
    SELECT
        run,
        max(duration_ns) AS longest_ns,
        count(*) FILTER (WHERE idle_cpus > 0) AS others_idle,
        count(*) AS waits
    FROM pin_waits
    GROUP BY run
)

SELECT
    runs.run,
    runs.pin_waits,
    runs.pin_wait_ns / 1e6 AS pin_wait_ms,
    1.0 * runs.pin_wait_ns / nullif(runs.wall_ns, 0) AS waiting_mean,
    runs.pin_wait_ns / nullif(runs.pin_waits, 0) / 1e3 AS mean_us,
    logged.longest_ns / 1e3 AS max_us,
    logged.others_idle,
    100.0 * logged.others_idle / logged.waits AS others_idle_percent
FROM runs
LEFT JOIN logged ON runs.run = logged.run
ORDER BY runs.run
