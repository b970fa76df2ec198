/** Of this package; plan files say which version wrote them. */
export const SOAPSTONE_VERSION = '0.1.0';

/**
 * The kernels that measured costs are of: the engine, and a number that counts up when ops are written as other ONNX nodes, so that
 * tables of other kernels are not believed.
 */
export const KERNELS_VERSION = 'ONNX Runtime 1.30 CPU, forms 1';
