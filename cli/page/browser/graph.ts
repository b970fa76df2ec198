import type { PageData, PageOp } from '../page-data.ts';
import { OP_BOX } from '../page-data.ts';
import { element, panel, svg } from './dom.ts';
import { percent } from './format.ts';
import type { Selection } from './selection.ts';

/** Cells of the strip that shows the devices of an op's parts; more parts share a cell. */
const MAX_CELLS = 32;

/** Boxes are shown no smaller at first. */
const SMALLEST_ZOOM = 0.65;

/** The graph: a box for every op, coloured by what it is split along, with a strip of the devices that its parts are on. */
export function graphPanel(data: PageData, selection: Selection): HTMLElement {
  const { graphWidth, graphHeight } = data;
  const drawing = svg('svg', {
    width: graphWidth,
    height: graphHeight,
    viewBox: `0 0 ${graphWidth} ${graphHeight}`,
    role: 'group',
    'aria-label': 'ops of the model',
  });
  const gradients = new Gradients(data.deviceTypes.length);
  drawing.append(gradients.defs);
  const lines = data.edges.map((points) => `M${points.map(([x, y]) => `${x},${y}`).join('L')}`);
  drawing.append(svg('path', { class: 'edges', d: lines.join('') }));
  const boxes = data.ops.map((op, id) => opBox(op, id, gradients));
  drawing.append(...boxes);
  const focus = (id: number): void => {
    for (const box of boxes) if (box.getAttribute('tabindex') === '0') box.setAttribute('tabindex', '-1');
    boxes[id]!.setAttribute('tabindex', '0');
    boxes[id]!.focus();
  };
  const steps = neighboursOf(data);
  boxes[0]?.setAttribute('tabindex', '0');
  boxes.forEach((box, id) => {
    box.addEventListener('click', () => {
      selection.select(selection.op === id ? undefined : id);
      focus(id);
    });
    box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'Enter' || event.key === ' ') selection.select(id);
      else if (event.key === 'Escape') selection.select(undefined);
      else {
        const next = steps(id, event.key);
        if (next === undefined) return;
        focus(next);
      }
      event.preventDefault();
    });
  });
  selection.listen((selected) => {
    boxes.forEach((box, id) => box.classList.toggle('selected', id === selected));
    if (selected !== undefined) boxes[selected]!.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
  const scroller = element('div', { class: 'graph' }, drawing);
  const zoom = (factor: number): void => {
    const width = Number(drawing.getAttribute('width')) * factor;
    drawing.setAttribute('width', String(width));
    drawing.setAttribute('height', String((width * graphHeight) / graphWidth));
  };
  // As much as there is room for, but no smaller than can be read.
  new ResizeObserver(([entry], observer) => {
    observer.disconnect();
    const room = entry?.contentRect.width ?? graphWidth;
    if (room > 0 && room < graphWidth) zoom(Math.max(SMALLEST_ZOOM, room / graphWidth));
    scroller.scrollTop =
      (data.ops[0]?.y ?? 0) * (Number(drawing.getAttribute('width')) / graphWidth) - scroller.clientHeight / 2;
  }).observe(scroller);
  const tools = element(
    'div',
    { class: 'tools' },
    button('−', 'smaller', () => zoom(0.8)),
    button('+', 'larger', () => zoom(1.25)),
  );
  const hint = 'Colour: what an op is split along. Strip: the device of each part. Arrows walk, Enter explains.';
  return panel('graph', 'Graph', hint, tools, splitLegend(data.ops), scroller);
}

function button(text: string, label: string, act: () => void): HTMLElement {
  const made = element('button', { type: 'button', 'aria-label': label, title: label }, text);
  made.addEventListener('click', act);
  return made;
}

/** What colours mean, those that occur. */
function splitLegend(ops: readonly PageOp[]): HTMLElement {
  const tones = new Set(ops.map(toneOf));
  const entries = [
    ['sample', 'samples'],
    ['attribute', 'attributes'],
    ['parameter', 'parameters'],
    ['reduction', 'sums'],
    ['mixed', 'several'],
    ['whole', 'not split'],
  ] as const;
  const used = entries.filter(([tone]) => tones.has(tone));
  const items = used.map(([tone, text]) => element('li', {}, element('i', { class: `tone-${tone}` }), text));
  return element('ul', { class: 'legend' }, ...items);
}

function toneOf({ cuts }: PageOp): string {
  const kinds = new Set(cuts.map(({ kind }) => kind));
  return kinds.size === 0 ? 'whole' : kinds.size > 1 ? 'mixed' : [...kinds][0]!;
}

function opBox(op: PageOp, id: number, gradients: Gradients): SVGGElement {
  const { width, height } = OP_BOX;
  const cuts = op.cuts.map(({ name, degree }) => `${name}/${degree}`).join(' ') || 'whole';
  const parts: SVGElement[] = [
    svg('rect', { class: `body tone-${toneOf(op)}`, width, height, rx: 9 }),
    svg('text', { class: 'name', x: 10, y: 20 }, cut(op.op, 15)),
    svg('text', { class: 'cuts', x: 10, y: 36 }, cut(cuts, 24)),
    svg('rect', { x: 10, y: 45, width: width - 20, height: 8, rx: 2, fill: gradients.of(op.partDevices) }),
  ];
  if (op.criticalShare > 0) {
    const heat = svg('rect', {
      class: 'heat',
      width: Math.max(2, width * Math.min(1, op.criticalShare * 2)),
      height: 3,
      x: 0,
      y: height + 2,
      rx: 1.5,
    });
    parts.push(heat);
  }
  return svg(
    'g',
    {
      class: 'op',
      transform: `translate(${op.x - width / 2},${op.y - height / 2})`,
      tabindex: -1,
      role: 'button',
      'data-op': id,
      'aria-label': `${op.op}: ${op.configuration}, ${percent(op.criticalShare)} of the critical path`,
    },
    svg('title', {}, `${op.op}: ${op.configuration}`),
    ...parts,
  );
}

/** Leaves out the middle: names of ops tell most at their ends. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const head = Math.floor((length - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}

/** Colour of a device: hues evenly around the wheel. */
export function deviceColor(device: number, devices: number): string {
  return `hsl(${Math.round((360 * device) / devices + 200) % 360} 62% ${device % 2 === 0 ? 56 : 46}%)`;
}

/** Fills with a cell for each part, one for each distinct list of devices. */
class Gradients {
  readonly defs: SVGDefsElement = svg('defs');
  readonly #devices: number;
  readonly #ids = new Map<string, string>();

  constructor(devices: number) {
    this.#devices = devices;
  }

  of(parts: readonly number[]): string {
    const cells = Math.min(parts.length, MAX_CELLS);
    const shown = Array.from({ length: cells }, (_, i) => parts[Math.floor((i * parts.length) / cells)]!);
    const key = shown.join();
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = `parts${this.#ids.size}`;
      this.#ids.set(key, id);
      const stops = shown.flatMap((device, i) =>
        [i / cells, (i + 1) / cells].map((offset) =>
          svg('stop', { offset, 'stop-color': deviceColor(device, this.#devices) }),
        ),
      );
      this.defs.append(svg('linearGradient', { id }, ...stops));
    }
    return `url(#${id})`;
  }
}

/** Where arrow keys lead from an op: right to what reads it, left to what it reads, up and down in its layer. */
function neighboursOf({ ops, successors }: PageData): (op: number, key: string) => number | undefined {
  const predecessors = ops.map((): number[] => []);
  successors.forEach((list, from) => {
    for (const to of list) predecessors[to]!.push(from);
  });
  const layers = Map.groupBy(ops.keys(), (id) => ops[id]!.x);
  for (const layer of layers.values()) layer.sort((a, b) => ops[a]!.y - ops[b]!.y);
  return (op, key) => {
    const layer = layers.get(ops[op]!.x)!;
    const place = layer.indexOf(op);
    switch (key) {
      case 'ArrowRight':
        return successors[op]![0];
      case 'ArrowLeft':
        return predecessors[op]![0];
      case 'ArrowDown':
        return layer[place + 1];
      case 'ArrowUp':
        return layer[place - 1];
      case 'Home':
        return 0;
      case 'End':
        return ops.length - 1;
      default:
        return undefined;
    }
  };
}
