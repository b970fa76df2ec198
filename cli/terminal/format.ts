/** Numbers as people read them. */

/** Three digits: 12.3 ms, 1.23 s. */
export function duration(ms: number): string {
  if (ms < 1000) return `${ms.toPrecision(3)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toPrecision(3)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Decimal units, as disks and networks count. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** Columns aligned: the first ones to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[], leftColumns: number = 1): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column < leftColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  '),
  );
  return `${lines.map((line) => `  ${line}`.trimEnd()).join('\n')}\n`;
}

/** Such as `64 samples in 4 micro-batches`. */
export function samplesInWords(samples: number, microBatches: number = 1): string {
  const whole = samples === 1 ? '1 sample' : `${samples} samples`;
  return microBatches === 1 ? whole : `${whole} in ${microBatches} micro-batches`;
}
