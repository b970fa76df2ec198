import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  KubeConfig,
  V1Container,
  V1EnvVar,
  V1Node,
  V1ObjectMeta,
  V1OwnerReference,
  V1Pod,
  V1Volume,
} from '@kubernetes/client-node';
import {
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  NetworkingV1Api,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { KubeletLogs } from './kubelet.ts';

const MAIN = new URL('../../../cli/main.ts', import.meta.url).pathname;

/** Where Node keeps what it has compiled: processes of pods start in half the time, as those of the image do. */
const { NODE_COMPILE_CACHE: compiled } = process.env;
const COMPILED = compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled };

const POLL_MS = 150;
/** Garbage is looked for less often: it takes more calls than all else. */
const COLLECT_MS = 1000;
/** All mounts of the project's pods are below it; a tmpfs covers it in each pod's mount namespace. */
const MOUNT_ROOT = '/var/run/soapstone';

/** A pod's process and address. */
interface RunningPod {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly ip: string;
  reported: boolean;
}

export interface NodeAgentOptions {
  readonly kubeConfig: KubeConfig;
  /** Where the logs of pods go; printed when a test fails. */
  readonly onLog: (line: string) => void;
  /**
   * Plays the pods' processes too, for tests of what happens to pods and not in them: the status that a running pod gets, or
   * undefined while it goes on. Without it pods are real processes.
   */
  readonly play?: (pod: V1Pod) => object | undefined;
  /** Hosts that pods can reach beside each other, such as services: addresses by name. */
  readonly names?: Readonly<Record<string, string>>;
  /** First half of the pods' addresses; by default of loopback, which the API server's proxy refuses to go to, and of this process. */
  readonly addresses?: string;
}

/**
 * Plays scheduler, kubelet and garbage collector for tests: binds pods to nodes with room, runs each bound pod's command as a
 * process in a mount namespace of its own (volumes and /etc/hosts as its spec says), writes pod status, and deletes what a
 * deleted owner leaves behind. Every pod has a loopback address of its own.
 */
export class NodeAgent {
  readonly #core: CoreV1Api;
  readonly #custom: CustomObjectsApi;
  readonly #networking: NetworkingV1Api;
  readonly #apps: AppsV1Api;
  readonly #onLog: (line: string) => void;
  readonly #play: NodeAgentOptions['play'];
  readonly #names: Readonly<Record<string, string>>;
  readonly #kubelet = new KubeletLogs();
  readonly #prefix: string;
  readonly #running = new Map<string, RunningPod>();
  readonly #addresses = new Map<string, string>();
  readonly #claims = mkdtempSync(join(tmpdir(), 'soapstone-claims-'));
  #stopped = false;
  #collectedMs = -Infinity;
  #loop: Promise<void> | undefined;
  #nextAddress = 1;
  #kubeletPort: number | undefined;

