/** Of this package; plan files say which version wrote them. */
export const SOAPSTONE_VERSION = '0.1.0';

const ENGINE = 'ONNX Runtime 1.30';

/**
 * Counts up when ops are written as other ONNX nodes, or measured in another way: 2 takes turns, 3 has products in blocks and
 * normalizations as convolutions, 4 the order in which nodes are written and rows in blocks, 5 a loss by its softmax, and the
 * gradients of max poolings in blocks, 6 sums of normalizations in blocks, 7 large kernels on CUDA as products, and updates whole
 * there, 8 convolutions with a kernel for each channel over blocks of channels.
 */
const FORMS = 'forms 8';

/** The engines that kernels run by, and their names in tables of costs. */
const ENGINES: Readonly<Record<'cpu' | 'webgpu' | 'cuda' | 'reference', string>> = {
  cpu: `${ENGINE} CPU`,
  webgpu: `${ENGINE} WebGPU`,
  cuda: `${ENGINE} CUDA`,
  reference: 'reference',
};

/** The kernels that measured costs are of: engine and forms, so that tables of other kernels are not believed. */
export function kernelsVersion(provider: keyof typeof ENGINES): string {
  return `${ENGINES[provider]}, ${FORMS}`;
}

/** The kernels of local runs. */
export const KERNELS_VERSION: string = kernelsVersion('cpu');

/** Whether kernels are those of this version, whatever they run on. */
export function areCurrentKernels(kernels: string): boolean {
  return Object.values(ENGINES).some((engine) => kernels === `${engine}, ${FORMS}`);
}
