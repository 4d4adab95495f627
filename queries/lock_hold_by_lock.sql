-- question: Which of a design's locks is held and waited for how long?
-- column: run; name of the run
-- column: lock; what the lock protects; several locks of one name are counted together
-- column: locks; number of locks of this name that were taken
-- column: site; map, unmap or worker
-- column: acquisitions; number of acquisitions
-- column: contended_percent (%); share that had to wait
-- column: hold_mean_ns (ns); mean hold time
-- column: hold_max_us (us); longest hold
-- column: hold_ms (ms); sum of the hold times
-- column: wait_ms (ms); sum of the wait times
-- reads: operations, relock
WITH held AS (
    SELECT
        run,
        lock,
        site,
        count(*) AS acquisitions,
        sum(hold_ns) AS hold_ns,
        max(hold_ns) AS hold_max_ns
    FROM lock_holds
    GROUP BY run, lock, site
),

waited AS (
    SELECT
        run,
        lock,
        site,
        count(*) AS contended,
        sum(wait_ns) AS wait_ns
    FROM lock_waits
    GROUP BY run, lock, site
)

SELECT
    c.run,
    c.name AS lock,
    count(DISTINCT c.lock) AS locks,
    h.site,
    sum(h.acquisitions) AS acquisitions,
    100.0 * coalesce(sum(w.contended), 0) / sum(h.acquisitions) AS contended_percent,
    1.0 * sum(h.hold_ns) / sum(h.acquisitions) AS hold_mean_ns,
    max(h.hold_max_ns) / 1e3 AS hold_max_us,
    sum(h.hold_ns) / 1e6 AS hold_ms,
    coalesce(sum(w.wait_ns), 0) / 1e6 AS wait_ms
FROM lock_classes AS c
INNER JOIN held AS h ON c.run = h.run AND c.lock = h.lock
LEFT JOIN waited AS w ON h.run = w.run AND h.lock = w.lock AND h.site = w.site
GROUP BY c.run, c.name, h.site
ORDER BY c.run, c.name, h.site
