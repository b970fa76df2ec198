import { GraphBuilder } from '../training/builder.ts';
import { largestDivisor } from '../region/divisors.ts';
import { classesOf, dropoutOf, headsOf, headsRule, imageOf, layersOf, widthOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { convolution, dropped, fullyConnected } from './layers.ts';
import type { BrokenRule } from './parameters.ts';
import { flag, whole } from './parameters.ts';
import {
  FEED_FORWARD_EXPANSION,
  firstPosition,
  geluFeedForward,
  layerNormalization,
  learnedPositions,
  transformerBlock,
} from './transformer.ts';

/** Source: torchvision.models.vision_transformer.VisionTransformer. */
const EPSILON = 1e-6;

/**
 * Vision transformer: images [N, 3, 224, 224] -> logits [N, classes]. The defaults are those of ViT-B/16, where
 * dropout is 0.
 * Without a class token the mean of all patches is classified, and the sequence is 196 in place of the prime 197.
 * Sources: Dosovitskiy et al., "An image is worth 16x16 words", 2020, section 3.1 and table 1; without a class token: Beyer et
 * al., "Better plain ViT baselines for ImageNet-1k", 2022.
 */
export const vit: BuiltinModel = defineModel({
  name: 'vit',
  summary: 'Vision transformer, by default ViT-B/16 (Dosovitskiy et al. 2020)',
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(12, 'transformer blocks'),
    width: widthOf(768),
    heads: headsOf(12),
    image: imageOf(224, 1),
    patch: whole(16, 'height and width of a patch, in pixels; it divides the image', { most: 4096 }),
    classes: classesOf(1000),
    classToken: flag(true, 'a token for the class; without it the mean of all patches is classified'),
    dropout: dropoutOf('of the embeddings and of what each layer of a block adds'),
  },
  brokenRules: (values) => [...headsRule(values), ...patchRule(values)],
  build(batch, { layers, width, heads, image, patch, classes, classToken, dropout }) {
    const builder = new GraphBuilder();
    const patches = embedPatches(builder, builder.input('images', [batch, 3, image, image]), patch, width);
    const tokens = classToken ? withClassToken(builder, patches) : patches;
    let x = dropped(builder, 'dropout', learnedPositions(builder, 'positions', tokens), dropout);
    const feedForward = geluFeedForward(builder, FEED_FORWARD_EXPANSION * width);
    const options = { heads, causal: false, norm: 'before', epsilon: EPSILON, dropout, feedForward } as const;
    for (let layer = 0; layer < layers; layer++) x = transformerBlock(builder, `block${layer}`, x, options);
    const normalized = layerNormalization(builder, 'norm', x, EPSILON);
    const pooled = classToken ? firstPosition(builder, normalized) : meanOf(builder, normalized);
    return builder.build('vit', [fullyConnected(builder, 'head', pooled, classes)]);
  },
});

/** Patches fill an image without a rest. */
function patchRule({ image, patch }: { readonly image: number; readonly patch: number }): BrokenRule[] {
  if (image % patch === 0) return [];
  const message =
    `got ${patch} with images of ${image} pixels, expected a divisor of it: ` +
    `use ${largestDivisor(image, patch)}, or change image`;
  return [{ parameter: 'patch', beside: ['image'], message }];
}

/** Images [N, 3, H, W] -> one vector for each patch, [N, patches, width]. */
function embedPatches(builder: GraphBuilder, images: number, patch: number, width: number): number {
  const planes = convolution(builder, 'patches', images, { channels: width, kernel: patch, stride: patch });
  const [samples, channels, height, columns] = builder.shape(planes);
  const shape = [samples!, channels!, height! * columns!];
  const rows = builder.op('reshape', 'patches.reshape', [planes], { shape });
  return builder.op('transpose', 'patches.transpose', [rows], { perm: [0, 2, 1] });
}

/** Puts one learned vector before the patches of every sample. */
function withClassToken(builder: GraphBuilder, patches: number): number {
  const [samples, , width] = builder.shape(patches);
  const token = builder.parameter('classToken.weight', [1, 1, width!]);
  const repeated = builder.op('expand', 'classToken', [token], { shape: [samples!, 1, width!] });
  return builder.op('concat', 'tokens', [repeated, patches], { axis: 1 });
}

function meanOf(builder: GraphBuilder, x: number): number {
  return builder.op('reduceMean', 'mean', [x], { axes: [1], keepDims: false });
}
