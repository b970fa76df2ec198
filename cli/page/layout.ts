/** Where the ops of a graph are drawn, and the lines between them. */
export interface GraphLayout {
  readonly width: number;
  readonly height: number;
  /** Middles of the ops' boxes, by op id. */
  readonly ops: readonly { readonly x: number; readonly y: number }[];
  readonly edges: readonly (readonly (readonly [number, number])[])[];
  readonly successors: readonly (readonly number[])[];
}
