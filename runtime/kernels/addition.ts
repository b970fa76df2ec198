/** Adds values to others, of which there are as many, on the thread that asks. The result's bits are those of float32 additions. */
export type Addition = (target: Float32Array, source: Float32Array) => void;

/** In JavaScript. */
export const addByValue: Addition = (target, source) => {
  for (let i = 0; i < source.length; i++) target[i]! += source[i]!;
};
