/** A line of a chart. */
export interface Series {
  readonly title: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 560;
const HEIGHT = 320;
const LABEL_HEIGHT = 15;
const MARGIN = { left: 64, right: 150, top: 40, bottom: 48 };
/** Told apart with every common colour blindness (Okabe and Ito, "Color Universal Design", 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

/** An SVG picture of lines over two logarithmic axes: x by powers of four, y by powers of ten. Values are above 0. */
export function logChart(title: string, xTitle: string, yTitle: string, series: readonly Series[]): string {
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y));
  const xTicks = powers(4, Math.min(...xs), Math.max(...xs));
  const yTicks = powers(10, Math.min(...ys), Math.max(...ys));
  const x = scale(xTicks, MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(yTicks, HEIGHT - MARGIN.bottom, MARGIN.top);
  const [left, right, bottom] = [MARGIN.left, WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];
  const parts = [
    `<text x="${left}" y="22" font-weight="bold">${title}</text>`,
    `<text x="${(left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${xTitle}</text>`,
    `<text transform="translate(16 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${yTitle}</text>`,
    ...xTicks.map((tick) => `<text x="${x(tick)}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`),
    ...yTicks.map(
      (tick) =>
        `<line x1="${left}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#8884"/>` +
        `<text x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick}</text>`,
    ),
    ...series.map(({ points }, i) => line(points, COLOURS[i % COLOURS.length]!, x, y)),
    ...labels(series, x, y),
  ];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    `font-family="sans-serif" font-size="12" fill="#444"><rect width="100%" height="100%" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`
  );
}

function line(
  points: Series['points'],
  colour: string,
  x: (value: number) => number,
  y: (value: number) => number,
): string {
  const places = points.map(([px, py]) => [x(px).toFixed(1), y(py).toFixed(1)] as const);
  const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
  const path = places.map((place) => place.join()).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}`;
}

/** The names of the lines at their ends, from top to bottom, none on another. */
function labels(series: readonly Series[], x: (value: number) => number, y: (value: number) => number): string[] {
  let lowest = Number.NEGATIVE_INFINITY;
  return series
    .map(({ title, points }, i) => ({ title, colour: COLOURS[i % COLOURS.length]!, last: points.at(-1)! }))
    .toSorted((a, b) => b.last[1] - a.last[1])
    .map(({ title, colour, last }) => {
      lowest = Math.max(y(last[1]) + 4, lowest + LABEL_HEIGHT);
      return `<text x="${(x(last[0]) + 10).toFixed(1)}" y="${lowest.toFixed(1)}" fill="${colour}">${title}</text>`;
    });
}

/** The powers of a base from the last that is no more than the least value to the first that is no less than the most. */
function powers(base: number, least: number, most: number): number[] {
  const [first, last] = [Math.floor(logarithm(base, least)), Math.ceil(logarithm(base, most))];
  return Array.from({ length: last - first + 1 }, (_, i) => Number((base ** (first + i)).toPrecision(12)));
}

function logarithm(base: number, value: number): number {
  return Number((Math.log(value) / Math.log(base)).toFixed(9));
}

function scale(ticks: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log(ticks[0]!), Math.log(ticks.at(-1)!)];
  return (value) => from + ((Math.log(value) - low) / (high - low || 1)) * (to - from);
}
