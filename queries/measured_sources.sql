-- question: Where are measured locks from, and what do their tables lack?
-- column: run; name of the table of measured locks
-- column: recorder; tool that measured
-- column: locks; rows of the table
-- column: file; where it was read
-- column: lacking; what was lost or could not be read, with counts
-- column: notes; what else is to be known of it
-- reads: totals
SELECT
    run,
    recorder,
    locks,
    file,
    lacking,
    notes
FROM lock_sources
ORDER BY run
