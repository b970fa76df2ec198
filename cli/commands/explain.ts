import process from 'node:process';
import { encodeTrace } from '../../soap/explain/chrome-trace.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { simulatedTrace } from '../../soap/explain/simulated-trace.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { parseArguments, positiveNumber, text, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import { COUNTED_SECONDS } from '../planning/counted-search.ts';
import { COSTS_HELP, COSTS_OPTION, costsFor, tableForPlan } from '../machine/costs.ts';
import { noteOtherPrediction } from '../machine/prediction-note.ts';
import { explanationText, whatIfText } from '../explanation/text.ts';
import { whatIf } from '../explanation/what-if.ts';
import { modelTitle } from '../model/model-title.ts';
import { PLAN_MODEL_HELP, PLAN_MODEL_OPTIONS, planSubject, readCluster } from '../model/model-subject.ts';
import { collectPageData } from '../page/collect.ts';
import { pageHtml } from '../page/write.ts';
import { readText } from '../files/read-job.ts';
import { measuredOverPredicted } from '../run/recording.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { decodeSpans } from '../../runtime/profile/recorded-spans.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';

const HELP = `soapstone explain PLAN [options]: why a plan takes as long as it does, and what would help

${PLAN_MODEL_HELP}  --cluster C      a preset or file with the plan's devices and wires, whose numbers count instead of the plan's
${COSTS_HELP}  --what-if C      a changed cluster: network*2, nvlink*2, links*2, latency*0.5, compute*2, memory*2, nodes+1, type=H100,
                   several with commas; or a preset, or a file. Shows the same plan there, and a new search
  --seconds S      time budget of that search, default 3
  --proposals N    end that search after so many proposals: the same result on any machine
  --seed N         of that search, default 1
  --html FILE      write a page with the graph, the timeline, the cluster and the memory; it works offline
  --trace FILE     write the simulated iteration as a Chrome trace, which ui.perfetto.dev opens
  --measured FILE  lay it below what the devices of a run of the plan recorded, as its pods serve that on their metrics port at
                   /spans; kubectl soapstone explain reads it by itself
  --output FORM    text (default) or json

example: soapstone explain plan.json --what-if 'network*2'
         soapstone explain plan.json --html plan.html --trace plan.trace
`;

const OPTIONS = {
  ...PLAN_MODEL_OPTIONS,
  cluster: { type: 'string' },
  costs: COSTS_OPTION,
  'what-if': { type: 'string' },
  seconds: { type: 'string' },
  proposals: { type: 'string' },
  seed: { type: 'string' },
  trace: { type: 'string' },
  measured: { type: 'string' },
  html: { type: 'string' },
  output: { type: 'string' },
} as const;

export const explainCommand: Command = {
  name: 'explain',
  summary: 'say why a plan takes as long as it does, and what would help',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'explain');
    const [path, ...surplus] = parsed.positionals;
    if (path === undefined || surplus.length > 0)
      throw new UsageError('explain expects one plan file: soapstone explain PLAN');
    const [trace, html] = [text(parsed, 'trace'), text(parsed, 'html')];
    await requireWritable('trace', trace);
    await requireWritable('html', html);
    const plan = decodePlan(await readText(path), path);
    const model = await planSubject(plan, parsed);
    // A model that cannot take twice the batch is explained without it.
    const larger = await planSubject({ ...plan, model: { ...plan.model, batch: 2 * plan.model.batch } }, parsed).catch(
      () => undefined,
    );
    const target = text(parsed, 'cluster');
    const { cluster, strategy } = resolvePlan(
      plan,
      model.training.graph,
      path,
      target === undefined ? undefined : await readCluster(target),
    );
    const table = await tableForPlan(parsed, plan);
    const costs = costsFor(table, cluster, model.optimizer);
    const problem: PlanningProblem = { ...model, cluster, costs };
    const found = explain(problem, strategy, larger?.training);
    const explanation = { ...found.explanation, model: modelTitle(plan) };
    const explained = { ...found, explanation };
    const { iterationMs } = explanation.prediction;
    noteOtherPrediction(plan, { iterationMs, hasTable: table !== undefined, elsewhere: target !== undefined });
    const measured = text(parsed, 'measured');
    if (measured !== undefined && trace === undefined)
      throw new UsageError(
        '--measured says what a trace is to have beside the simulated iteration; expected --trace FILE too',
      );
    if (trace !== undefined) {
      const predicted = simulatedTrace(problem, strategy, explained);
      const spans = measured === undefined ? undefined : decodeSpans(await readText(measured), measured);
      const whole =
        spans === undefined ? predicted : measuredOverPredicted(problem, strategy, plan, { predicted, spans });
      await writeResult(trace, encodeTrace(whole));
    }
    if (html !== undefined)
      await writeResult(html, await pageHtml(collectPageData(plan, problem, strategy, explained)));
    const change = text(parsed, 'what-if');
    const changed = change === undefined ? undefined : await whatIf(problem, strategy, change, searchSettings(parsed));
    if (wantsJson(parsed)) process.stdout.write(`${JSON.stringify({ ...explanation, whatIf: changed })}\n`);
    else {
      process.stdout.write(explanationText(explanation));
      if (changed !== undefined) process.stdout.write(whatIfText(changed));
      if (html !== undefined) process.stdout.write(`page written to ${html}\n`);
      if (trace !== undefined) process.stdout.write(`trace written to ${trace}: open it in ui.perfetto.dev\n`);
    }
    return 0;
  },
};

/** Of a search that time ends. */
const DEFAULT_SECONDS = 3;

function searchSettings(args: Arguments): SearchSettings {
  const proposals = wholeNumber(args, 'proposals', 1, 1e9);
  return {
    ...DEFAULT_SEARCH,
    seconds: positiveNumber(args, 'seconds') ?? (proposals === undefined ? DEFAULT_SECONDS : COUNTED_SECONDS),
    seed: wholeNumber(args, 'seed', 0, Number.MAX_SAFE_INTEGER) ?? DEFAULT_SEARCH.seed,
    ...(proposals === undefined ? {} : { proposals }),
  };
}
