import type { PageData } from '../page-data.ts';
import { SLICE_KINDS } from '../page-data.ts';
import { element, panel } from './dom.ts';
import type { Palette, View } from './draw-timeline.ts';
import { AXIS, drawTimeline, GUTTER, readPalette, ROW } from './draw-timeline.ts';
import { time } from './format.ts';
import type { Selection } from './selection.ts';
import type { Slices } from './slices.ts';
import { decodeSlices, sliceAt, slicesOf } from './slices.ts';

/** Rows seen at a time at most. */
const MAX_HEIGHT = 24 * ROW + AXIS;

/** No closer than this. */
const LEAST_SPAN_US = 1;

const KIND_WORDS = [
  'forward',
  'backward',
  'update',
  'result read by',
  'gradient sent by',
  'statistics of',
  'sum of the gradients of',
];

/** The devices and links over time, on a canvas. */
export function timelinePanel(data: PageData, selection: Selection): HTMLElement {
  return new Timeline(data, selection).panel;
}

class Timeline {
  readonly panel: HTMLElement;
  readonly #data: PageData;
  readonly #selection: Selection;
  readonly #slices: Slices;
  readonly #canvas = element('canvas', { tabindex: 0, role: 'application' });
  readonly #status = element('output', { class: 'status', 'aria-live': 'polite' });
  readonly #view: View;
  #palette: Palette = readPalette();
  #scheduled = false;

