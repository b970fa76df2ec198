import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import convict from 'convict';
import { parse } from 'yaml';
import { MAX_TIMER_SECONDS } from '../soap/timers.ts';
import { messageOf } from '../soap/message-of.ts';
import type { ProcessConfig } from './settings.ts';
import { CONFIG_SCHEMA, portsOf } from './settings.ts';

/** Names the file that is read before environment and flags. */
const FILE_ENV = 'SOAPSTONE_CONFIG';

/** What the arguments ask for: the settings, or the text of the help. */
export type LoadedConfig = { readonly config: ProcessConfig } | { readonly help: string };

/**
 * Reads the settings: defaults, then the file of SOAPSTONE_CONFIG or --config, then the environment, then flags.
 * @param args without the program's name
 * @throws {Error} with all problems, a line each
 */
export function loadConfig(env: NodeJS.ProcessEnv, args: readonly string[] = []): LoadedConfig {
  if (args.includes('--help') || args.includes('-h')) return { help: helpText() };
  const problems = unknownFlags(args);
  const file = flagOf(args, 'config') ?? env[FILE_ENV];
  try {
    const config = convict<Record<keyof ProcessConfig, string | number | boolean>>(CONFIG_SCHEMA, {
      env,
      args: args.filter((arg) => arg.startsWith('--')),
    });
    if (file !== undefined && file !== '') config.load(readConfigFile(file));
    config.validate({ allowed: 'strict' });
    const values = config.getProperties();
    problems.push(...endlessTimers(values));
    if (problems.length === 0) return { config: settingsOf(values) };
  } catch (error) {
    problems.push(messageOf(error));
  }
  throw new Error(`the configuration is wrong:\n${problems.join('\n')}\nsee --help`);
}

function endlessTimers(values: Readonly<Record<keyof ProcessConfig, string | number | boolean>>): string[] {
  const names = Object.keys(CONFIG_SCHEMA).filter((name): name is keyof ProcessConfig => name in CONFIG_SCHEMA);
  return names
    .filter((name) => CONFIG_SCHEMA[name].isTimer === true && Number(values[name]) > MAX_TIMER_SECONDS)
    .map(
      (name) => `${name}: is ${values[name]}; expected at most ${MAX_TIMER_SECONDS}, the longest that a timer waits`,
    );
}

/** Gives the settings their types, which convict has checked. */
function settingsOf(values: Readonly<Record<keyof ProcessConfig, string | number | boolean>>): ProcessConfig {
  return {
    image: String(values.image),
    metricsHost: String(values.metricsHost),
    metricsPort: Number(values.metricsPort),
    concurrentSearches: Math.max(1, Number(values.concurrentSearches)),
    searchMegabytes: Number(values.searchMegabytes),
    hostPathModels: values.hostPathModels === true,
    inspectPods: values.inspectPods === true,
    profilePods: values.profilePods === true,
    profileSeconds: Math.max(1, Number(values.profileSeconds)),
    placementSeconds: Number(values.placementSeconds),
    modelSites: String(values.modelSites),
    modelPrivateAddresses: values.modelPrivateAddresses === true,
    modelMegabytes: Number(values.modelMegabytes),
    modelSeconds: Number(values.modelSeconds),
    dnsPorts: portsOf(String(values.dnsPorts)),
    fixedUser: values.fixedUser === true,
    scraperNamespace: String(values.scraperNamespace),
    progressSeconds: Number(values.progressSeconds),
    watchNamespaces: String(values.watchNamespaces),
    concurrentVisits: Math.max(1, Number(values.concurrentVisits)),
    leaderElection: values.leaderElection === true,
    leaseName: String(values.leaseName),
    podNamespace: String(values.podNamespace),
    podName: values.podName === '' ? hostname() : String(values.podName),
    logLevel: String(values.logLevel),
  };
}

function readConfigFile(path: string): object {
  const content: unknown = parse(readFileSync(path, 'utf8'));
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  throw new Error(`${path}: expected an object of settings, such as 'logLevel: debug'`);
}

function flagOf(args: readonly string[], name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

function unknownFlags(args: readonly string[]): string[] {
  const known = new Set(['config', ...Object.values(CONFIG_SCHEMA).map(({ arg }) => arg)]);
  return args
    .filter((arg) => !known.has(/^--([a-z-]+)=/s.exec(arg)?.[1] ?? ''))
    .map((arg) => `${arg}: expected --name=value with a name of --help`);
}

function helpText(): string {
  const lines = Object.values(CONFIG_SCHEMA).map(
    ({ arg, env, default: value, doc }) =>
      `  --${arg}=...\n      ${doc} Default: ${JSON.stringify(value)}. Environment: ${env}.`,
  );
  return [
    'soapstone controller',
    '',
    `  --config=FILE\n      JSON or YAML with these settings. Environment: ${FILE_ENV}.`,
    ...lines,
  ].join('\n');
}
