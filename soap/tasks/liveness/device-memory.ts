import { cutSteps } from './cut.ts';
import type { ValueContext } from './device-values.ts';
import { DeviceValues } from './device-values.ts';
import type { Slot, Span } from './slots.ts';
import { assignSlots } from './slots.ts';
import { spansOf } from './spans.ts';
import type { Value, ValueStep } from './values.ts';

/** The memory that a device's program takes. */
export interface DeviceMemoryPlan {
  /** What is there all the time. */
  readonly kept: readonly Value[];
  /** What is needed for some time, and in which segments. */
  readonly spans: ReadonlyMap<Value, Span>;
  readonly slots: readonly Slot<Value>[];
  /** The tasks of each segment. */
  readonly segments: readonly (readonly number[])[];
  /** What segments hold inside, by task: live while it runs. */
  readonly inside: readonly InsideValue[];
  readonly keptBytes: number;
  readonly slotBytes: number;
  /** Most that a segment holds inside at a time. */
  readonly insideBytes: number;
}

/** A value that never leaves a segment, and the first and the last task of it that need it. */
export interface InsideValue {
  readonly value: Value;
  readonly segment: number;
  readonly firstTask: number;
  readonly lastTask: number;
}

/** Plans the memory of one device: just what the runtime allocates, and what its kernels need inside. */
export function planDeviceMemory(context: ValueContext, device: number, order: readonly number[]): DeviceMemoryPlan {
  const values = new DeviceValues(context, device, order);
  const segments = cutSteps<Value, ValueStep>(values.steps(order), ({ stages }) =>
    stages.flatMap(({ writes }) => writes),
  ).map(({ steps }) => steps);
  const isBound = boundValues(segments);
  const spans = spansOf(
    segments.map((steps) => ({
      uses: steps.flatMap((step) => [
        ...step.stages.flatMap(({ reads, writes }) => [...reads, ...writes].filter(isBound)),
        ...step.fills,
        ...step.readAfter,
      ]),
      leaves: steps.flatMap(({ leaves }) => leaves),
    })),
  );
  const needed = new Map([...spans].filter(([value]) => !value.kept));
  const slots = assignSlots(needed, ({ bytes }) => bytes);
  const inside = segments.flatMap((steps, segment) => insideValues(steps, segment, isBound));
  return {
    kept: values.kept,
    spans: needed,
    slots,
    segments: segments.map((steps) => steps.map(({ task }) => task.id)),
    inside,
    keptBytes: sum(values.kept),
    slotBytes: sum(slots),
    insideBytes: insidePeak(segments, inside),
  };
}

function sum(all: readonly { readonly bytes: number }[]): number {
  return all.reduce((total, { bytes }) => total + bytes, 0);
}

/** Whether a value that a kernel reads or writes is memory outside of its segment. */
function boundValues(segments: readonly (readonly ValueStep[])[]): (value: Value) => boolean {
  const writtenIn = new Map<Value, number>();
  const outside = new Set<Value>();
  segments.forEach((steps, segment) => {
    for (const { stages, readAfter, leaves, fills } of steps) {
      for (const { writes } of stages) for (const value of writes) writtenIn.set(value, segment);
      for (const value of [...readAfter, ...leaves, ...fills]) outside.add(value);
    }
  });
  segments.forEach((steps, segment) => {
    for (const { stages } of steps) {
      for (const { reads } of stages)
        for (const value of reads) if (writtenIn.get(value) !== segment) outside.add(value);
    }
  });
  return (value) => outside.has(value) || value.kept;
}

function insideValues(steps: readonly ValueStep[], segment: number, isBound: (value: Value) => boolean): InsideValue[] {
  const first = new Map<Value, number>();
  const last = new Map<Value, number>();
  for (const { task, stages } of steps) {
    for (const { reads, writes } of stages) {
      for (const value of [...reads, ...writes]) {
        if (isBound(value)) continue;
        if (!first.has(value)) first.set(value, task.id);
        last.set(value, task.id);
      }
    }
  }
  return Array.from(first, ([value, firstTask]) => ({ value, segment, firstTask, lastTask: last.get(value)! }));
}

/** The most that is live inside a segment at a time, if it runs task after task. */
function insidePeak(segments: readonly (readonly ValueStep[])[], inside: readonly InsideValue[]): number {
  const starting = Map.groupBy(inside, ({ firstTask }) => firstTask);
  const ending = Map.groupBy(inside, ({ lastTask }) => lastTask);
  const bytesOf = (values: readonly InsideValue[] = []): number => sum(values.map(({ value }) => value));
  let peak = 0;
  for (const steps of segments) {
    let live = 0;
    for (const { task } of steps) {
      live += bytesOf(starting.get(task.id));
      peak = Math.max(peak, live);
      live -= bytesOf(ending.get(task.id));
    }
  }
  return peak;
}