  constructor({ kubeConfig, onLog, play, names = {}, addresses = loopbackPrefix() }: NodeAgentOptions) {
    this.#play = play;
    this.#names = names;
    this.#prefix = addresses;
    this.#core = kubeConfig.makeApiClient(CoreV1Api);
    this.#custom = kubeConfig.makeApiClient(CustomObjectsApi);
    this.#networking = kubeConfig.makeApiClient(NetworkingV1Api);
    this.#apps = kubeConfig.makeApiClient(AppsV1Api);
    this.#onLog = onLog;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
    this.#kubelet.close();
    for (const [uid, { child, folder }] of this.#running) {
      await kill(child, 'SIGKILL');
      await rm(folder, { recursive: true, force: true });
      this.#running.delete(uid);
    }
    await rm(this.#claims, { recursive: true, force: true });
  }

  /** The folder that stands for a volume claim. */
  claimFolder(namespace: string, name: string): string {
    return join(this.#claims, namespace, name);
  }

  /** Processes that pods left running. */
  get processes(): number {
    return [...this.#running.values()].filter(({ child }) => child.exitCode === null && child.signalCode === null)
      .length;
  }

  /** Kills the process of a pod, as a crash or the OOM killer would. */
  async crash(name: string): Promise<void> {
    const { items } = await this.#core.listPodForAllNamespaces();
    const uid = items.find(({ metadata }) => metadata?.name === name)?.metadata?.uid ?? '';
    const pod = this.#running.get(uid);
    if (pod === undefined) throw new Error(`pod ${name} does not run`);
    await kill(pod.child, 'SIGKILL');
  }

  async #run(): Promise<void> {
    if (this.#play === undefined) this.#kubeletPort = await this.#kubelet.listen();
    while (!this.#stopped) {
      try {
        await this.#visit();
      } catch (error) {
        this.#onLog(`node agent: ${String(error)}`);
      }
      await sleep(POLL_MS);
    }
  }

  async #visit(): Promise<void> {
    const { items: nodes } = await this.#core.listNode();
    const { items: pods } = await this.#core.listPodForAllNamespaces();
    if (performance.now() - this.#collectedMs >= COLLECT_MS) {
      await this.#collectGarbage(pods);
      this.#collectedMs = performance.now();
    }
    for (const node of nodes) await this.#announceLogs(node);
    for (const pod of pods) {
      if (pod.metadata?.deletionTimestamp !== undefined) await this.#remove(pod);
      else if (pod.spec?.nodeName === undefined) await this.#schedule(pod, nodes, pods);
      else if (this.#play !== undefined) await this.#playPod(pod, this.#play);
      else if (pod.status?.phase === 'Pending' && !this.#running.has(uidOf(pod))) await this.#startPod(pod, pods);
      else await this.#report(pod);
    }
  }

  /** Tells the API server where the logs of a node's pods are. */
  async #announceLogs({ metadata, status }: V1Node): Promise<void> {
    const Port = this.#kubeletPort;
    if (Port === undefined || status?.daemonEndpoints?.kubeletEndpoint?.Port === Port) return;
    const body = {
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port } },
      },
    };
    const options = setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch);
    await this.#core.patchNodeStatus({ name: metadata?.name ?? '', body }, options);
  }

  async #schedule(pod: V1Pod, nodes: readonly V1Node[], pods: readonly V1Pod[]): Promise<void> {
    const node = nodes.find((candidate) => fits(pod, candidate, pods));
    const { name = '', namespace = '' } = pod.metadata ?? {};
    if (node?.metadata?.name === undefined) {
      const condition = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: 'no node has room for the pod',
      };
      await this.#patchStatus(pod, { conditions: [condition] });
      return;
    }
    const target = { apiVersion: 'v1', kind: 'Node', name: node.metadata.name };
    await this.#core.createNamespacedPodBinding({ name, namespace, body: { metadata: { name }, target } });
  }

  async #startPod(pod: V1Pod, pods: readonly V1Pod[]): Promise<void> {
    // Names must resolve before the first process starts, so every bound pod gets its address now.
    for (const other of pods) this.#addressOf(other);
    const ip = this.#addressOf(pod);
    const folder = await mkdtemp(join(tmpdir(), 'soapstone-pod-'));
    try {
      await this.#startIn(folder, pod, pods, ip);
    } finally {
      // What a pod mounts may not be there yet: the next round starts it in another folder.
      if (this.#running.get(uidOf(pod))?.folder !== folder) await rm(folder, { recursive: true, force: true });
    }
  }

  async #startIn(folder: string, pod: V1Pod, pods: readonly V1Pod[], ip: string): Promise<void> {
    await writeFile(join(folder, 'hosts'), this.#hosts(pods));
    const container = pod.spec!.containers[0]!;
    const script = await this.#mountScript(pod, container, folder);
    const binaries = join(folder, 'bin');
    await mkdir(binaries);
    await writeFile(join(binaries, 'soapstone'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    await chmod(join(binaries, 'soapstone'), 0o755);
    await symlink(process.execPath, join(binaries, 'node'));
    const env = await this.#environment(pod, container, ip);
    const log = await open(join(folder, 'log'), 'w');
    const command = [...(container.command ?? []), ...(container.args ?? [])];
    const child = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-ec', `${script}\nexec "$@"`, 'sh', ...command],
      {
        env: { ...COMPILED, ...env, PATH: `${binaries}:${process.env['PATH']}`, HOME: folder },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const key = `${pod.metadata?.namespace}/${pod.metadata?.name}` as const;
    const tell = (data: Buffer): void => {
      this.#onLog(`${pod.metadata?.name}: ${data.toString().trimEnd().slice(0, 2000)}`);
      this.#kubelet.append(key, data.toString());
    };
    child.once('close', () => this.#kubelet.end(key));
    child.stdout.on('data', tell);
    child.stderr.on('data', tell);
    await log.close();
    this.#running.set(uidOf(pod), { child, folder, ip, reported: false });
    await this.#patchStatus(pod, {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      startTime: new Date().toISOString(),
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'Ready', status: 'True' },
      ],
      containerStatuses: [this.#containerStatus(container, { running: { startedAt: new Date().toISOString() } }, true)],
    });
  }

  async #playPod(pod: V1Pod, play: NonNullable<NodeAgentOptions['play']>): Promise<void> {
    if (pod.status?.phase === 'Pending') await this.#patchStatus(pod, { phase: 'Running' });
    if (pod.status?.phase !== 'Running') return;
    const status = play(pod);
    if (status !== undefined) await this.#patchStatus(pod, status);
  }

  async #report(pod: V1Pod): Promise<void> {
    const running = this.#running.get(uidOf(pod));
    if (running === undefined || running.reported) return;
    const { exitCode, signalCode } = running.child;
    if (exitCode === null && signalCode === null) return;
    running.reported = true;
    const code = exitCode ?? 137;
    const container = pod.spec!.containers[0]!;
    // As with FallbackToLogsOnError.
    const message = code === 0 ? '' : this.#kubelet.lastOf(`${pod.metadata?.namespace}/${pod.metadata?.name}`);
    const terminated = { exitCode: code, finishedAt: new Date().toISOString(), ...(message && { message }) };
    await this.#patchStatus(pod, {
      phase: code === 0 ? 'Succeeded' : 'Failed',
      containerStatuses: [this.#containerStatus(container, { terminated }, false)],
    });
  }

  async #remove(pod: V1Pod): Promise<void> {
    const running = this.#running.get(uidOf(pod));
    if (running !== undefined) {
      await kill(running.child, 'SIGTERM');
      await rm(running.folder, { recursive: true, force: true });
      this.#running.delete(uidOf(pod));
    }
    const { name = '', namespace = '' } = pod.metadata ?? {};
    await this.#core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 }).catch(() => undefined);
  }

  /**
   * Deletes what belongs to TrainingJobs and attempts that are gone, as kube-controller-manager would. Owners are listed last: what is made
   * meanwhile is no orphan.
   */
  async #collectGarbage(pods: readonly V1Pod[]): Promise<void> {
    const [configMaps, secrets, policies, services] = [
      (await this.#core.listConfigMapForAllNamespaces()).items,
      (await this.#core.listSecretForAllNamespaces()).items,
      (await this.#networking.listNetworkPolicyForAllNamespaces()).items,
      (await this.#core.listServiceForAllNamespaces()).items,
    ];
    const attempts = (await this.#apps.listControllerRevisionForAllNamespaces()).items;
    const jobs: { items: { metadata: { uid: string } }[] } = await this.#custom
      .listCustomObjectForAllNamespaces({ group: 'soapstone.dev', version: 'v1alpha1', resourcePlural: 'trainingjobs' })
      .catch(() => ({ items: [] }));
    const alive = {
      TrainingJob: new Set(jobs.items.map(({ metadata }) => metadata.uid)),
      ControllerRevision: new Set(attempts.flatMap(({ metadata }) => metadata?.uid ?? [])),
    };
    const isOrphan = ({ kind, uid }: V1OwnerReference): boolean =>
      (kind === 'TrainingJob' || kind === 'ControllerRevision') && !alive[kind].has(uid);
    const collect = async (
      objects: readonly { metadata?: V1ObjectMeta }[],
      remove: (named: { name: string; namespace: string }) => Promise<unknown>,
    ): Promise<void> => {
      for (const { metadata } of objects) {
        const { name = '', namespace = '', ownerReferences = [], deletionTimestamp } = metadata ?? {};
        if (deletionTimestamp !== undefined || !ownerReferences.some(isOrphan)) continue;
        await remove({ name, namespace }).catch(() => undefined);
      }
    };
    await collect(pods, (named) => this.#core.deleteNamespacedPod(named));
    await collect(configMaps, (named) => this.#core.deleteNamespacedConfigMap(named));
    await collect(attempts, (named) => this.#apps.deleteNamespacedControllerRevision(named));
    await collect(secrets, (named) => this.#core.deleteNamespacedSecret(named));
    await collect(policies, (named) => this.#networking.deleteNamespacedNetworkPolicy(named));
    await collect(services, (named) => this.#core.deleteNamespacedService(named));
  }

  async #environment(pod: V1Pod, container: V1Container, ip: string): Promise<Record<string, string>> {
    const env: Record<string, string> = {};
    for (const variable of container.env ?? []) env[variable.name] = await this.#value(pod, variable, ip);
    return env;
  }

  async #value(pod: V1Pod, { value, valueFrom }: V1EnvVar, ip: string): Promise<string> {
    const { namespace = '', name = '' } = pod.metadata ?? {};
    if (valueFrom?.fieldRef?.fieldPath === 'status.podIP') return ip;
    if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') return name;
    if (valueFrom?.secretKeyRef !== undefined) {
      const { name: secret = '', key } = valueFrom.secretKeyRef;
      const { data = {} } = await this.#core.readNamespacedSecret({ name: secret, namespace });
      return Buffer.from(data[key] ?? '', 'base64').toString();
    }
    return value ?? '';
  }

  /** Shell lines that lay out the pod's file system inside its mount namespace. */
  async #mountScript(pod: V1Pod, container: V1Container, folder: string): Promise<string> {
    await mkdir(MOUNT_ROOT, { recursive: true });
    const lines = [`mount --bind '${folder}/hosts' /etc/hosts`, `mount -t tmpfs tmpfs ${MOUNT_ROOT}`];
    for (const { name, mountPath, readOnly } of container.volumeMounts ?? []) {
      if (!mountPath.startsWith(`${MOUNT_ROOT}/`))
        throw new Error(`mount path ${mountPath} is not below ${MOUNT_ROOT}`);
      const volume = pod.spec?.volumes?.find((candidate) => candidate.name === name);
      const source = await this.#materialise(volume, pod.metadata?.namespace ?? '', join(folder, 'volumes', name));
      lines.push(`mkdir -p '${mountPath}'`, `mount --bind '${source}' '${mountPath}'`);
      if (readOnly === true) lines.push(`mount -o remount,bind,ro '${mountPath}'`);
    }
    return lines.join('\n');
  }

  /** The host's folder of the volume that a claim is bound to; undefined where the claim is not there, or not bound. */
  async #boundFolder(claim: { readonly name: string; readonly namespace: string }): Promise<string | undefined> {
    const found = await this.#core.readNamespacedPersistentVolumeClaim(claim).catch(() => undefined);
    const volume = found?.spec?.volumeName;
    if (volume === undefined) return undefined;
    return (await this.#core.readPersistentVolume({ name: volume })).spec?.hostPath?.path;
  }

  async #materialise(volume: V1Volume | undefined, namespace: string, folder: string): Promise<string> {
    if (volume?.hostPath !== undefined) return volume.hostPath.path;
    if (volume?.persistentVolumeClaim !== undefined) {
      const claim = { name: volume.persistentVolumeClaim.claimName, namespace };
      const bound = await this.#boundFolder(claim);
      if (bound !== undefined) return bound;
      // As of a network file system: the same folder in every pod.
      const shared = this.claimFolder(namespace, claim.name);
      await mkdir(shared, { recursive: true });
      return shared;
    }
    await mkdir(folder, { recursive: true });
    if (volume?.configMap !== undefined) {
      const { data = {}, binaryData = {} } = await this.#core.readNamespacedConfigMap({
        name: volume.configMap.name ?? '',
        namespace,
      });
      for (const [key, text] of Object.entries(data)) await writeInto(folder, key, Buffer.from(text));
      for (const [key, base64] of Object.entries(binaryData))
        await writeInto(folder, key, Buffer.from(base64, 'base64'));
    }
    if (volume?.secret !== undefined) {
      const { data = {} } = await this.#core.readNamespacedSecret({ name: volume.secret.secretName ?? '', namespace });
      for (const [key, base64] of Object.entries(data)) await writeInto(folder, key, Buffer.from(base64, 'base64'));
    }
    return folder;
  }

  #hosts(pods: readonly V1Pod[]): string {
    const lines = pods.flatMap((pod) => {
      const { hostname, subdomain } = pod.spec ?? {};
      if (hostname === undefined || subdomain === undefined) return [];
      return [
        `${this.#addressOf(pod)} ${hostname}.${subdomain}.${pod.metadata?.namespace}.svc ${hostname}.${subdomain}`,
      ];
    });
    lines.push(...Object.entries(this.#names).map(([name, address]) => `${address} ${name}`));
    return `127.0.0.1 localhost\n${lines.join('\n')}\n`;
  }

  #addressOf(pod: V1Pod): string {
    const known = this.#addresses.get(uidOf(pod));
    if (known !== undefined) return known;
    const number = this.#nextAddress++;
    const ip = `${this.#prefix}.${Math.floor(number / 250)}.${(number % 250) + 1}`;
    this.#addresses.set(uidOf(pod), ip);
    return ip;
  }

  #containerStatus({ name, image = '' }: V1Container, state: object, ready: boolean): object {
    return { name, image, imageID: '', ready, restartCount: 0, state };
  }

  async #patchStatus(pod: V1Pod, status: object): Promise<void> {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    await this.#core.patchNamespacedPodStatus(
      { name, namespace, body: { status } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
  }
}

function uidOf(pod: V1Pod): string {
  return pod.metadata?.uid ?? '';
}

/** Nodes have enough of these: pods run on the machine of the tests, whatever they ask for. */
const UNCOUNTED: ReadonlySet<string> = new Set(['cpu', 'memory']);

function fits(pod: V1Pod, node: V1Node, pods: readonly V1Pod[]): boolean {
  const labels = node.metadata?.labels ?? {};
  if (Object.entries(pod.spec?.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const limits = pod.spec?.containers[0]?.resources?.limits ?? {};
  const counted = Object.entries(limits).filter(([resource]) => !UNCOUNTED.has(resource));
  return counted.every(([resource, wanted]) => {
    const used = pods
      .filter(
        (other) =>
          other.spec?.nodeName === node.metadata?.name && !['Succeeded', 'Failed'].includes(other.status?.phase ?? ''),
      )
      .reduce((sum, other) => sum + Number(other.spec?.containers[0]?.resources?.limits?.[resource] ?? 0), 0);
    return Number(node.status?.allocatable?.[resource] ?? 0) - used >= Number(wanted);
  });
}

async function writeInto(folder: string, key: string, content: Buffer): Promise<void> {
  await mkdir(dirname(join(folder, key)), { recursive: true });
  await writeFile(join(folder, key), content);
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const patience = setTimeout(() => child.kill('SIGKILL'), 8000);
  await gone;
  clearTimeout(patience);
}

/** Clusters of tests that run beside each other have networks of their own. */
function loopbackPrefix(): string {
  return `127.${1 + (process.pid % 254)}`;
}
