import { GraphBuilder } from '../training/builder.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { fullyConnected } from './layers.ts';
import { whole, wholes } from './parameters.ts';

/** Rows of the 26 tables of the Criteo Kaggle data set: 33,762,577. Source: the counts that facebookresearch/dlrm finds in it. */
const KAGGLE_ROWS = [
  1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306, 10,
  5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];

/**
 * DLRM: dense features [N, dense] and one index a table, sparse [N, tables], -> one logit of a click, [N, 1]. Embeddings and
 * the bottom layers' result interact by their dot products, each pair once.
 * Source: Naumov et al., "Deep learning recommendation model for personalization and recommendation systems", 2019, section
 * 2; sizes as in its experiments, and in facebookresearch/dlrm's bench/dlrm_s_criteo_kaggle.sh.
 */
export const dlrm: BuiltinModel = defineModel({
  name: 'dlrm',
  summary: 'Recommendation model with the sizes of Criteo Kaggle (Naumov et al. 2019)',
  loss: 'binaryCrossEntropy',
  parameters: {
    rows: wholes(KAGGLE_ROWS, 'rows of each embedding table', { most: 2 ** 28 }),
    width: whole(16, 'width of the embeddings', { most: 65_536 }),
    dense: whole(13, 'dense features', { most: 65_536 }),
    bottom: wholes([512, 256, 64], 'widths of the hidden layers that read the dense features', { most: 65_536 }),
    top: wholes([512, 256], 'widths of the hidden layers that read the interactions', { most: 65_536 }),
  },
  build(batch, { rows, width, dense, bottom, top }) {
    const builder = new GraphBuilder();
    const features = builder.input('dense', [batch, dense]);
    const indices = builder.input('sparse', [batch, rows.length], 'int64');
    const vector = perceptron(builder, 'bottom', features, [...bottom, width]);
    const row = builder.op('reshape', 'vector', [vector], { shape: [batch, 1, width] });
    const embedded = rows.map((count, start) => {
      const table = builder.parameter(`table${start}.weight`, [count, width]);
      return builder.op('embedding', `table${start}`, [indices, table], { start, steps: 1 });
    });
    const vectors = builder.op('concat', 'vectors', [row, ...embedded], { axis: 1 });
    const joined = builder.op('concat', 'joined', [vector, interactions(builder, vectors)], { axis: 1 });
    const hidden = perceptron(builder, 'top', joined, top);
    return builder.build('dlrm', [fullyConnected(builder, 'click', hidden, 1)]);
  },
});

/** Linear layers, each with a ReLU. */
function perceptron(builder: GraphBuilder, name: string, x: number, widths: readonly number[]): number {
  return widths.reduce(
    (y, width, i) => builder.op('relu', `${name}${i}.relu`, [fullyConnected(builder, `${name}${i}`, y, width)]),
    x,
  );
}

/** Dot products of all pairs of vectors [N, F, W], each pair once: [N, F (F - 1) / 2]. */
function interactions(builder: GraphBuilder, vectors: number): number {
  const [samples, count] = builder.shape(vectors);
  const transposed = builder.op('transpose', 'transposed', [vectors], { perm: [0, 2, 1] });
  const products = builder.op('matmul', 'products', [vectors, transposed]);
  const flat = builder.op('reshape', 'products.flat', [products], { shape: [samples!, count! * count!] });
  const indices = Array.from({ length: count! }, (_, i) => Array.from({ length: i }, (_, j) => i * count! + j)).flat();
  return builder.op('gather', 'interactions', [flat], { axis: 1, indices, indicesShape: [indices.length] });
}
