-- question: Which tasks waited for the lock, and behind which holders?
-- param: top = 10; number of pairs of tasks per run, by time waited
-- column: run; name of the run
-- column: task; task that waited
-- column: holder; task that held the lock for most of the wait; NULL for the shorter wait of an operation
-- column: waits; number of waits behind this holder
-- column: wait_ms (ms); total of these waits
-- column: share_percent (%); share of all time waited for the lock in the run
-- column: longest_us (us); longest wait
-- column: behind_flush; waits of which a flush under the lock took the longest part
-- reads: operations, relock
WITH pairs AS (
    SELECT
        run,
        task,
        holder,
        count(*) AS waits,
        sum(wait_ns) AS wait_ns,
        max(wait_ns) AS longest_ns,
        count(flush_op) AS behind_flush
    FROM lock_waits
    GROUP BY run, task, holder
),

-- The minimum of the longest waits selects the few pairs that are ranked.
least AS (
    SELECT
        run,
        sum(wait_ns) AS wait_ns,
        list_min(max(wait_ns, greatest($top, 1))) AS least_ns
    FROM pairs
    GROUP BY run
)

SELECT
    pairs.run,
    pairs.task,
    pairs.holder,
    pairs.waits,
    pairs.wait_ns / 1e6 AS wait_ms,
    100.0 * pairs.wait_ns / least.wait_ns AS share_percent,
    pairs.longest_ns / 1e3 AS longest_us,
    pairs.behind_flush
FROM pairs
INNER JOIN least ON pairs.run = least.run AND pairs.wait_ns >= least.least_ns
QUALIFY
    row_number() OVER (PARTITION BY pairs.run ORDER BY pairs.wait_ns DESC, pairs.task, pairs.holder) <= $top
ORDER BY pairs.run, wait_ms DESC, pairs.task, pairs.holder
