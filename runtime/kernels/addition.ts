/** Adds values to others, of which there are as many, on the thread that asks. The result's bits are those of float32 additions. */
export type Addition = (target: Float32Array, source: Float32Array) => void;

/**
 * In JavaScript. The length is read once and four values are added at a time, since a loop that does neither takes four times as long where V8
 * has compiled it with Maglev and not, or not yet, with TurboFan. Source: measured, docs/performance/runtime.md.
 */
export const addByValue: Addition = (target, source) => {
  const { length } = source;
  const whole = length - (length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    target[i]! += source[i]!;
    target[i + 1]! += source[i + 1]!;
    target[i + 2]! += source[i + 2]!;
    target[i + 3]! += source[i + 3]!;
  }
  for (; i < length; i++) target[i]! += source[i]!;
};
