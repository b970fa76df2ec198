import type { GraphBuilder } from '../graph/builder.ts';

/** Adds a convolution with bias. Returns the output tensor's id. */
export function convolution(
  builder: GraphBuilder,
  name: string,
  x: number,
  {
    channels,
    kernel,
    stride = 1,
    padding = 0,
  }: { channels: number; kernel: number; stride?: number; padding?: number },
): number {
  const inputChannels = builder.shape(x)[1]!;
  const weight = builder.parameter(`${name}.weight`, [channels, inputChannels, kernel, kernel]);
  const bias = builder.parameter(`${name}.bias`, [channels]);
  return builder.op('conv2d', name, [x, weight, bias], { ...square(kernel, stride, padding), groups: 1 });
}

/** Adds a max pooling. Returns the output tensor's id. */
export function maxPooling(
  builder: GraphBuilder,
  name: string,
  x: number,
  { kernel, stride }: { kernel: number; stride: number },
): number {
  return builder.op('maxPool2d', name, [x], square(kernel, stride, 0));
}

/** Adds a fully connected layer with bias. Returns the output tensor's id. */
export function fullyConnected(builder: GraphBuilder, name: string, x: number, channels: number): number {
  const weight = builder.parameter(`${name}.weight`, [channels, builder.shape(x)[1]!]);
  const bias = builder.parameter(`${name}.bias`, [channels]);
  return builder.op('linear', name, [x, weight, bias], { transposed: true });
}

function square(kernel: number, stride: number, padding: number): Record<string, readonly number[]> {
  return {
    kernel: [kernel, kernel],
    strides: [stride, stride],
    dilations: [1, 1],
    padsBegin: [padding, padding],
    padsEnd: [padding, padding],
  };
}
