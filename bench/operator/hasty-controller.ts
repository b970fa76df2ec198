/**
 * The controller with pauses between lists that are so short that a thousand rounds of failures take minutes; otherwise as its pod
 * runs it. Argument: the port of its metrics. SIGUSR2 collects its garbage, so that what is left is what it holds.
 */
import { createServer } from 'node:http';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { KubeConfig } from '@kubernetes/client-node';
import { loadConfig } from '../../operator/config.ts';
import { startController } from '../../operator/controller.ts';
import { healthAnswers } from '../../operator/health.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
// With an argument it would collect the young objects only.
process.on('SIGUSR2', () => collectGarbage());

const loaded = loadConfig(process.env);
if ('help' in loaded) throw new Error('nobody asked for help');
const kubeConfig = new KubeConfig();
kubeConfig.loadFromDefault();
const informerTimes = { firstDelayMs: 10, maxDelayMs: 20, shortestWatchMs: 0 };
const controller = await startController(kubeConfig, loaded.config, () => undefined, { informerTimes });
let isSynced = false;
const { staleMs, longestVisitSeconds, metrics } = controller;
const sources = { isSynced: () => isSynced, staleMs, longestVisitSeconds, leads: () => true };
createServer(healthAnswers(sources, metrics.registry)).listen(Number(process.argv[2]), '127.0.0.1');
await controller.synced;
isSynced = true;
