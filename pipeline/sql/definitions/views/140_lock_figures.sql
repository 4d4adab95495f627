-- view: one row per figure of `locks`: what it is, and whether it was measured or follows from others
-- column: lock string; lock or class of locks; NULL: the tool does not tell
-- column: site string; all, or who took or waited for the lock
-- column: type string; type of lock; NULL: the tool does not tell
-- column: figure string; name of the column in locks
-- column: value double; its value; NULL: absent
-- column: basis string; simulated, measured, derived (from others that were measured) or absent
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
