import type { DeviceMemoryReport } from '../../soap/simulator/memory-report.ts';
import { bytes, duration, table } from './format.ts';
import { printable } from './printable.ts';

/** Devices listed; of more, those with the least room. */
const MAX_DEVICES_SHOWN = 16;

/** A table of the devices' memory, and of the ops that need most of the fullest one. */
export function memoryText(devices: readonly DeviceMemoryReport[]): string {
  const fullest = devices.toSorted((a, b) => a.capacityBytes - a.neededBytes - (b.capacityBytes - b.neededBytes));
  const shown = fullest.slice(0, MAX_DEVICES_SHOWN);
  const rows = shown.map(({ device, capacityBytes, neededBytes, missingBytes, peakBytes, peakMs }) => [
    printable(device),
    bytes(capacityBytes),
    bytes(neededBytes),
    missingBytes > 0 ? bytes(missingBytes) : '-',
    bytes(peakBytes),
    duration(peakMs),
  ]);
  const more = devices.length > shown.length ? `  and ${devices.length - shown.length} more with more room\n` : '';
  const needed = shown.every(({ isExact }) => isExact) ? 'needed' : 'needed (estimated)';
  const devicesTable = table([['device', 'capacity', needed, 'too much by', 'live at most', 'at'], ...rows]);
  return `memory:\n${devicesTable}${more}${opsText(fullest[0]!)}`;
}

function opsText({ device, ops }: DeviceMemoryReport): string {
  const rows = ops.map(({ op, neededBytes, peakBytes }) => [printable(op), bytes(neededBytes), bytes(peakBytes)]);
  return `what needs most of ${printable(device)}:\n${table([['op', 'needed', 'live at the peak'], ...rows])}`;
}
