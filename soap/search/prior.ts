import type { Dimension } from '../ops/op.ts';
import type { Random } from '../random.ts';
import { shuffled } from '../random.ts';
import { divisorsUpTo } from '../region/divisors.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { partsOf } from '../strategy/partition.ts';

/** Shares of the kinds of placement that are drawn; the rest is any device for each part. */
const ALIGNED = 0.6;
const STRIDED = 0.15;
const CONSECUTIVE = 0.15;

/** How often an op may have several parts on a device, so that what follows can begin with the first of them. */
const SEVERAL_PER_DEVICE = 0.1;
const PARTS_PER_DEVICE = [2, 4] as const;

/** Parts of an op at most; task keys hold twice as many. */
const MAX_DRAWN_PARTS = 4096;

/** How often all devices are used, and how often dimensions are numbered in another than their own order. */
const ALL_DEVICES = 0.5;
const REORDERED = 0.4;

/**
 * What configurations are drawn from where nothing else is known of an op: regular ones, which a cluster runs well, far more
 * often than others, but every configuration with a chance. Draws do not depend on the op's present configuration.
 */
export function drawConfig(dimensions: readonly Dimension[], deviceCount: number, random: Random): OpConfig {
  const perDevice = random.next() < SEVERAL_PER_DEVICE ? PARTS_PER_DEVICE[random.integer(2)]! : 1;
  const target = Math.min(MAX_DRAWN_PARTS, drawPartCount(deviceCount, random) * perDevice);
  const degrees = drawDegrees(dimensions, target, random);
  const parts = partsOf(degrees);
  const slots = Math.min(parts, perDevice > 1 ? Math.max(1, Math.floor(parts / perDevice)) : parts, deviceCount);
  return { degrees, devices: drawDevices(degrees, drawDeviceList(slots, deviceCount, random), random) };
}

/** All devices, a divisor of their number, or any number. */
function drawPartCount(deviceCount: number, random: Random): number {
  if (random.next() < ALL_DEVICES) return deviceCount;
  if (random.integer(2) === 0) return 1 + random.integer(deviceCount);
  const divisors = divisorsUpTo(deviceCount, deviceCount);
  return divisors[random.integer(divisors.length)]!;
}

/** Degrees whose product divides a number where sizes allow: dimensions in random order, the last takes what is left. */
function drawDegrees(dimensions: readonly Dimension[], target: number, random: Random): number[] {
  const degrees = dimensions.map(() => 1);
  const order = shuffled(dimensions.length, random);
  const used = order.slice(0, 1 + Math.min(random.integer(3), random.integer(order.length)));
  let left = target;
  used.forEach((index, i) => {
    const choices = divisorsUpTo(left, left).filter((degree) => dimensions[index]!.size % degree === 0);
    degrees[index] = i === used.length - 1 ? choices.at(-1)! : choices[random.integer(choices.length)]!;
    left /= degrees[index];
  });
  return degrees;
}

/** Devices of which each gets a share of the parts. */
function drawDeviceList(count: number, deviceCount: number, random: Random): number[] {
  const list = (first: number, stride: number): number[] =>
    Array.from({ length: count }, (_, i) => (first + i * stride) % deviceCount);
  const kind = random.next();
  if (kind < ALIGNED) return list(count * random.integer(Math.max(1, Math.floor(deviceCount / count))), 1);
  if (kind < ALIGNED + STRIDED) {
    const stride = Math.max(1, Math.floor(deviceCount / count));
    return list(random.integer(stride), stride);
  }
  if (kind < ALIGNED + STRIDED + CONSECUTIVE) return list(random.integer(deviceCount), 1);
  return Array.from({ length: count }, () => random.integer(deviceCount));
}

/**
 * Deals parts out to the listed devices, equally many in turn: neighbouring parts of one dimension, often the last, get
 * neighbouring devices.
 */
function drawDevices(degrees: readonly number[], list: readonly number[], random: Random): number[] {
  const parts = partsOf(degrees);
  const order = random.next() < REORDERED ? shuffled(degrees.length, random) : undefined;
  const inBlocks = random.integer(2) === 0;
  const devices: number[] = [];
  for (let part = 0; part < parts; part++) {
    const rank = order === undefined ? part : reordered(part, degrees, order);
    devices.push(list[inBlocks ? Math.floor((rank * list.length) / parts) : rank % list.length]!);
  }
  return devices;
}

/** The number of a part when the dimensions are counted in another order. */
function reordered(part: number, degrees: readonly number[], order: readonly number[]): number {
  const index = degrees.map(() => 0);
  let rest = part;
  for (let i = degrees.length - 1; i >= 0; i--) {
    index[i] = rest % degrees[i]!;
    rest = Math.floor(rest / degrees[i]!);
  }
  return order.reduce((number, i) => number * degrees[i]! + index[i]!, 0);
}
