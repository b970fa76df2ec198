import type { FuzzTarget } from '../target.ts';
import { onnx } from './onnx.ts';
import { safetensors } from './safetensors.ts';

export const TARGETS: readonly FuzzTarget[] = [onnx, safetensors];
