import type { Plan } from '../../soap/plan/plan.ts';

/** Names that exporters give to every graph: PyTorch's, and none. */
const EXPORTERS_NAMES: ReadonlySet<string> = new Set(['', 'main_graph', 'torch_jit', 'torch-jit-export']);

/** What a person calls the model of a plan: its name, or where it is from, where the name says nothing. */
export function modelTitle({ model: { name, source } }: Pick<Plan, 'model'>): string {
  if (source === undefined || !EXPORTERS_NAMES.has(name)) return name;
  if ('onnx' in source) return source.onnx;
  return 'url' in source ? source.url : name;
}
