-- question: Where do the measured locks come from, and what is missing from their tables?
-- column: run; name of the table of measured locks
-- column: recorder; tool that measured
-- column: locks; number of rows in the table
-- column: file; file that was read
-- column: lacking; what was lost or could not be read, with counts
-- column: notes; remarks about the table
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
