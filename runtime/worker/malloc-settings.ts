/**
 * Environment of processes that run kernels: large blocks lie in huge pages. Of other settings none pays any more, since kernels
 * take what they write from one arena that is kept. Source: measured, docs/performance.md; glibc manual, "Memory Allocation
 * Tunables".
 */
export const MALLOC_SETTINGS = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
