-- question: How busy is the lock, in the columns of lockmeter?
-- column: run; name of the run
-- column: site; all, or the side of the operation: map or unmap
-- column: util_percent (%); UTIL: share of the wall time during which the lock was held
-- column: con_percent (%); CON: share of acquisitions that found the lock busy
-- column: hold_mean_us (us); HOLD: mean over all acquisitions
-- column: hold_max_us (us); longest hold
-- column: wait_mean_us (us); WAIT: mean spin of contended acquisitions
-- column: wait_max_us (us); longest spin
-- column: cpu_percent (%); %CPU: spinning as a share of wall time x CPUs
-- column: acquisitions; TOTAL: times the lock was taken
-- reads: totals
WITH sites AS (
    SELECT
        run,
        coalesce(site, 'all') AS site,
        sum(acquisitions) AS acquisitions,
        sum(contended) AS contended,
        sum(hold_ns) AS hold_ns,
        max(hold_max_ns) AS hold_max_ns,
        sum(wait_ns) AS wait_ns,
        max(wait_max_ns) AS wait_max_ns
    FROM lock_totals
    GROUP BY GROUPING SETS ((run), (run, site))
)

SELECT
    sites.run,
    sites.site,
    100.0 * sites.hold_ns / nullif(runs.wall_ns, 0) AS util_percent,
    100.0 * sites.contended / sites.acquisitions AS con_percent,
    sites.hold_ns / sites.acquisitions / 1e3 AS hold_mean_us,
    sites.hold_max_ns / 1e3 AS hold_max_us,
    sites.wait_ns / nullif(sites.contended, 0) / 1e3 AS wait_mean_us,
    sites.wait_max_ns / 1e3 AS wait_max_us,
    100.0 * sites.wait_ns / nullif(runs.wall_ns * runs.cpus, 0) AS cpu_percent,
    sites.acquisitions
FROM sites
INNER JOIN runs ON sites.run = runs.run
WHERE sites.acquisitions > 0
ORDER BY sites.run, sites.site
