/** The program of the controller's pod. */
import process from 'node:process';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { apiMessage } from './apply/cluster-client.ts';
import { loadConfig } from './config.ts';
import { startController } from './controller.ts';
import { healthAnswers, listenForHealth } from './health.ts';
import { guardedConfig } from './leader/guarded-config.ts';
import { Leader } from './leader/lease.ts';
import type { ProcessConfig } from './settings.ts';
import { messageOf } from '../soap/message-of.ts';

/** A renewal that takes longer comes too late to be repeated before the deadline. */
const LEASE_REQUEST_TIMEOUT_MS = 4000;

async function main(config: ProcessConfig): Promise<void> {
  const logger = pino(
    { level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  );
  const log = ({ level, what, ...rest }: Readonly<Record<string, unknown>>): void => {
    const write = level === 'error' ? logger.error.bind(logger) : logger.info.bind(logger);
    write(rest, String(what));
  };
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  let isStopping = false;
  const leader = config.leaderElection
    ? new Leader({
        config: guardedConfig(kubeConfig, () => true, undefined, LEASE_REQUEST_TIMEOUT_MS),
        namespace: config.podNamespace,
        name: config.leaseName,
        // A restarted pod keeps its name: the lease of its former self is not its own.
        identity: `${config.podName}_${process.pid}_${Date.now()}`,
        // Whoever has not seen the cluster as it is would keep the lease from one who has.
        mayBegin: () => !isStopping && controller.staleMs() === 0,
        onGained: () => {
          log({ level: 'info', what: 'leads' });
          controller.lead();
        },
        onLost: () => {
          log({ level: 'error', what: 'leads no more; stands by' });
          controller.standBy();
        },
        onError: (error) => log({ level: 'error', what: 'lease', error: apiMessage(error) }),
      })
    : undefined;
  const leads = (): boolean => leader === undefined || leader.holds();
  const server = await listenForHealth(config, ({ message }) =>
    log({ level: 'error', what: 'metrics', error: message }),
  );
  const controller = await startController(kubeConfig, config, log, {
    leads,
    watchNamespaces: config.watchNamespaces
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    concurrentVisits: config.concurrentVisits,
  });
  let isSynced = false;
  void controller.synced.then(() => {
    isSynced = true;
    if (!isStopping) leader?.start();
  });
  const { staleMs, longestVisitSeconds } = controller;
  const sources = { isSynced: () => isSynced, staleMs, longestVisitSeconds, leads };
  server.on('request', healthAnswers(sources, controller.metrics.registry));
  const stop = async (): Promise<void> => {
    isStopping = true;
    server.close();
    server.closeAllConnections();
    // Visits end first: whoever takes the lease next must not meet one of them.
    await controller.stop();
    await leader?.stop();
  };
  const onSignal = (): void => {
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
}

try {
  const loaded = loadConfig(process.env, process.argv.slice(2));
  if ('help' in loaded) process.stdout.write(`${loaded.help}\n`);
  else await main(loaded.config);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 2;
}
