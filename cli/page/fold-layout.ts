import type { GraphLayout } from './layout.ts';
import { OP_BOX } from './page-data.ts';

type Point = readonly [number, number];

/** Width by height that a picture should have about, and beyond which it is folded. */
const [GOOD_SHAPE, LONG_SHAPE] = [2.1, 4.5];

/** Layers that fit beside each other where their names can be read, on a screen of 1280 pixels. */
const MOST_LAYERS = 6;

/** Between two lines of a folded picture; room for the edges that lead from one to the next. */
const LINE_GAP = 30;

/** Above and below the boxes of a line. */
const MARGIN = 10;

/** How far from a box such an edge turns. */
const TURN = 17;

/** Left and right of where edges turn, so that they are seen whole. */
const SIDE = 1;

/**
 * Folds a long picture of few layers' height into lines, as text is: most networks are long chains. Layers have equal
 * distances, since all boxes have one width.
 */
export function foldLayout(layout: GraphLayout, layerDistance: number): GraphLayout {
  const { width, height, ops, edges } = layout;
  if (width < LONG_SHAPE * height) return layout;
  const lineHeight = height + LINE_GAP;
  const square = Math.ceil(Math.sqrt((GOOD_SHAPE * lineHeight * width) / layerDistance ** 2));
  const layers = Math.min(MOST_LAYERS, Math.max(3, square));
  const lineWidth = layers * layerDistance;
  const start = Math.min(...ops.map(({ x }) => x)) - OP_BOX.width / 2 - TURN;
  const lineOf = (x: number): number => Math.floor((x - start) / lineWidth);
  const lines = Math.max(...ops.map(({ x }) => lineOf(x))) + 1;
  if (lines === 1) return layout;
  const edgeLines = edges.map((points) => [lineOf(points[0]![0] - 1), lineOf(points.at(-1)![0] + 1)] as const);
  const whole = edges.filter((_, i) => edgeLines[i]![0] === edgeLines[i]![1]).flat();
  const extents = extentsOf([...ops.map(({ x, y }): Point => [x, y]), ...whole], lineOf, lines);
  const folded = ([x, y]: Point, line: number): Point => [
    x - start + SIDE - line * lineWidth,
    y + extents[line]!.shift,
  ];
  return {
    ...layout,
    width: lineWidth + 2 * SIDE,
    height: extents.at(-1)!.bottom,
    ops: ops.map(({ x, y }) => {
      const [foldedX, foldedY] = folded([x, y], lineOf(x));
      return { x: foldedX, y: foldedY };
    }),
    edges: edges.map((points, i) => {
      const [fromLine, toLine] = edgeLines[i]!;
      if (fromLine === toLine) return points.map((point) => folded(point, fromLine));
      const [x1, y1] = folded(points[0]!, fromLine);
      const [x2, y2] = folded(points.at(-1)!, toLine);
      const between = extents[toLine]!.top - LINE_GAP / 2;
      return [
        [x1, y1],
        [x1 + TURN, y1],
        [x1 + TURN, between],
        [x2 - TURN, between],
        [x2 - TURN, y2],
        [x2, y2],
      ] as const;
    }),
  };
}

/** Where each line begins and ends, and what has to be added to its points' heights: lines are as high as they must be. */
function extentsOf(
  points: readonly Point[],
  lineOf: (x: number) => number,
  lines: number,
): { readonly top: number; readonly bottom: number; readonly shift: number }[] {
  const extents: { readonly top: number; readonly bottom: number; readonly shift: number }[] = [];
  let top = 0;
  for (let line = 0; line < lines; line++) {
    const heights = points.filter(([x]) => lineOf(x) === line).map(([, y]) => y);
    const [least, most] = heights.length === 0 ? [0, 0] : [Math.min(...heights), Math.max(...heights)];
    const bottom = top + most - least + OP_BOX.height + 2 * MARGIN;
    extents.push({ top, bottom, shift: top - least + OP_BOX.height / 2 + MARGIN });
    top = bottom + LINE_GAP;
  }
  return extents;
}
