import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { CostTable } from '../../soap/cost/cost-table.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import type { KeptCosts } from '../../soap/cost/kept-costs.ts';
import { decodeKeptCosts, deviceCostsOf, MAX_KEPT_ROWS, shortenKeptCosts } from '../../soap/cost/kept-costs.ts';
import { FileError } from '../../soap/schema/check.ts';
import { messageOf } from '../../soap/message-of.ts';

/**
 * Most bytes of a table in a ConfigMap. Source: Kubernetes documentation, "ConfigMaps": 1 MiB in all; as base64 a table is a third
 * larger on its way there.
 */
const MAX_PACKED_BYTES = 700 * 1024;

/** Most that a table may be unpacked: a compressed file can stand for a thousand times its size. */
const MAX_UNPACKED_BYTES = 8 * 2 ** 20;

/** A table as a ConfigMap keeps it. */
export interface PackedCosts {
  readonly costs: KeptCosts;
  readonly bytes: Uint8Array;
  /** What had no room, each a clause. */
  readonly dropped: readonly string[];
}

/** Compresses a table; where it is too large, without what is least worth. */
export async function packCosts(costs: KeptCosts, maxBytes: number = MAX_PACKED_BYTES): Promise<PackedCosts> {
  const dropped: string[] = [];
  let kept = costs;
  for (;;) {
    const bytes = await promisify(gzip)(JSON.stringify(kept), { level: 9 });
    const fits = bytes.length <= maxBytes && kept.rows.length <= MAX_KEPT_ROWS;
    if (fits || kept.rows.length === 0) return { costs: kept, bytes, dropped };
    const shortened = shortenKeptCosts(kept);
    kept = shortened.costs;
    dropped.push(shortened.dropped);
  }
}

/** Reads a compressed table, which may be a stranger's. @throws {FileError} where it is none */
export async function unpackCosts(bytes: Uint8Array, source: string): Promise<KeptCosts> {
  const text = await promisify(gunzip)(bytes, { maxOutputLength: MAX_UNPACKED_BYTES }).catch((error: unknown) => {
    const reason = messageOf(error);
    throw new FileError(source, [{ path: '', message: `cannot be unpacked: ${reason}` }]);
  });
  return decodeKeptCosts(text.toString(), source);
}

/** One table of compressed ones, of a type of device each. @throws {FileError} where one is none */
export async function unpackTable(packed: readonly Uint8Array[]): Promise<CostTable> {
  const tables = await Promise.all(packed.map((bytes) => unpackCosts(bytes, 'a table of measured costs')));
  return createCostTable(tables.map(deviceCostsOf));
}
