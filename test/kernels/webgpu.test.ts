import test from 'ava';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { HAS_SOFTWARE_GPU } from '../support/software-gpu.ts';
import { kernelContract } from './contract.ts';

/** What the provider has no node for, and no op of the project emits as a kernel. */
const LACKS = [
  'Div keeps float64',
  'LRN divides by neighbouring channels',
  'OneHot marks the class, and nothing for a stranger',
  'OneHot puts the classes first where asked',
];

if (HAS_SOFTWARE_GPU) kernelContract(() => createDeviceEngine('webgpu'), { lacks: LACKS, checksIndices: false });
else test.todo('kernels by WebGPU');
