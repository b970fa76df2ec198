import type { PageData, PageMemory } from '../page-data.ts';
import { element, panel, svg } from './dom.ts';
import { bytes } from './format.ts';

const [WIDTH, HEIGHT] = [160, 56];

/** A small curve of live memory for every device, all to one scale. */
export function memoryPanel({ memory, explanation: { makespanUs } }: PageData): HTMLElement {
  const most = Math.max(1, ...memory.map(({ peakBytes, neededBytes }) => Math.max(peakBytes, neededBytes)));
  const curves = memory.map((each) => curveOf(each, most, makespanUs));
  const allocated = memory.every(({ isExact }) => isExact)
    ? 'what the runtime allocates'
    : 'estimates of what the runtime allocates';
  const hint = `Live memory over the iteration; the line and the number are ${allocated}. One scale for all.`;
  return panel('memory', 'Memory', hint, element('ul', { class: 'curves' }, ...curves));
}

function curveOf(
  { device, capacityBytes, neededBytes, peakBytes, timesUs, bytes: live }: PageMemory,
  most: number,
  makespanUs: number,
): HTMLElement {
  const x = (us: number): number => (us / (makespanUs || 1)) * WIDTH;
  const y = (count: number): number => HEIGHT - (count / most) * (HEIGHT - 4);
  const steps = timesUs.map((us, i) => `H${x(us).toFixed(1)}V${y(live[i]!).toFixed(1)}`);
  const isTight = neededBytes > capacityBytes;
  const label = `${device}: at most ${bytes(peakBytes)} live, ${bytes(neededBytes)} needed, of ${bytes(capacityBytes)}`;
  return element(
    'li',
    isTight ? { class: 'tight' } : {},
    svg(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        class: 'curve',
        role: 'img',
        'aria-label': label,
        preserveAspectRatio: 'none',
      },
      svg('path', { class: 'area', d: `M0,${HEIGHT}${steps.join('')}H${WIDTH}V${HEIGHT}Z` }),
      svg('path', { class: 'bound', d: `M0,${y(neededBytes)}H${WIDTH}` }),
    ),
    element(
      'span',
      { title: label },
      device,
      ' ',
      element('b', {}, bytes(neededBytes)),
      isTight ? ` of ${bytes(capacityBytes)}` : undefined,
    ),
  );
}
