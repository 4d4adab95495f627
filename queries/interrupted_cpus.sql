-- question: Which CPUs do flushes interrupt, how often, and how much time does it take from them?
-- column: run; name of the run
-- column: cpu; CPU
-- column: interrupts; flush interrupts that it handled
-- column: per_second (1/s); flush interrupts per second of simulated time
-- column: idle_percent (%); share that found it idle
-- column: stolen_ms (ms); time taken from it
-- column: stolen_percent (%); share of the simulated time
-- reads: ipi
SELECT
    e.run,
    e.cpu,
    count(*) AS interrupts,
    1e9 * count(*) / any_value(r.wall_ns) AS per_second,
    100.0 * count(*) FILTER (WHERE e.task IS NULL) / count(*) AS idle_percent,
    sum(e.duration_ns) / 1e6 AS stolen_ms,
    100.0 * sum(e.duration_ns) / any_value(r.wall_ns) AS stolen_percent
FROM events AS e
INNER JOIN runs AS r ON e.run = r.run
WHERE e.event = 'ipi'
GROUP BY e.run, e.cpu
ORDER BY e.run, e.cpu
