import { oneLine } from './printable.ts';

/** Numbers as people read them. */
export { bytesInWords as bytes } from '../../soap/explain/quantities.ts';

/** Three digits, and above a minute two units: 12.3 ms, 1.23 s, 2 min 3 s, 1 h 23 min. */
export function duration(ms: number): string {
  // What rounds to 1000 or to 60 is one of the next unit.
  if (ms < 999.5) return `${ms.toPrecision(3)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toPrecision(3)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Columns aligned: the first ones to the left, the others to the right. Each row is one line, whatever names are in it. */
export function table(given: readonly (readonly string[])[], leftColumns: number = 1): string {
  const rows = given.map((row) => row.map(oneLine));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column < leftColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  '),
  );
  return `${lines.map((line) => `  ${line}`.trimEnd()).join('\n')}\n`;
}

/** Such as `2 devices`. */
export function devicesInWords(devices: number): string {
  return devices === 1 ? '1 device' : `${devices} devices`;
}

/** Such as `64 samples in 4 micro-batches`. */
export function samplesInWords(samples: number, microBatches: number = 1): string {
  const whole = samples === 1 ? '1 sample' : `${samples} samples`;
  return microBatches === 1 ? whole : `${whole} in ${microBatches} micro-batches`;
}
