-- question: How much kernel address space and struct page memory does each design need?
-- param: page_kib = 4; size of a page
-- param: memory_gib = 16; memory size for which struct pages are counted
-- column: run; name of the run
-- column: pages (pages); kernel address space of the design's slots
-- column: kib (KiB); the same
-- column: max_mapped; largest number of mappings in use at the same time
-- column: page_struct_bytes (bytes); size of the design's fields in each struct page
-- column: page_struct_mib (MiB); total size of these fields for memory_gib of memory
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
