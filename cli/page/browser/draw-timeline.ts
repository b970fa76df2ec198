import type { PageRow } from '../page-data.ts';
import { SLICE_KINDS } from '../page-data.ts';
import { fitted, moment } from './format.ts';
import type { RowSlices, Slices } from './slices.ts';
import { firstFrom } from './slices.ts';

/** Pixels of the layout. */
export const GUTTER = 192;
export const AXIS = 26;
export const ROW = 22;

/** Height of a slice. */
const BAR = ROW - 6;

/** Pixels left and right of a row's name. */
const LABEL_INDENT = 8;

/** Slices narrower than this are drawn together. */
const NARROW = 2;

/** How opaque what is not of the selected op is. */
const DIMMED = 0.18;

/** The least of what is drawn together. */
const PALEST = 0.3;

/** What is seen of the timeline. */
export interface View {
  fromUs: number;
  toUs: number;
  /** Pixels that the rows are scrolled by. */
  scroll: number;
  /** The row with the cursor, and its slice. */
  row: number;
  slice: number | undefined;
  showPath: boolean;
  /** Those of the selected op; all others are dimmed. */
  selected: RowSlices | undefined;
}

/** Colours of the present theme. */
export interface Palette {
  readonly kinds: readonly string[];
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly stripe: string;
  readonly accent: string;
  readonly focus: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    kinds: SLICE_KINDS.map(color),
    text: color('text'),
    muted: color('muted'),
    line: color('line'),
    stripe: color('stripe'),
    accent: color('critical'),
    focus: color('focus'),
  };
}

/** What a frame cost, in things done and not in time: tests bound it. */
export interface FrameWork {
  readonly rectangles: number;
  readonly slices: number;
}

/**
 * Draws a frame. Of each visible row, only what is within the view is looked at, and slices that fall into the same two
 * pixels are skipped over by bisection and drawn as one, as opaque as the share of time they fill: the work depends on the
 * pixels, not on how many slices there are. A selected op's are drawn once more over all, opaque, so that each is seen.
 */
export function drawTimeline(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  rows: readonly PageRow[],
  slices: Slices,
  view: View,
  palette: Palette,
): FrameWork {
  const frame = new Frame(context, width, height, slices, view, palette);
  frame.grid();
  frame.rows(rows);
  if (view.showPath) frame.path();
  frame.axis();
  frame.thumb(rows.length);
  return { rectangles: frame.rectangles, slices: frame.looked };
}

class Frame {
  rectangles = 0;
  looked = 0;
  readonly #context: CanvasRenderingContext2D;
  readonly #width: number;
  readonly #height: number;
  readonly #slices: Slices;
  readonly #view: View;
  readonly #palette: Palette;
  readonly #pixelsPerUs: number;
  readonly #stepUs: number;

  constructor(
    context: CanvasRenderingContext2D,
    width: number,
    height: number,
    slices: Slices,
    view: View,
    palette: Palette,
  ) {
    this.#context = context;
    this.#width = width;
    this.#height = height;
    this.#slices = slices;
    this.#view = view;
    this.#palette = palette;
    this.#pixelsPerUs = (width - GUTTER) / (view.toUs - view.fromUs);
    this.#stepUs = tickStep((view.toUs - view.fromUs) / Math.max(1, (width - GUTTER) / 110));
    context.clearRect(0, 0, width, height);
    context.font = '12px system-ui, sans-serif';
    context.textBaseline = 'middle';
  }

