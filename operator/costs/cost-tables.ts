import type { CoreV1Api, V1ConfigMap } from '@kubernetes/client-node';
import { ApiException, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import type { KeptCosts } from '../../soap/cost/kept-costs.ts';
import { mergeKeptCosts } from '../../soap/cost/kept-costs.ts';
import { FileError } from '../../soap/schema/check.ts';
import type { KnownCosts } from '../decide/types.ts';
import { packCosts, unpackCosts } from './packing.ts';

/** The API that tables are kept in. */
export type TableApi = Pick<
  CoreV1Api,
  'readNamespacedConfigMap' | 'createNamespacedConfigMap' | 'patchNamespacedConfigMap'
>;

/** Key of the compressed table in its ConfigMap. */
const KEY = 'costs.json.gz';

/** Somebody else may write tables: what was read longer ago is read again. */
const FRESH_MS = 60_000;

/** Writers of one table try again so often where others were faster. */
const TRIES = 5;

interface Entry {
  readonly readMs: number;
  readonly known: KnownCosts;
  /** Undefined where there is none, or none that can be read. */
  readonly bytes: Uint8Array | undefined;
}

/**
 * The tables of measured costs, a ConfigMap for each type of device in the namespace of the jobs that measured it: a user of another
 * namespace can neither read nor change them.
 */
export class CostTables {
  readonly #core: TableApi;
  readonly #nowMs: () => number;
  /** By namespace and name. */
  readonly #entries = new Map<string, Entry>();

  constructor(core: TableApi, nowMs: () => number = () => performance.now()) {
    this.#core = core;
    this.#nowMs = nowMs;
  }

  /** What is known of the tables of a namespace that were read lately, by name. */
  known(namespace: string): ReadonlyMap<string, KnownCosts> {
    const prefix = `${namespace}/`;
    return new Map(
      [...this.#fresh()].flatMap(([key, { known }]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), known]] : [],
      ),
    );
  }

  /** Reads tables that were not read lately. @throws {Error} where the API server does not answer */
  async read(namespace: string, names: readonly string[]): Promise<void> {
    await this.#freshOnes(namespace, names);
  }

  /** The compressed tables of these names that are there. */
  async packed(namespace: string, names: readonly string[]): Promise<Uint8Array[]> {
    const entries = await this.#freshOnes(namespace, names);
    return entries.flatMap(({ bytes }) => bytes ?? []);
  }

  /**
   * Merges what was measured into its table.
   * @returns what had no room, each a clause
   * @throws {Error} where it cannot be written
   */
  async add(namespace: string, name: string, report: KeptCosts): Promise<readonly string[]> {
    for (let tries = 1; ; tries++) {
      const { found, costs } = await this.#readOne(namespace, name);
      const packed = await packCosts(mergeKeptCosts(costs, report));
      try {
        await this.#write(namespace, name, found?.metadata?.resourceVersion, packed.costs, packed.bytes);
      } catch (error) {
        if (error instanceof ApiException && error.code === 409 && tries < TRIES) continue;
        throw error;
      }
      this.#keep(namespace, name, packed.costs, packed.bytes);
      return packed.dropped;
    }
  }

  /** Entries by name, read where they were not lately. Held here: one may be forgotten while the next is read. */
  async #freshOnes(namespace: string, names: readonly string[]): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const name of names) {
      const known = this.#fresh().get(`${namespace}/${name}`);
      if (known !== undefined) entries.push(known);
      else {
        const { bytes, costs } = await this.#readOne(namespace, name);
        entries.push(this.#keep(namespace, name, costs, bytes));
      }
    }
    return entries;
  }

  async #readOne(
    namespace: string,
    name: string,
  ): Promise<{ found?: V1ConfigMap | undefined; costs?: KeptCosts; bytes?: Uint8Array }> {
    const found = await this.#core.readNamespacedConfigMap({ namespace, name }).catch((error: unknown) => {
      // Without the right to read there is no table, and the attempt to write one will tell.
      if (error instanceof ApiException && (error.code === 404 || error.code === 403)) return undefined;
      throw error;
    });
    const content = found?.binaryData?.[KEY];
    if (content === undefined) return { found };
    const bytes = Buffer.from(content, 'base64');
    try {
      return { found, bytes, costs: await unpackCosts(bytes, `ConfigMap ${name}`) };
    } catch (error) {
      // Somebody damaged it, or it is of another version: it is as none, and is written anew.
      if (error instanceof FileError) return { found };
      throw error;
    }
  }

  async #write(
    namespace: string,
    name: string,
    resourceVersion: string | undefined,
    { deviceType, kernels, batches, rows }: KeptCosts,
    bytes: Uint8Array,
  ): Promise<void> {
    const labels = { 'app.kubernetes.io/managed-by': 'soapstone', 'soapstone.dev/costs': 'true' };
    const content = {
      // For people; only the table counts.
      data: {
        deviceType,
        kernels,
        entries: String(rows.length),
        measured: batches.at(-1)?.measured ?? '',
      },
      binaryData: { [KEY]: Buffer.from(bytes).toString('base64') },
    };
    if (resourceVersion === undefined) {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, ...content };
      await this.#core.createNamespacedConfigMap({ namespace, body });
      return;
    }
    const body = { metadata: { resourceVersion, labels }, ...content };
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    await this.#core.patchNamespacedConfigMap({ namespace, name, body }, options);
  }

  #keep(namespace: string, name: string, costs: KeptCosts | undefined, bytes: Uint8Array | undefined): Entry {
    const models = costs?.batches.map(({ model }) => model) ?? [];
    const entry = { readMs: this.#nowMs(), known: { models }, bytes };
    this.#entries.set(`${namespace}/${name}`, entry);
    return entry;
  }

  /** What is old is forgotten, so that namespaces that are gone take no memory. */
  #fresh(): ReadonlyMap<string, Entry> {
    const oldestMs = this.#nowMs() - FRESH_MS;
    for (const [key, { readMs }] of this.#entries) if (readMs < oldestMs) this.#entries.delete(key);
    return this.#entries;
  }
}
