/**
 * Environment of processes that run kernels. Freed tensors stay mapped, in huge pages: kernels that allocate their results
 * anew lose up to half their time to page faults otherwise. Source: measured, docs/performance.md; glibc manual, "Memory
 * Allocation Tunables".
 */
export const MALLOC_SETTINGS = {
  GLIBC_TUNABLES:
    'glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184',
};
