-- question: Who waited for the lock behind whom?
-- param: top = 10; pairs of tasks for each run, by time waited
-- column: run; name of the run
-- column: task; task that waited
-- column: holder; task that held the lock longest meanwhile; NULL: not known of an operation's shorter wait
-- column: waits; its waits behind that one
-- column: wait_ms (ms); their time together
-- column: share_percent (%); of all time waited for the lock in the run
-- column: longest_us (us); longest wait
-- column: behind_flush; those spent longest behind a flush under the lock
-- reads: operations, relock
SELECT
    run,
    task,
    holder,
    count(*) AS waits,
    sum(wait_ns) / 1e6 AS wait_ms,
    100.0 * sum(wait_ns) / nullif(sum(sum(wait_ns)) OVER (PARTITION BY run), 0) AS share_percent,
    max(wait_ns) / 1e3 AS longest_us,
    count(flush_op) AS behind_flush
FROM lock_waits
GROUP BY run, task, holder
QUALIFY row_number() OVER (PARTITION BY run ORDER BY sum(wait_ns) DESC, task, holder) <= $top
ORDER BY run, wait_ms DESC, task, holder
