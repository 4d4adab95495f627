-- view: one row per value of `locks`, and whether it was measured or derived
-- column: lock string; lock or class of locks; NULL: not reported by the tool
-- column: site string; all, or the code that took or waited for the lock
-- column: type string; type of lock; NULL: not reported by the tool
-- column: figure string; name of the column in `locks`
-- column: value double; its value; NULL: absent
-- column: basis string; simulated, measured, derived (from measured values) or absent
WITH reals AS (
    SELECT run, provenance, lock, site, type, derived,
        CAST(COLUMNS(* EXCLUDE (run, provenance, lock, site, type, derived, place)) AS DOUBLE)
    FROM locks
)
SELECT run, lock, site, type, figure, value,
    CASE
        WHEN value IS NULL THEN 'absent'
        WHEN list_contains(string_split(derived, ', '), figure) THEN 'derived'
        ELSE provenance
    END AS basis
FROM reals UNPIVOT INCLUDE NULLS (
    value FOR figure IN (COLUMNS(* EXCLUDE (run, provenance, lock, site, type, derived)))
)
