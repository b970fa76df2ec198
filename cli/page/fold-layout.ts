import type { GraphLayout } from './graph-layout.ts';
import { OP_BOX } from './page-data.ts';

type Point = readonly [number, number];

/** Width by height that a picture should have about, and beyond which it is folded. */
const [GOOD_SHAPE, LONG_SHAPE] = [2.1, 4.5];

/** Layers that fit beside each other where their names can be read. */
const MOST_LAYERS = 8;

/** Between two lines of a folded picture; room for the edges that lead from one to the next. */
const LINE_GAP = 30;

/** How far from a box such an edge turns. */
const TURN = 17;

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
  const folded = ([x, y]: Point, line: number): Point => [x - line * lineWidth, y + line * lineHeight];
  const lines = Math.max(...ops.map(({ x }) => lineOf(x))) + 1;
  if (lines === 1) return layout;
  return {
    ...layout,
    width: Math.min(width, lineWidth + 2 * TURN),
    height: lines * lineHeight - LINE_GAP,
    ops: ops.map(({ x, y }) => {
      const [foldedX, foldedY] = folded([x, y], lineOf(x));
      return { x: foldedX, y: foldedY };
    }),
    edges: edges.map((points) => {
      const [from, to] = [points[0]!, points.at(-1)!];
      const [fromLine, toLine] = [lineOf(from[0] - 1), lineOf(to[0] + 1)];
      if (fromLine === toLine) return points.map((point) => folded(point, fromLine));
      const [x1, y1] = folded(from, fromLine);
      const [x2, y2] = folded(to, toLine);
      const between = toLine * lineHeight - LINE_GAP / 2;
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
