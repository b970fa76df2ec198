/** One of `count` nearly equal runs of values; indices go round. */
export function chunkOf(values: Float32Array, index: number, count: number): Float32Array {
  const k = ((index % count) + count) % count;
  return values.subarray(Math.floor((k * values.length) / count), Math.floor(((k + 1) * values.length) / count));
}

/** All runs. */
export function chunksOf(values: Float32Array, count: number): Float32Array[] {
  return Array.from({ length: count }, (_, index) => chunkOf(values, index, count));
}

/**
 * Works on pieces in order, some at once: while one is sent or waited for, another is summed. On every device the first
 * piece that is not done is worked on, so that devices never wait for each other in a circle.
 */
export async function inPipeline(count: number, width: number, work: (piece: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, width) }, lane));
}
