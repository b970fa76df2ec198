/** Strategies that people use: what every search starts from and is measured against. */
export { dataParallel } from './data-parallel.ts';
export { expertStrategy } from './expert.ts';
export { modelParallel } from './model-parallel.ts';
export { singleDevice } from './single-device.ts';
