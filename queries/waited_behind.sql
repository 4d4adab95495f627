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

-- The least of the longest comes first, so that only the few pairs above it are ranked.
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
