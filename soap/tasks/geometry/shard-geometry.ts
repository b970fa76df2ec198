import type { Shape } from '../../graph/graph.ts';
import { BYTES_PER_ELEMENT } from '../work.ts';
import type { OpGeometry } from './op-geometry.ts';

/** An op that reads a parameter, and as which of its inputs. */
export interface ParameterReader {
  readonly geometry: OpGeometry;
  readonly input: number;
}

/**
 * How the readers of a parameter cut it: the largest boxes that each part reads as a whole or not at all, row-major, and
 * which part of which reader reads which. See parameterShards, which says the same with regions.
 */
export interface ShardGeometry {
  readonly count: number;
  /** By shard. */
  readonly bytes: Float64Array;
  /** Reads of shard s are `reads[k]` for k from `fromShard[s]` to `fromShard[s + 1]`. */
  readonly fromShard: Int32Array;
  readonly reads: Int32Array;
  /** By read: which reader, its part, and the shard; in order of reader, part, then shard. */
  readonly readReader: Int32Array;
  readonly readPart: Int32Array;
  readonly readShard: Int32Array;
  /** By reader: reads of its part p are those from `[p]` to `[p + 1]`. */
  readonly fromPart: readonly Int32Array[];
}

/** Shards of a parameter, and reads of them, beyond which a split is too fine to be planned; keys hold no more shards. */
const MAX_SHARDS = 8191;
const MAX_READS = 2 ** 20;

/** Shard geometries, each made once per parameter and splits of its readers. */
export class ShardGeometries {
  readonly #made = new Map<string, ShardGeometry | undefined>();

  /** Undefined where there are more than {@link MAX_SHARDS} shards, or reads of them. */
  get(tensor: number, shape: Shape, readers: readonly ParameterReader[]): ShardGeometry | undefined {
    const key = `${tensor}:${readers.map(({ geometry }) => geometry.id).join()}`;
    let shards = this.#made.get(key);
    if (shards === undefined && !this.#made.has(key)) {
      shards = makeShards(shape, readers);
      this.#made.set(key, shards);
    }
    return shards;
  }
}

function makeShards(shape: Shape, readers: readonly ParameterReader[]): ShardGeometry | undefined {
  const cuts = shape.map((extent, axis) => cutsOf(readers, axis, extent));
  const cellCount = cuts.reduce((cells, borders) => cells * (borders.length - 1), 1);
  if (cellCount > MAX_SHARDS) return undefined;
  const isRead = new Uint8Array(cellCount);
  const readCell: number[] = [];
  const readReader: number[] = [];
  const readPart: number[] = [];
  const fromPart = readers.map(({ geometry }) => new Int32Array(geometry.parts + 1));
  for (const [reader, { geometry, input }] of readers.entries()) {
    const { present } = geometry.inputs[input]!;
    fromPart[reader]![0] = readCell.length;
    for (let part = 0; part < geometry.parts; part++) {
      if (present[part] === 1) {
        listCells(geometry, input, part, cuts, readCell);
        if (readCell.length > MAX_READS) return undefined;
        while (readPart.length < readCell.length) {
          isRead[readCell[readPart.length]!] = 1;
          readReader.push(reader);
          readPart.push(part);
        }
      }
      fromPart[reader]![part + 1] = readCell.length;
    }
  }
  const { shardOf, cells } = numbered(isRead);
  const readShard = Int32Array.from(readCell, (cell) => shardOf[cell]!);
  return {
    count: cells.length,
    bytes: Float64Array.from(cells, (cell) => cellVolume(cell, cuts) * BYTES_PER_ELEMENT),
    ...byShard(readShard, cells.length),
    readReader: Int32Array.from(readReader),
    readPart: Int32Array.from(readPart),
    readShard,
    fromPart,
  };
}

/** Numbers the cells that are read, in order. */
function numbered(isRead: Uint8Array): { shardOf: Int32Array; cells: readonly number[] } {
  const shardOf = new Int32Array(isRead.length);
  const cells: number[] = [];
  for (let cell = 0; cell < isRead.length; cell++) if (isRead[cell] === 1) shardOf[cell] = cells.push(cell) - 1;
  return { shardOf, cells };
}

/** Where the borders of the readers' boxes cut an axis, its ends included. */
function cutsOf(readers: readonly ParameterReader[], axis: number, extent: number): readonly number[] {
  const borders = new Set([0, extent]);
  for (const { geometry, input } of readers) {
    const { rank, bounds, present } = geometry.inputs[input]!;
    for (let part = 0; part < geometry.parts; part++) {
      if (present[part] === 0) continue;
      borders.add(bounds[(part * rank + axis) * 2]!);
      borders.add(bounds[(part * rank + axis) * 2 + 1]!);
    }
  }
  return [...borders].sort((a, b) => a - b);
}

/** Adds the row-major numbers of the grid's cells inside a part's box to a list, ascending. */
function listCells(
  { inputs }: OpGeometry,
  input: number,
  part: number,
  cuts: readonly (readonly number[])[],
  list: number[],
): void {
  const { rank, bounds } = inputs[input]!;
  const visit = (axis: number, before: number): void => {
    if (axis === rank) {
      list.push(before);
      return;
    }
    const borders = cuts[axis]!;
    const end = bounds[(part * rank + axis) * 2 + 1]!;
    const first = before * (borders.length - 1);
    for (let k = borders.indexOf(bounds[(part * rank + axis) * 2]!); borders[k]! < end; k++) visit(axis + 1, first + k);
  };
  visit(0, 0);
}

function cellVolume(cell: number, cuts: readonly (readonly number[])[]): number {
  let [rest, volume] = [cell, 1];
  for (const borders of cuts.toReversed()) {
    const width = borders.length - 1;
    const at = rest % width;
    rest = Math.floor(rest / width);
    volume *= borders[at + 1]! - borders[at]!;
  }
  return volume;
}

function byShard(readShard: Int32Array, count: number): Pick<ShardGeometry, 'fromShard' | 'reads'> {
  const fromShard = new Int32Array(count + 1);
  for (const shard of readShard) fromShard[shard + 1]! += 1;
  for (let shard = 0; shard < count; shard++) fromShard[shard + 1]! += fromShard[shard]!;
  const next = fromShard.slice();
  const reads = new Int32Array(readShard.length);
  readShard.forEach((shard, read) => (reads[next[shard]!++] = read));
  return { fromShard, reads };
}
