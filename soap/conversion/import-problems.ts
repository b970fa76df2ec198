import type { OnnxNode } from '../onnx/model.ts';
import type { Problem } from '../schema/check.ts';

/** What of a file cannot be imported. A node that lacks something only because another failed is no problem of its own. */
export class ImportProblems {
  readonly #problems: Problem[] = [];
  /** Results of nodes that are among the problems. */
  readonly #failed = new Set<string>();

  get list(): readonly Problem[] {
    return this.#problems;
  }

  add(path: string, message: string): void {
    this.#problems.push({ path, message });
  }

  input(name: string, message: string): void {
    this.add(`input '${name}'`, message);
    this.#failed.add(name);
  }

  node(node: OnnxNode, message: string): void {
    this.add(`node '${node.name}'`, message);
    this.#markFailed(node);
  }

  /** A node without inputs that it reads. */
  starved(node: OnnxNode, missing: readonly string[]): void {
    const unmade = missing.filter((name) => !this.#failed.has(name));
    if (unmade.length === 0) this.#markFailed(node);
    else this.node(node, `reads '${unmade.join("', '")}', which no node before it makes: export the model again`);
  }

  #markFailed({ outputs }: OnnxNode): void {
    for (const output of outputs) this.#failed.add(output);
  }
}
