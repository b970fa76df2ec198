export * from '../../../soap/onnx/indexing.ts';
