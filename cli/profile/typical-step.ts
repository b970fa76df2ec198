import type { Span } from '../../runtime/program/recorder.ts';

/**
 * One step that stands for several of a device: what is alike in them (of one kind, about the same tasks) once, beginning when it begins
 * in the middle one, counted from the step's own beginning, and as long as the middle one is. Steps that were not recorded from their
 * beginning are left out.
 */
export function typicalStep(spans: readonly Span[]): Span[] {
  const beginsMs = new Map(spans.flatMap(({ kind, step, startMs }) => (kind === 'step' ? [[step, startMs]] : [])));
  const alike = Map.groupBy(
    spans.filter(({ step }) => beginsMs.has(step)),
    ({ kind, tasks }) => `${kind} ${tasks.join()}`,
  );
  return [...alike.values()].map((list): Span => {
    const { kind, tasks } = list[0]!;
    const startMs = median(list.map((span) => span.startMs - beginsMs.get(span.step)!));
    const durationMs = median(list.map((span) => span.endMs - span.startMs));
    const cpu = list.flatMap(({ cpuMs }) => cpuMs ?? []);
    const span = { kind, step: 0, tasks, startMs, endMs: startMs + durationMs };
    return cpu.length === 0 ? span : { ...span, cpuMs: median(cpu) };
  });
}

/** The middle one; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [below, above] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return (sorted[below]! + sorted[above]!) / 2;
}
