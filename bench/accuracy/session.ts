import { duration } from '../../cli/terminal/format.ts';
import type { CaseUnderway, MeasureOptions } from './measure.ts';
import type { measureOnce } from './measure.ts';
import type { Turns } from './turns.ts';
import { disagreeing, undecided, wholeRound } from './turns.ts';
import { messageOf } from '../../soap/message-of.ts';

/** What a run takes where none was measured yet: the mean of 555 on the slower machine of docs/performance/predictions-log.md. */
const GUESSED_RUN_MS = 6600;

export interface SessionOptions extends MeasureOptions {
  /** For everything, of this process and of those before that kept what they measured. */
  readonly budgetMs: number;
  /** Hears what was measured, and what failed. */
  readonly log: (line: string) => void;
  /** Trains a strategy: {@link measureOnce}. */
  readonly measure: typeof measureOnce;
}

/** All models, measured. */
export interface SessionResult {
  readonly cases: readonly CaseUnderway[];
  /** A sentence for each run that failed. */
  readonly failures: readonly string[];
}

/**
 * Measures models: each strategy in so many rounds over all models, so that rounds of a model are far apart in time; then, until time is
 * up, once more what disagrees, and then again and again what is in pairs that measurements do not decide yet, in rounds of one model.
 * A run that fails is told of, and left out of its round.
 */
export async function measureCases(begun: readonly CaseUnderway[], options: SessionOptions): Promise<SessionResult> {
  const session = new Session(begun, options);
  for (let round = 0; round < options.rounds; round++) {
    for (const index of begun.keys()) await session.measure(index, wholeRound(session.at(index), round), Infinity);
  }
  for (const index of begun.keys())
    await session.measure(
      index,
      disagreeing(session.at(index), options.rounds),
      session.leftMs() / (begun.length - index),
    );
  while (session.leftMs() > 0 && (await session.decideMore()));
  return { cases: session.cases, failures: session.failures };
}

class Session {
  readonly cases: CaseUnderway[];
  readonly failures: string[] = [];
  readonly #options: SessionOptions;
  /** Milliseconds of what was measured before, and since when this session measures. */
  readonly #beforeMs: number;
  readonly #startMs = performance.now();

  constructor(begun: readonly CaseUnderway[], options: SessionOptions) {
    this.cases = [...begun];
    this.#options = options;
    this.#beforeMs = this.#tookMs().reduce((sum, ms) => sum + ms, 0);
  }

  at(index: number): CaseUnderway['measured'] {
    return this.cases[index]!.measured;
  }

  leftMs(): number {
    return this.#options.budgetMs - this.#beforeMs - (performance.now() - this.#startMs);
  }

  /** Measures what of a model's turns was not yet, for so long. */
  async measure(index: number, { round, runs }: Turns, forMs: number): Promise<void> {
    const untilMs = performance.now() + forMs;
    for (const run of runs) {
      if (this.at(index).rounds.some((done) => done.run === run && done.round === round)) continue;
      if (performance.now() + this.#typicalMs() > untilMs) return;
      await this.#once(index, run, round);
    }
  }

  /** A round of the model that has most undecided pairs for the rounds that it had; false where nothing is left to decide. */
  async decideMore(): Promise<boolean> {
    const candidates = this.cases.flatMap(({ measured }, index) => {
      const round = Math.max(this.#options.rounds, ...measured.rounds.map((done) => done.round)) + 1;
      const turns = undecided(measured, round);
      return turns.runs.length === 0 ? [] : [{ index, turns, worth: turns.pairs / round }];
    });
    const [best] = candidates.toSorted((a, b) => b.worth - a.worth);
    if (best === undefined) return false;
    const before = this.at(best.index).rounds.length;
    await this.measure(best.index, best.turns, this.leftMs());
    return this.at(best.index).rounds.length > before;
  }

  async #once(index: number, run: number, round: number): Promise<void> {
    const { model, runs } = this.at(index);
    const { role, name, devices } = runs[run]!;
    const what = `${model}, round ${round + 1}, ${role} ${name} on ${devices}`;
    try {
      const after = await this.#options.measure(this.cases[index]!, { run, round }, this.#options.save);
      this.cases[index] = after;
      const { iterationMs } = after.measured.rounds.at(-1)!.measured;
      this.#options.log(`${what}: ${iterationMs.toFixed(2)} ms (about ${duration(this.#toGoMs(round))} to go)`);
    } catch (error) {
      const failure = `${what} failed, and is left out: ${messageOf(error)}`;
      this.failures.push(failure);
      this.#options.log(failure);
    }
  }

  /** What the budget leaves, or what the first rounds still take where that is more. */
  #toGoMs(round: number): number {
    const missing = this.cases.reduce((sum, { measured }) => {
      const wanted = this.#options.rounds * wholeRound(measured, 0).runs.length;
      return sum + Math.max(0, wanted - measured.rounds.filter((done) => done.round < this.#options.rounds).length);
    }, 0);
    const firstMs = round < this.#options.rounds ? missing * this.#typicalMs() : 0;
    return Math.max(1000, this.leftMs(), firstMs);
  }

  #typicalMs(): number {
    const took = this.#tookMs();
    return took.length === 0 ? GUESSED_RUN_MS : took.reduce((sum, ms) => sum + ms, 0) / took.length;
  }

  #tookMs(): number[] {
    return this.cases.flatMap(({ measured }) => measured.rounds.flatMap(({ tookMs }) => tookMs ?? []));
  }
}
