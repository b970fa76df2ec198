/** What kernels may run on; `auto` takes a GPU where there is one, else the CPU. */
export const KERNEL_PROVIDERS = ['auto', 'cpu', 'webgpu', 'cuda', 'reference'] as const;

export type KernelProvider = (typeof KERNEL_PROVIDERS)[number];

export function isKernelProvider(text: string): text is KernelProvider {
  return KERNEL_PROVIDERS.some((each) => each === text);
}