  constructor(data: PageData, selection: Selection) {
    this.#data = data;
    this.#selection = selection;
    this.#slices = decodeSlices(data);
    const toUs = data.explanation.makespanUs || 1;
    this.#view = { fromUs: 0, toUs, scroll: 0, row: 0, slice: undefined, showPath: true, selected: undefined };
    this.#canvas.style.height = `${Math.min(MAX_HEIGHT, data.rows.length * ROW + AXIS + 4)}px`;
    this.#canvas.setAttribute(
      'aria-label',
      'Timeline. Left and right move in time, up and down change the row, plus and minus zoom, comma and period go from task to task, Enter explains the op, 0 shows all.',
    );
    const path = element('button', { type: 'button', 'aria-pressed': 'true' }, 'critical path');
    path.addEventListener('click', () => {
      this.#view.showPath = !this.#view.showPath;
      path.setAttribute('aria-pressed', String(this.#view.showPath));
      this.#draw();
    });
    const kinds = new Set(this.#slices.code.map((code) => code & 7));
    const used = SLICE_KINDS.filter((_, i) => kinds.has(i));
    const legend = used.map((kind) => element('li', {}, element('i', { class: `kind-${kind}` }), LEGEND[kind]));
    const hint =
      'Drag, or arrows: move. Ctrl and wheel, or + and −: zoom. Comma, period: tasks. Enter: explain. 0: all.';
    const tools = element('div', { class: 'tools' }, path);
    this.panel = panel(
      'timeline',
      'Timeline',
      hint,
      tools,
      element('ul', { class: 'legend' }, ...legend),
      this.#canvas,
      this.#status,
    );
    this.#listen();
  }

  #listen(): void {
    const canvas = this.#canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#palette = readPalette();
      this.#draw();
    });
    this.#selection.listen((op) => {
      this.#view.selected = op === undefined ? undefined : slicesOf(op, this.#slices);
      this.#draw();
    });
    canvas.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (this.#key(event.key)) event.preventDefault();
    });
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    let dragged: { x: number; y: number } | undefined;
    let moved = false;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      dragged = { x: event.offsetX, y: event.offsetY };
      moved = false;
    });
    canvas.addEventListener('pointermove', (event) => {
      if (dragged === undefined) return this.#point(event.offsetX, event.offsetY);
      const [dx, dy] = [event.offsetX - dragged.x, event.offsetY - dragged.y];
      if (Math.abs(dx) + Math.abs(dy) > 3) moved = true;
      if (!moved) return;
      this.#pan((-dx * this.#spanUs) / this.#plotWidth);
      this.#scrollTo(this.#view.scroll - dy);
      dragged = { x: event.offsetX, y: event.offsetY };
    });
    canvas.addEventListener('pointerup', (event) => {
      if (dragged === undefined || moved) return;
      this.#point(event.offsetX, event.offsetY);
      this.#explain();
    });
    // Comes after each release, and where the browser takes the pointer away: to scroll, or for a menu.
    canvas.addEventListener('lostpointercapture', () => (dragged = undefined));
  }

  #wheel(event: WheelEvent): void {
    const zooms = event.ctrlKey || event.metaKey;
    const pans = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (zooms) {
      const at = this.#view.fromUs + ((event.offsetX - GUTTER) / this.#plotWidth) * this.#spanUs;
      this.#zoom(Math.exp(event.deltaY / 300), at);
    } else if (pans) this.#pan(((event.deltaX || event.deltaY) * this.#spanUs) / this.#plotWidth);
    else if (!this.#scrollTo(this.#view.scroll + event.deltaY)) return;
    event.preventDefault();
  }

  #key(key: string): boolean {
    const middle = (this.#view.fromUs + this.#view.toUs) / 2;
    const acts: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => this.#pan(-this.#spanUs / 8),
      ArrowRight: () => this.#pan(this.#spanUs / 8),
      ArrowUp: () => this.#toRow(this.#view.row - 1),
      ArrowDown: () => this.#toRow(this.#view.row + 1),
      '+': () => this.#zoom(1 / 1.5, middle),
      '=': () => this.#zoom(1 / 1.5, middle),
      '-': () => this.#zoom(1.5, middle),
      0: () => this.#show(0, this.#data.explanation.makespanUs),
      Home: () => this.#pan(-Infinity),
      End: () => this.#pan(Infinity),
      ',': () => this.#step(-1),
      '.': () => this.#step(1),
      Enter: () => this.#explain(),
      Escape: () => this.#selection.select(undefined),
    };
    const act = acts[key];
    act?.();
    return act !== undefined;
  }

  get #spanUs(): number {
    return this.#view.toUs - this.#view.fromUs;
  }

  get #plotWidth(): number {
    return Math.max(1, this.#canvas.clientWidth - GUTTER);
  }

  #show(fromUs: number, toUs: number): void {
    const end = this.#data.explanation.makespanUs;
    const span = Math.min(end, Math.max(LEAST_SPAN_US, toUs - fromUs));
    this.#view.fromUs = Math.max(0, Math.min(end - span, fromUs));
    this.#view.toUs = this.#view.fromUs + span;
    this.#draw();
  }

  #pan(byUs: number): void {
    const end = this.#data.explanation.makespanUs;
    const fromUs = Math.max(0, Math.min(end - this.#spanUs, this.#view.fromUs + byUs));
    this.#show(fromUs, fromUs + this.#spanUs);
  }

  #zoom(factor: number, atUs: number): void {
    this.#show(atUs - (atUs - this.#view.fromUs) * factor, atUs + (this.#view.toUs - atUs) * factor);
  }

  /** Whether there was anything to scroll. */
  #scrollTo(scroll: number): boolean {
    const most = Math.max(0, this.#data.rows.length * ROW + AXIS + 4 - this.#canvas.clientHeight);
    const next = Math.max(0, Math.min(most, scroll));
    if (next === this.#view.scroll) return false;
    this.#view.scroll = next;
    this.#draw();
    return true;
  }

  #toRow(row: number): void {
    this.#view.row = Math.max(0, Math.min(this.#data.rows.length - 1, row));
    const top = this.#view.row * ROW;
    const page = this.#canvas.clientHeight - AXIS - ROW;
    if (top < this.#view.scroll) this.#scrollTo(top);
    else if (top > this.#view.scroll + page) this.#scrollTo(top - page);
    this.#view.slice = sliceAt(this.#slices, this.#view.row, (this.#view.fromUs + this.#view.toUs) / 2);
    this.#tell();
  }

  /** To the next or previous task of the row, moving the view where it is outside. */
  #step(by: 1 | -1): void {
    const { startUs, durationUs, first } = this.#slices;
    const { row, slice } = this.#view;
    const [begin, end] = [first[row]!, first[row + 1]!];
    if (begin === end) return;
    const start = slice ?? sliceAt(this.#slices, row, this.#view.fromUs) ?? begin;
    const next = Math.max(begin, Math.min(end - 1, slice === undefined ? start : start + by));
    this.#view.slice = next;
    const middle = startUs[next]! + durationUs[next]! / 2;
    if (middle < this.#view.fromUs || middle > this.#view.toUs) {
      this.#show(middle - this.#spanUs / 2, middle + this.#spanUs / 2);
    }
    this.#tell();
  }

  #point(x: number, y: number): void {
    const row = Math.floor((y - AXIS + this.#view.scroll) / ROW);
    if (x < GUTTER || y < AXIS || row >= this.#data.rows.length) return;
    const atUs = this.#view.fromUs + ((x - GUTTER) / this.#plotWidth) * this.#spanUs;
    const slice = sliceAt(this.#slices, row, atUs);
    const slackUs = (3 * this.#spanUs) / this.#plotWidth;
    const isOver =
      slice !== undefined && atUs <= this.#slices.startUs[slice]! + this.#slices.durationUs[slice]! + slackUs;
    this.#view.row = row;
    this.#view.slice = isOver ? slice : undefined;
    this.#tell();
  }

  #explain(): void {
    const { slice } = this.#view;
    if (slice !== undefined) this.#selection.select(this.#slices.code[slice]! >>> 3);
  }

  /** Says what is under the cursor. */
  #tell(): void {
    const { slice, row } = this.#view;
    const { name } = this.#data.rows[row]!;
    if (slice === undefined) this.#status.textContent = `${name}: idle`;
    else {
      const { startUs, durationUs, code } = this.#slices;
      const what = `${KIND_WORDS[code[slice]! & 7]} ${this.#data.ops[code[slice]! >>> 3]!.op}`;
      this.#status.textContent = `${name}: ${what}, ${time(durationUs[slice]!)} from ${time(startUs[slice]!)}`;
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      const canvas = this.#canvas;
      const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
      const context = canvas.getContext('2d');
      if (context === null || width === 0) return;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      context.scale(ratio, ratio);
      const work = drawTimeline(context, width, height, this.#data.rows, this.#slices, this.#view, this.#palette);
      canvas.dataset['rectangles'] = String(work.rectangles);
      canvas.dataset['looked'] = String(work.slices);
      canvas.dataset['view'] = `${this.#view.fromUs} ${this.#view.toUs} ${this.#view.row}`;
    });
  }
}

const LEGEND: Readonly<Record<(typeof SLICE_KINDS)[number], string>> = {
  forward: 'forward',
  backward: 'backward',
  update: 'update',
  activation: 'results on links',
  gradient: 'gradients on links',
  gather: 'gathers',
  collective: 'sums',
};
