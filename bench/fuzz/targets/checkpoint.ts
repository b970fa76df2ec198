import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointIndex } from '../../../runtime/checkpoint/index-file.ts';
import { encodeIndex, CheckpointError, INDEX_NAME, decodeIndex } from '../../../runtime/checkpoint/index-file.ts';
import { latestCheckpoint, openCheckpoint } from '../../../runtime/checkpoint/read.ts';
import { weightBoxes, wholeWeight } from '../../../runtime/checkpoint/restore.ts';
import { encodeSafetensors, SafetensorsError } from '../../../soap/safetensors/safetensors.ts';
import { structuredSafetensors, structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';
import { TemporaryFolder } from '../temporary-file.ts';

const folder = new TemporaryFolder();
const FILE = 'model-00001-of-00001.safetensors';
const OPENING = '{"metadata"';

const tensors = new Map([
  ['weight/fc[0:1,0:2]', { dtype: 'float32' as const, shape: [1, 2], data: Float32Array.of(1, 2) }],
  ['weight/fc[1:3,0:2]', { dtype: 'float32' as const, shape: [2, 2], data: Float32Array.of(3, 4, 5, 6) }],
]);
const shardFile = Buffer.concat(encodeSafetensors(tensors, { step: '3' }));

const structuredIndex = structuredText((text) => JSON.parse(text));

/** Checkpoints: a damaged shard file, or an index that is damaged but for its checksum, beside the whole other. */
export const checkpoint: FuzzTarget = {
  name: 'checkpoint',
  share: 20,
  refusals: [CheckpointError, SafetensorsError],
  seeds: () => Promise.resolve([shardFile, new TextEncoder().encode(JSON.stringify(wholeIndex()))]),
  structured: (seed, random) => (seed === shardFile ? structuredSafetensors : structuredIndex)(seed, random),
  async read(bytes) {
    const directory = await folder.path();
    const path = join(directory, 'step-00000003');
    await mkdir(path, { recursive: true });
    const isIndex = Buffer.from(bytes.subarray(0, OPENING.length)).toString().startsWith('{');
    await writeFile(join(path, FILE), isIndex ? shardFile : bytes);
    await writeFile(join(path, INDEX_NAME), isIndex ? withChecksum(bytes) : encodeIndex(wholeIndex(bytes)));
    const opened = await openCheckpoint(path);
    try {
      for (const boxes of weightBoxes(opened).values()) await wholeWeight(opened, boxes);
    } finally {
      await opened.close();
    }
    await latestCheckpoint(directory);
  },
  close: () => folder.remove(),
};

/** The index that fits the shard file, or claims to fit other bytes. */
function wholeIndex(bytes: Uint8Array = shardFile): CheckpointIndex {
  const run = { model: 'm', optimizer: 'sgd', seed: 1, samples: 2, shuffle: true, batchSize: 1 };
  const box = (start: number, end: number): object => ({
    kind: 'weight',
    parameter: 'fc',
    shape: [3, 2],
    region: [
      [start, end],
      [0, 2],
    ],
  });
  const index = {
    files: { [FILE]: { bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') } },
    weight_map: Object.fromEntries([...tensors.keys()].map((name) => [name, FILE])),
    boxes: { 'weight/fc[0:1,0:2]': box(0, 1), 'weight/fc[1:3,0:2]': box(1, 3) },
  };
  const metadata = { step: 3, run, source: {}, total_size: 24 };
  return decodeIndex(
    withChecksumText(JSON.stringify({ metadata: { format: 'soapstone-checkpoint-1', ...metadata }, ...index })),
    'the seed',
  );
}

/** So that what lies behind the checksum is fuzzed too. */
function withChecksum(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  try {
    return withChecksumText(text);
  } catch {
    return text;
  }
}

function withChecksumText(text: string): string {
  const value: unknown = JSON.parse(text);
  const checksum = createHash('sha256').update(JSON.stringify(value)).digest('hex');
  return JSON.stringify(typeof value === 'object' && value !== null ? { ...value, checksum } : value);
}