  rows(rows: readonly PageRow[]): void {
    const context = this.#context;
    const { scroll, row: current, selected } = this.#view;
    const opacity = selected === undefined ? 1 : DIMMED;
    const firstRow = Math.max(0, Math.floor(scroll / ROW));
    for (let row = firstRow; row < rows.length; row++) {
      const y = this.#y(row);
      if (y > this.#height) break;
      if (row % 2 === 1) this.#fill(this.#palette.stripe, 0, y, this.#width, ROW);
      context.save();
      context.beginPath();
      context.rect(GUTTER, AXIS, this.#width - GUTTER, this.#height - AXIS);
      context.clip();
      this.#row(this.#slices, row, y + 3, (busy) => opacity * Math.max(PALEST, Math.min(1, busy)));
      if (selected !== undefined) this.#row(selected, row, y + 3, () => 1);
      this.#cursor(row, y + 3);
      context.restore();
      context.globalAlpha = 1;
      this.#label(rows[row]!, y, row === current);
    }
  }

  #label({ name, kind }: PageRow, y: number, isCurrent: boolean): void {
    const context = this.#context;
    context.fillStyle = isCurrent ? this.#palette.focus : kind === 'device' ? this.#palette.text : this.#palette.muted;
    const shown = fitted(name, GUTTER - 2 * LABEL_INDENT, (text) => context.measureText(text).width);
    context.fillText(shown, LABEL_INDENT, y + ROW / 2 + 0.5);
    if (isCurrent) this.#fill(this.#palette.focus, 0, y + 2, 3, ROW - 4);
  }

  /** @param opacityOf of the share of time that slices fill */
  #row(slices: RowSlices, row: number, y: number, opacityOf: (busy: number) => number): void {
    const { startUs, durationUs, first, code, sumUs } = slices;
    const { fromUs, toUs } = this.#view;
    const [begin, end] = [first[row]!, first[row + 1]!];
    const kindAt = (i: number): string => this.#palette.kinds[code[i]! & 7]!;
    let i = Math.max(begin, firstFrom(startUs, fromUs, begin, end) - 1);
    while (i < end && startUs[i]! < toUs) {
      this.looked += 1;
      const x = this.#x(startUs[i]!);
      const width = durationUs[i]! * this.#pixelsPerUs;
      if (width >= NARROW) {
        this.#context.globalAlpha = opacityOf(1);
        this.#fill(kindAt(i), x, y, Math.max(width - 0.5, 1), BAR);
        i += 1;
        continue;
      }
      const pixelEndUs = fromUs + (Math.floor((x - GUTTER) / NARROW) + 1) * (NARROW / this.#pixelsPerUs);
      const beyond = firstFrom(startUs, pixelEndUs, i, end);
      // Only the last that starts in these pixels may reach beyond them; it is drawn by itself.
      const isWide = beyond > i + 1 && durationUs[beyond - 1]! * this.#pixelsPerUs >= NARROW;
      const next = Math.max(i + 1, isWide ? beyond - 1 : beyond);
      const busy = (sumUs[next]! - sumUs[i]!) / (NARROW / this.#pixelsPerUs);
      this.#context.globalAlpha = opacityOf(busy);
      this.#fill(kindAt(i), x, y, NARROW, BAR);
      i = next;
    }
  }

  /** A frame around the slice with the cursor, where it is in a row. */
  #cursor(row: number, y: number): void {
    const { startUs, durationUs, first } = this.#slices;
    const { slice } = this.#view;
    if (slice === undefined || slice < first[row]! || slice >= first[row + 1]!) return;
    const width = Math.max(NARROW, durationUs[slice]! * this.#pixelsPerUs);
    this.#context.globalAlpha = 1;
    this.#context.strokeStyle = this.#palette.text;
    this.#context.lineWidth = 2;
    this.#context.strokeRect(this.#x(startUs[slice]!) - 1, y - 2, width + 2, BAR + 4);
  }

  /** The critical path: a line under the slices that it is spent on, and from row to row. */
  path(): void {
    const { pathFromUs, pathToUs, pathRow } = this.#slices;
    const { fromUs, toUs } = this.#view;
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(GUTTER, AXIS, this.#width - GUTTER, this.#height - AXIS);
    context.clip();
    context.strokeStyle = this.#palette.accent;
    context.lineWidth = 1.5;
    context.globalAlpha = 0.8;
    context.beginPath();
    let i = Math.max(0, firstFrom(pathFromUs, fromUs, 0, pathFromUs.length) - 1);
    let lastY: number | undefined;
    while (i < pathFromUs.length && pathFromUs[i]! < toUs) {
      this.looked += 1;
      const y = this.#y(pathRow[i]!) + ROW - 2.5;
      const from = this.#x(pathFromUs[i]!);
      if (lastY === undefined) context.moveTo(from, y);
      else {
        context.lineTo(from, lastY);
        context.lineTo(from, y);
      }
      const to = this.#x(pathToUs[i]!);
      context.lineTo(to, y);
      lastY = y;
      const nextUs = pathToUs[i]! + (to - from < 1 ? 1 / this.#pixelsPerUs : 0);
      i = Math.max(i + 1, to - from < 1 ? firstFrom(pathFromUs, nextUs, i, pathFromUs.length) : i + 1);
    }
    context.stroke();
    context.restore();
  }

  /** Below all else: a line over a task would look like a gap. */
  grid(): void {
    for (const at of this.#marks()) this.#fill(this.#palette.line, Math.round(this.#x(at)), AXIS, 1, this.#height);
    this.#fill(this.#palette.line, GUTTER - 1, AXIS, 1, this.#height);
  }

  axis(): void {
    const context = this.#context;
    context.clearRect(0, 0, this.#width, AXIS);
    for (const at of this.#marks()) {
      const x = Math.round(this.#x(at));
      this.#fill(this.#palette.line, x, AXIS - 6, 1, 6);
      context.fillStyle = this.#palette.muted;
      if (x < this.#width - 50) context.fillText(moment(at, this.#stepUs, this.#view.toUs), x + 4, AXIS / 2);
    }
  }

  /** Which of the rows are seen, where these are not all. */
  thumb(rows: number): void {
    const [room, all] = [this.#height - AXIS, rows * ROW];
    if (all <= room) return;
    const y = AXIS + (this.#view.scroll / all) * room;
    this.#fill(this.#palette.muted, GUTTER - 5, y, 3, (room / all) * room);
  }

  #marks(): number[] {
    const { fromUs, toUs } = this.#view;
    const first = Math.ceil(fromUs / this.#stepUs);
    const count = Math.floor(toUs / this.#stepUs) - first + 1;
    return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * this.#stepUs);
  }

  #fill(color: string, x: number, y: number, width: number, height: number): void {
    this.rectangles += 1;
    this.#context.fillStyle = color;
    this.#context.fillRect(x, y, width, height);
  }

  #x(us: number): number {
    return GUTTER + (us - this.#view.fromUs) * this.#pixelsPerUs;
  }

  #y(row: number): number {
    return AXIS + row * ROW - this.#view.scroll;
  }
}

/** The least of 1, 2, 5 times a power of ten that is not below a number. */
function tickStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least)!;
}
