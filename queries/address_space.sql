-- question: What does the design cost in address space and in struct page?
-- param: page_kib = 4; size of a page
-- param: memory_gib = 16; memory for which struct pages are counted
-- column: run; name of the run
-- column: pages (pages); kernel address space of the design's slots
-- column: kib (KiB); the same
-- column: max_mapped; most mappings in force at once
-- column: page_struct_bytes (bytes); bytes the design needs in every struct page
-- column: page_struct_mib (MiB); the same for memory_gib of memory
-- reads: totals
SELECT
    run,
    address_space_pages AS pages,
    address_space_pages * $page_kib AS kib,
    max_mapped,
    page_struct_bytes,
    page_struct_bytes * ($memory_gib * 1048576.0 / $page_kib) / 1048576.0 AS page_struct_mib
FROM runs
ORDER BY run
